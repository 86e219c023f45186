"""Many seeds of one scenario: the same outcome with any number of processes, whatever dies or is interrupted; a single run's endings."""
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from cluster_runs import ROOT, begin, diarchy, history, run_of, stop, until, verdict

from diarchy.checkers.judge import encode
from diarchy.clusters import virtual
from diarchy.clusters.virtual import Deadlock
from diarchy.harness import perform, seeds
from diarchy.harness.cli import main
from diarchy.harness.perform import Asked
from diarchy.harness.scenario import load
from diarchy.harness.seeds import Seeds, Trial, once, told
from diarchy.harness.workers import Workers
from diarchy.workloads import simulated

SOUND = ROOT / "scenarios/simulated/paused-leader.yaml"
SHORT = ("--set", "duration=6s", "--set", "nemeses.0.for=3s", "--set", "settle=1s")
"""Long enough for the lease of a paused leader to run out."""
FROZEN = ("--set", "checks=[{kind: overlap, fail_on: [frozen]}]", "--set", "expect={}")
HUNTED = (*FROZEN[:2], "--set", "expect={overlap: {verdict: violation, kinds: [frozen]}}")
LONG = ("--set", "duration=24h")


def summary(*words: object, status: int) -> dict[str, Any]:
    done = diarchy("run", SOUND, *words, "--json", "-q")
    assert done.returncode == status, done.stderr
    return dict(json.loads(done.stdout))


def without(said: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in said.items() if name not in names}


# Which seeds.

@pytest.mark.parametrize(("text", "meant"), [
    ("5", [5]), ("1..4", [1, 2, 3, 4]), ("1..3,20", [1, 2, 3, 20]), ("9, 1..2", [1, 2, 9]), ("1..4,2..3,5", [1, 2, 3, 4, 5]), ("0", [0])])
def test_seeds_are_numbers_and_ranges_each_once_in_order(text: str, meant: list[int]) -> None:
    assert list(Seeds(text)) == meant
    assert Seeds(text).count == len(meant)


def test_a_range_may_have_no_end() -> None:
    assert list(islice(Seeds("7.."), 3)) == [7, 8, 9]
    assert Seeds("7..").count is None


@pytest.mark.parametrize("text", ["", "x", "1..x", "-1", "4..1", "1,,2", "1...3", str(2**63), "٣"])
def test_what_is_no_seed_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"seed|range"):
        Seeds(text)
    done = diarchy("run", SOUND, f"--seeds={text}" if text else "--seeds=,")
    assert done.returncode == 64
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [("--seeds", "1..2", "--seed", "1"), ("--until", "doomsday"), ("--seeds", "1", "--jobs", "0"),
                                   ("--seeds", "1", "--check-determinism")])
def test_options_that_cannot_be_meant_are_refused(words: tuple[str, ...]) -> None:
    assert diarchy("run", SOUND, *words).returncode == 64


def test_real_servers_have_one_run_at_a_time(tmp_path: Path) -> None:
    done = diarchy("run", ROOT / "scenarios/etcd/paused-leader.yaml", "--seeds", "1..2", "--out", tmp_path / "runs")
    assert done.returncode == 64
    assert "many seeds are for simulated scenarios" in done.stderr
    assert not (tmp_path / "runs").exists()


# What becomes of them.

def test_a_run_in_memory_is_the_run_with_files(tmp_path: Path) -> None:
    assert diarchy("run", SOUND, *SHORT, "--seed", 3, "--out", tmp_path, "-q", "--json").returncode == 0
    scenario = load(SOUND, SHORT[1::2])
    assert encode(once(scenario, 3)) == (run_of(tmp_path) / "verdict.json").read_bytes()
    kept = told(scenario, 3)
    assert [kept.op(row) for row in range(len(kept))] == history(run_of(tmp_path))


def test_all_as_expected_keeps_no_files(tmp_path: Path) -> None:
    said = summary("--seeds", "1..6", *SHORT, "--out", tmp_path / "runs", status=0)
    assert said["verdicts"] == {"valid": 6, "violation": 0, "inconclusive": 0, "error": 0}
    assert (said["as_expected"], said["failures"], said["violation"]) == (True, [], None)
    assert not (tmp_path / "runs").exists()


def test_the_outcome_is_the_same_with_one_process_or_three(tmp_path: Path) -> None:
    one, three = (summary("--seeds", "1..6", "--jobs", jobs, *SHORT, *FROZEN, "--out", tmp_path, status=1) for jobs in (1, 3))
    folders = [failure.pop("folder") for said in (one, three) for failure in (*said["failures"], said["violation"])]
    assert without(one, "seconds") == without(three, "seconds")
    assert len(set(folders)) == 12
    assert [failure["seed"] for failure in one["failures"]] == [1, 2, 3, 4, 5, 6]
    assert one["found"] == [{"kind": "overlap: frozen", "seeds": 6, "first": 1}]


