"""What users install: the wheel holds the tree's files, no more and no fewer, and works away from the tree."""
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("history", "checkers", "clusters", "nemeses", "workloads", "reports", "harness")


def run(*command: str | Path, cwd: Path, within_s: float = 300) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHONPATH", "VIRTUAL_ENV", "PIP_REQUIRE"))}
    return subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True, timeout=within_s, check=False)


def tree() -> list[str]:
    """The files that git knows or would add."""
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    assert listed.returncode == 0, listed.stderr
    return sorted({line for line in listed.stdout.splitlines() if (ROOT / line).is_file()})


@pytest.fixture(scope="module")
def copied() -> list[str]:
    return tree()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, copied: list[str]) -> Path:
    """Built from a copy, because setuptools puts whatever an earlier build left in `build/` into the wheel."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in copied:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    built = run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", out, ".", cwd=source)
    assert built.returncode == 0, built.stdout + built.stderr
    [made] = out.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Iterator[Path]:
    """The folder of a clean environment's programs."""
    place = tmp_path_factory.mktemp("clean")
    for command in (
        (sys.executable, "-m", "venv", place),
        (place / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel),
    ):
        done = run(*command, cwd=place)
        assert done.returncode == 0, done.stdout + done.stderr
    yield place / "bin"
    shutil.rmtree(place)


def test_the_wheel_holds_the_trees_files_and_nothing_else(wheel: Path, copied: list[str]) -> None:
    with zipfile.ZipFile(wheel) as packed:
        held = {name for name in packed.namelist() if ".dist-info/" not in name}
    assert held == {f"diarchy/{name}" for name in copied if name.split("/")[0] in FOLDERS}
    assert "diarchy/clusters/docker/build/etcd/go.sum" in held


def test_nothing_of_ours_lands_beside_the_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        tops = {name.split("/")[0] for name in packed.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"diarchy"}


@pytest.mark.parametrize(("words", "answer"), [(("--help",), "Exit status"), (("list",), "etcd"), (("--version",), "diarchy ")])
def test_the_installed_command_answers(installed: Path, tmp_path: Path, words: tuple[str, ...], answer: str) -> None:
    done = run(installed / "diarchy", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert answer in done.stdout


def test_every_module_imports_from_the_wheel_alone(installed: Path, tmp_path: Path, copied: list[str]) -> None:
    modules = [
        "diarchy." + name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name in copied
        if name.endswith(".py") and name.split("/")[0] in FOLDERS and not name.endswith("__main__.py")
    ]
    script = f"import importlib, sys; [importlib.import_module(name) for name in {modules!r}]; print(sys.modules['diarchy.history.op'].__file__)"
    done = run(installed / "python", "-c", script, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert str(installed.parent) in done.stdout, "imported from the tree, not from the wheel"


@pytest.mark.docker
def test_a_scenario_runs_from_the_installed_command(installed: Path, tmp_path: Path) -> None:
    scenario = tmp_path / "graceful-handover.yaml"
    shutil.copy(ROOT / "scenarios/etcd/graceful-handover.yaml", scenario)
    done = run(installed / "diarchy", "run", scenario, "--out", tmp_path / "runs", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    [history] = (tmp_path / "runs").rglob("history.jsonl")
    assert (history.parent / "verdict.json").exists()
    assert (history.parent / "report.html").stat().st_size > 100_000
