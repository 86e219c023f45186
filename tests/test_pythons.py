"""The tests that need no engine and no browser pass on every other Python that pyproject.toml promises and this machine has."""
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PROMISED = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if line.startswith("Programming Language :: Python :: 3.")]
MINE = ".".join(map(str, sys.version_info[:2]))


def interpreter(version: str) -> str | None:
    """A Python of that version which works (a pyenv shim may not)."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for candidate in (shutil.which(f"python{version}"), *map(str, sorted(pyenv.glob(f"{version}.*/bin/python"), reverse=True))):
        if candidate and subprocess.run([candidate, "-c", "import venv, ensurepip"], capture_output=True, check=False).returncode == 0:
            return candidate
    return None


def environment(version: str, program: str) -> Path:
    """A virtual environment of that version with this tree in it, made once for each state of pyproject.toml."""
    folder = ROOT / "build" / f"python{version}"
    stamp = folder / ".ready"
    wanted = (ROOT / "pyproject.toml").read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        succeed(program, "-m", "venv", str(folder))
        succeed(str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--editable", ".[dev]")
        stamp.write_text(wanted)
    return folder / "bin/python"


def succeed(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900, check=False)
    if done.returncode:
        pytest.fail(f"{' '.join(command)} ended with status {done.returncode}:\n{done.stdout[-12000:]}", pytrace=False)
    return done.stdout


def test_this_python_is_a_promised_one() -> None:
    assert MINE in PROMISED
    assert PROJECT["requires-python"] == f">={PROMISED[0]}"


@pytest.mark.pythons
@pytest.mark.parametrize("version", [version for version in PROMISED if version != MINE])
def test_the_suite_passes_on(version: str) -> None:
    program = interpreter(version)
    if program is None:
        pytest.skip(f"no Python {version} on this machine")
    wanted = ["-m", "not docker and not browser and not pythons and not storm", "--ignore", "tests/test_ci_engine.py"]
    said = succeed(str(environment(version, program)), "-m", "pytest", "--quiet", *wanted)
    assert " passed" in said