def test_a_failing_seed_has_its_files_and_the_line_that_runs_it_again(tmp_path: Path) -> None:
    done = diarchy("run", SOUND, "--seeds", "4,9", *SHORT, *FROZEN, "--out", tmp_path)
    assert done.returncode == 1
    again = [line.split("again:")[1].split() for line in done.stdout.splitlines() if "again:" in line]
    assert [words[:5] for words in again] == [["diarchy", "run", "scenarios/simulated/paused-leader.yaml", "--seed", seed] for seed in "49"]
    folders = sorted(path.parent for path in tmp_path.glob("*/*/verdict.json"))
    assert [verdict(folder)["seed"] for folder in folders] == [4, 9]
    assert all(str(folder) in done.stdout and (folder / "history.jsonl").stat().st_size for folder in folders)
    assert "overlap: valid was expected, it is violation (frozen)" in done.stdout


def test_until_violation_stops_at_the_first_and_is_content_if_it_is_expected(tmp_path: Path) -> None:
    said = summary("--until", "violation", *SHORT, *HUNTED, "--out", tmp_path, status=0)
    assert (said["done"], said["violation"]["seed"], said["failures"], said["as_expected"]) == (1, 1, [], True)
    assert verdict(Path(said["violation"]["folder"]))["verdict"] == "violation"


def test_a_violation_that_is_expected_and_not_found_is_a_failure(tmp_path: Path) -> None:
    said = summary("--until", "violation", "--seeds", "1..3", *SHORT, *HUNTED, "--set", "nemeses=[]", "--out", tmp_path, status=1)
    assert (said["done"], said["violation"], said["as_expected"]) == (3, None, False)


def test_a_violation_that_is_not_expected_is_a_failure_wherever_it_stops(tmp_path: Path) -> None:
    for end in ("violation", "unexpected"):
        said = summary("--until", end, "--seeds", "5..99", *SHORT, *FROZEN, "--out", tmp_path, status=1)
        assert (said["done"], [failure["seed"] for failure in said["failures"]]) == (1, [5])


def test_inconclusive_runs_alone_have_a_status_of_their_own(tmp_path: Path) -> None:
    said = summary("--seeds", "1..2", *SHORT, "--set", "checks=[{kind: assumptions, min_writes: 100000}]", "--set", "expect={}", "--out", tmp_path, status=3)
    assert said["verdicts"]["inconclusive"] == said["not_as_expected"] == 2


# Processes that die, and signals.

def trials(scenario: Any, text: str, jobs: int, heard: Callable[[Workers, Trial], None]) -> list[Trial]:
    workers, found = Workers(scenario, Seeds(text), jobs), []
    try:
        for trial in workers.results(1.0):
            if trial is not None:
                heard(workers, trial)
                found.append(trial)
    finally:
        workers.close()
    return found


def test_a_process_that_dies_is_replaced_and_its_seed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def trial(scenario: Any, seed: int) -> Trial:
        if seed in (3, 4):
            os.kill(os.getpid(), signal.SIGKILL)
        return Trial(seed, "valid", True)

    monkeypatch.setattr("diarchy.harness.workers.trial", trial)
    found = trials(load(SOUND), "1..8", 2, lambda workers, trial: None)
    assert [trial.seed for trial in found] == list(range(1, 9))
    assert [trial.seed for trial in found if trial.verdict == "error"] == [3, 4]
    assert found[2].why == ("the process that ran it ended with SIGKILL",)


def test_an_error_in_a_run_is_a_trial_with_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeds, "judge", lambda history: 1 // 0)
    [only] = trials(load(SOUND), "1", 1, lambda workers, trial: None)
    assert only == Trial(1, "error", False, why=("ZeroDivisionError: integer division or modulo by zero",))


