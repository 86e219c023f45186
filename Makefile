# What a person or a CI job does with this tree. Needs python3 (3.11 or later) with venv, make and git; the rest is set up in .venv.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
FOLDERS := history checkers clusters nemeses workloads reports harness
DEMO := scenarios/etcd/paused-leader.yaml

.PHONY: help demo test docker check bench clean
help:
	@echo "make demo    run a scenario and show its verdict"
	@echo "make test    run every test that this machine can run"
	@echo "make docker  install and start a Docker engine (Debian), build the images"
	@echo "make check   lint, types, imports, links"
	@echo "make bench   the figures in the README"
	@echo "make clean   remove what the targets above made, runs/ excepted"

$(READY): pyproject.toml setup.py
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or later is needed: make PYTHON=python3.12")'
	@$(PYTHON) -m venv .venv || { echo "python3 has no venv: sudo apt-get install python3-venv" >&2; exit 1; }
	@echo "setting up .venv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(READY)
	@if $(BIN)/diarchy doctor >.venv/doctor.txt; then \
		$(BIN)/diarchy run $(DEMO); \
	else \
		cat .venv/doctor.txt; \
		echo; echo "The demo runs on real etcd servers in containers; the embedded simulator does not exist yet."; \
		echo "'make docker' installs and starts a Docker engine on Debian, and builds the images. Then run 'make demo' again."; \
		exit 69; \
	fi

test: $(READY)
	@$(BIN)/python -m pytest --quiet

docker: $(READY)
	@.ci/engine install
	@.ci/engine start
	@$(BIN)/diarchy images build
	@$(BIN)/diarchy doctor

check: $(READY)
	@mkdir -p build/types/diarchy
	@for folder in $(FOLDERS); do ln -sfn "../../../$$folder" "build/types/diarchy/$$folder"; done
	@$(BIN)/ruff check --quiet --output-format concise .
	@$(BIN)/mypy $(FOLDERS:%=-p diarchy.%)
	@said=$$($(BIN)/lint-imports --no-logo 2>&1) || { echo "$$said"; exit 1; }
	@$(BIN)/python -m pytest --quiet tests/test_tidy.py

bench: $(READY)
	@for measure in benchmarks/*.py; do echo "== $$measure"; $(BIN)/python "$$measure" || exit 1; done

clean:
	rm -rf .venv build dist artifacts *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
