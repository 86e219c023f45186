"""A simulated run is a function of scenario and seed: the same bytes in any process, under any hash seed, on every promised Python."""
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from cluster_runs import ROOT, diarchy, run_of
from test_pythons import MINE, PROMISED, environment, interpreter

from diarchy.harness import determinism
from diarchy.harness.perform import Asked
from diarchy.harness.scenario import load

SCENARIOS = sorted(path for path in (ROOT / "scenarios").rglob("*.yaml") if not load(path).cluster.real)
SEED = 7
HASHES = """
import sys
from hashlib import sha256
from pathlib import Path
from diarchy.harness.perform import Asked, into_folder
for word in sys.argv[2:]:
    asked = Asked(Path(word), Path(sys.argv[1]))
    run, _ = into_folder(asked.load(), asked, 7, quiet=True)
    print(sha256(run.folder.history.read_bytes()).hexdigest())
"""


def hashes(program: str | Path, out: Path, hash_seed: int) -> list[str]:
    """Of the history of each scenario, run by another Python in a process of its own."""
    done = subprocess.run([program, "-c", HASHES, out, *SCENARIOS], env={**os.environ, "PYTHONHASHSEED": str(hash_seed)}, cwd=ROOT,
                          text=True, capture_output=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return hashes(sys.executable, tmp_path_factory.mktemp("mine"), 1)


def test_two_processes_with_two_hash_seeds_write_the_same_bytes(mine: list[str], tmp_path: Path) -> None:
    assert len(mine) == len(SCENARIOS) > 0
    assert hashes(sys.executable, tmp_path, 2) == mine


@pytest.mark.pythons
@pytest.mark.parametrize("version", [version for version in PROMISED if version != MINE])
def test_another_python_writes_the_same_bytes(version: str, mine: list[str], tmp_path: Path) -> None:
    program = interpreter(version)
    if program is None:
        pytest.skip(f"no Python {version} on this machine")
    assert hashes(environment(version, program), tmp_path, 3) == mine


def test_another_seed_writes_others(tmp_path: Path) -> None:
    histories = set()
    for seed in (1, 2):
        assert diarchy("run", SCENARIOS[0], "--seed", seed, "--out", tmp_path / str(seed), "-q", "--json").returncode == 0
        lines = (run_of(tmp_path / str(seed)) / "history.jsonl").read_bytes().splitlines()
        histories.add(sha256(b"\n".join(lines[1:])).digest())
    assert len(histories) == 2


def test_the_check_says_that_the_histories_are_the_same() -> None:
    done = diarchy("run", SCENARIOS[0], "--check-determinism", "--seed", SEED)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{SCENARIOS[0].stem}, seed {SEED}: twice the same " in done.stdout


def test_the_check_shows_the_first_line_that_differs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Two runs that differ from their set-up on: each process is given a seed of its own."""
    seeds = iter((1, 2))
    words = determinism.words
    monkeypatch.setattr(determinism, "words", lambda asked, seed, out: words(asked, next(seeds), out))
    assert determinism.compare(Asked(SCENARIOS[0]), SEED) == 1
    said = capsys.readouterr().out.splitlines()
    assert "the histories differ from line 1 on" in said[0]
    assert [line.startswith('  {"index":0,') for line in said[1:]] == [True, True]


def test_the_check_refuses_what_is_not_simulated_and_says_why_a_run_failed() -> None:
    done = diarchy("run", ROOT / "scenarios/etcd/paused-leader.yaml", "--check-determinism")
    assert (done.returncode, done.stdout) == (64, "")
    assert "not simulated" in done.stderr
    done = diarchy("run", SCENARIOS[0], "--check-determinism", "--set", "cluster.nodes=0")
    assert done.returncode == 65