def descendants(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_ends_many_seeds_and_their_processes(number: signal.Signals, tmp_path: Path) -> None:
    process = begin("run", SOUND, "--seeds", "1..", "--jobs", 2, *LONG, "--json", "--out", tmp_path)
    try:
        children = until(lambda: len(found := descendants(process.pid)) == 2 and found)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    finally:
        stop(process)
    until(lambda: not any(Path(f"/proc/{child}").exists() for child in children), 10)
    if number == signal.SIGKILL:
        return
    assert process.returncode == 128 + number, err
    assert (json.loads(out)["interrupted"], json.loads(out)["done"]) == (True, 0)
    assert "Traceback" not in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_long_simulated_run_in_order(number: signal.Signals, tmp_path: Path) -> None:
    process = begin("run", SOUND, *LONG, "--set", "nemeses=[]", "--out", tmp_path, "--json")
    try:
        until(lambda: [path for path in tmp_path.glob("*/*/history.jsonl") if path.stat().st_size > 100_000])
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    finally:
        stop(process)
    assert process.returncode == 128 + number, err
    folder = run_of(tmp_path)
    assert (folder / "history.jsonl").read_bytes().endswith(b"}\n")
    assert history(folder)[0].f == "setup"
    assert json.loads(out) == verdict(folder)
    assert "interrupted: cleaning up" in err


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """A world that never comes to rest: the tear-down waits for simulated hours."""
    program = ("import asyncio, sys; from diarchy.harness import run\n"
               "async def close(self): await asyncio.sleep(10**8)\n"
               "from diarchy.workloads.simulated import SimulatedCrew; SimulatedCrew.close = close\n"
               "from diarchy.harness.cli import main; main()")
    process = subprocess.Popen([sys.executable, "-c", program, "run", SOUND, *LONG, "--out", tmp_path], cwd=ROOT, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stderr is not None
        until(lambda: [path for path in tmp_path.glob("*/*/history.jsonl") if path.stat().st_size > 10_000])
        process.send_signal(signal.SIGINT)
        while "interrupted" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    finally:
        stop(process)
    assert process.returncode == 130
    assert (run_of(tmp_path) / "history.jsonl").read_bytes().endswith(b"}\n")


# What goes wrong within.

class Stuck:
    """A recipe that waits for what never comes."""

    def __init__(self, *_: object) -> None: ...

    async def run(self) -> None:
        await virtual.asyncio.Event().wait()

    def stop(self) -> None: ...


class Broken(Stuck):
    """A recipe with a bug."""

    async def run(self) -> None:
        raise ZeroDivisionError("a bug")


def test_a_deadlock_ends_a_run_with_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                                               capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(simulated, "Recipe", Stuck)
    with pytest.raises(Deadlock):
        once(load(SOUND, ("nemeses=[]",)), 1)
    assert perform.perform(Asked(SOUND, tmp_path, ("nemeses=[]",)), 1, as_json=True, quiet=True) == 70
    said = capsys.readouterr().err
    assert said.startswith("diarchy: deadlock after ")
    assert "c1#1 waits in Event.wait, line" in said
    assert "c3#1 waits in Event.wait, line" in said
    assert (run_of(tmp_path) / "history.jsonl").read_bytes().endswith(b"}\n")


def test_a_bug_ends_a_run_with_a_traceback_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                                                     capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(simulated, "Recipe", Broken)
    assert perform.perform(Asked(SOUND, tmp_path), 1, as_json=True, quiet=True) == 70
    said = capsys.readouterr().err
    assert "internal error: ZeroDivisionError: a bug" in said
    file = Path(said.partition("The traceback is in ")[2].partition(";")[0])
    assert "in run\n" in file.read_text()
    file.unlink()


def test_errors_outweigh_all_else_and_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                                               capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(simulated, "Recipe", Stuck)
    monkeypatch.setattr(sys, "argv", ["diarchy", "run", str(SOUND), "--seeds", "1..2", "--set", "nemeses=[]", "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 70
    said = capsys.readouterr().out
    assert "2 error" in said
    assert said.count("Deadlock: deadlock after") == 2
    assert len(list(tmp_path.glob("*/*/history.jsonl"))) == 2


# What a simulated run needs.

def test_a_simulated_run_needs_no_engine_and_imports_little(tmp_path: Path) -> None:
    program = "import sys; from diarchy.harness.cli import main\ntry: main()\nfinally: print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program, "run", SOUND, *SHORT, "--out", tmp_path, "-q", "--json"], cwd=ROOT, text=True,
                          capture_output=True, check=False, env={**os.environ, "DOCKER_HOST": "unix:///nowhere"})
    assert done.returncode == 0, done.stderr
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert not loaded & {"docker", "toxiproxy", "aiohttp", "h11", "requests", "bokeh", "jinja2", "networkx", "jsonschema"}
    assert not any(name.startswith(("diarchy.clusters.docker", "diarchy.clusters.etcd.cluster", "diarchy.workloads.launch"))
                   for name in done.stderr.split())


def test_the_report_of_a_simulated_run_is_written_when_it_is_asked_for(tmp_path: Path) -> None:
    done = diarchy("run", SOUND, *SHORT, "--seed", 1, "--out", tmp_path / "plain")
    folder = run_of(tmp_path / "plain")
    assert not (folder / "report.html").exists()
    assert f"report: diarchy report {folder}\n" in done.stderr
    done = diarchy("run", SOUND, *SHORT, "--seed", 1, "--out", tmp_path / "drawn", "--report")
    folder = run_of(tmp_path / "drawn")
    assert (folder / "report.html").stat().st_size > 100_000
    assert f"report: {folder}/report.html\n" in done.stderr
