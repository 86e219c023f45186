# What a person or a CI job does with this tree. Needs python3 (3.11 or later) with venv, make and git; the rest is set up in .venv.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
READY := .venv/.ready
FOLDERS := history checkers clusters nemeses workloads reports harness
BUG := scenarios/known-unsafe/bully-partition.yaml
TWIN := scenarios/simulated/bully-partition-quorum.yaml

.PHONY: help demo test docker check bench clean
help:
	@echo "make demo    show a split brain and its sound twin, in the embedded simulator"
	@echo "make test    run every test that this machine can run"
	@echo "make docker  install and start a Docker engine (Debian), build the images"
	@echo "make check   lint, types, imports, links"
	@echo "make bench   the figures in the README"
	@echo "make clean   remove what the targets above made, runs/ excepted"

$(INSTALLED): pyproject.toml setup.py
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or later is needed: make PYTHON=python3.12")'
	@$(PYTHON) -m venv .venv || { echo "python3 has no venv: sudo apt-get install python3-venv" >&2; exit 1; }
	@echo "setting up .venv"
	@$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check --editable .
	@touch $@

$(READY): $(INSTALLED)
	@echo "setting up .venv for the tests"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# A known bug, then its sound twin, on the embedded simulator: Python is all that it takes.
demo: $(INSTALLED)
	@$(BIN)/diarchy run $(BUG) --seed 4 --report
	@echo
	@$(BIN)/diarchy run $(TWIN) --seed 4 --report

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
