"""However a run ends, nothing of it is left, and the history so far can be checked."""
import signal
import time
from pathlib import Path

import pytest
from cluster_runs import ROOT, begin, children, diarchy, history, left_behind, run_of, stop, until, verdict

pytestmark = pytest.mark.docker

SCENARIO = ROOT / "scenarios/etcd/paused-leader.yaml"
LONG = ("--set", "duration=60s")


def running(out: Path) -> Path:
    """The folder of a run in which a leader has written."""
    folder = until(lambda: next((p.parent for p in out.glob("*/*/history.jsonl")), None))
    until(lambda: any(op.process == "resource" and op.type == "ok" for op in history(folder)))
    return Path(folder)


def run_id(folder: Path) -> str:
    import json
    return str(json.loads((folder / "run.json").read_bytes())["id"])


def nothing_left(folder: Path) -> None:
    assert left_behind(run_id(folder)) == []
    until(lambda: not children(folder), within_s=5)


@pytest.mark.parametrize(("how", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_one_signal_ends_a_run_in_order(tmp_path: Path, how: signal.Signals, status: int) -> None:
    process = begin("run", SCENARIO, "--out", tmp_path, *LONG)
    try:
        folder = running(tmp_path)
        process.send_signal(how)
        _, errors = process.communicate(timeout=30)
    finally:
        stop(process)
    assert process.returncode == status, errors
    nothing_left(folder)
    assert "Traceback" not in errors
    assert verdict(folder)["scenario"] == "paused-leader"
    assert diarchy("check", folder).returncode in (0, 1, 3)


def test_a_signal_while_the_cluster_starts(tmp_path: Path) -> None:
    process = begin("run", SCENARIO, "--out", tmp_path, *LONG)
    try:
        folder = Path(until(lambda: next((p.parent for p in tmp_path.glob("*/*/run.json")), None)))
        name = run_id(folder)
        until(lambda: left_behind(name))
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    finally:
        stop(process)
    assert process.returncode == 130, errors
    assert left_behind(name) == []
    assert "Traceback" not in errors


def test_two_signals_end_a_run_at_once(tmp_path: Path) -> None:
    process = begin("run", SCENARIO, "--out", tmp_path, *LONG)
    try:
        folder = running(tmp_path)
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    finally:
        stop(process)
    assert process.returncode == 130, errors
    nothing_left(folder)
    assert diarchy("check", folder).returncode in (0, 1, 3)


def test_after_a_kill_the_candidates_die_and_the_next_run_removes_the_rest_but_not_a_living_run(tmp_path: Path) -> None:
    living = begin("run", SCENARIO, "--out", tmp_path / "living", *LONG)
    dead = begin("run", SCENARIO, "--out", tmp_path / "dead", *LONG)
    try:
        lives, dies = running(tmp_path / "living"), running(tmp_path / "dead")
        # Killed while its leader is stopped: a stopped child must die too.
        until(lambda: any(op.f == "pause" and op.type == "ok" for op in history(dies)))
        dead.kill()
        dead.communicate(timeout=10)
        until(lambda: not children(dies), within_s=5)
        assert left_behind(run_id(dies)) != []
        cleaned = diarchy("clean")
        assert cleaned.returncode == 0, cleaned.stderr
        assert left_behind(run_id(dies)) == []
        assert len(left_behind(run_id(lives))) == 5, "three nodes, Toxiproxy and the network of the living run"
        assert diarchy("check", dies).returncode in (0, 1, 3)
        living.send_signal(signal.SIGINT)
        _, errors = living.communicate(timeout=30)
        assert living.returncode == 130, errors
        nothing_left(lives)
    finally:
        stop(living)
        stop(dead)


def test_no_engine_is_69_and_says_what_to_do(tmp_path: Path) -> None:
    done = diarchy("run", SCENARIO, "--out", tmp_path / "runs", DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    assert done.returncode == 69
    assert "make docker" in done.stderr
    assert not (tmp_path / "runs/paused-leader").exists(), "a run that never began leaves no folder"


def test_a_missing_image_is_69_and_names_the_command(tmp_path: Path) -> None:
    done = diarchy("run", SCENARIO, "--out", tmp_path / "runs", "--set", "cluster.image=diarchy/none:1")
    assert done.returncode == 69
    assert "diarchy/none:1" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_candidate_that_cannot_start_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    done = diarchy("run", SCENARIO, "--out", tmp_path, "--set", "workload.command=[/no/such/program]")
    assert done.returncode == 65, done.stderr
    assert "/no/such/program" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_cut_history_has_the_verdict_of_the_lines_before_and_a_warning(tmp_path: Path) -> None:
    done = diarchy("run", SCENARIO, "--out", tmp_path, "--set", "duration=12s")
    assert done.returncode == 0, done.stdout + done.stderr
    folder = run_of(tmp_path)
    first = (folder / "verdict.json").read_bytes()
    assert diarchy("check", folder).returncode == 0
    assert (folder / "verdict.json").read_bytes() == first, "the same verdict, byte for byte"
    whole = (folder / "history.jsonl").read_bytes()
    (folder / "history.jsonl").write_bytes(whole[:-20])
    diarchy("check", folder)
    cut = verdict(folder)
    assert len(cut.pop("warnings")) == 1
    (folder / "history.jsonl").write_bytes(whole[:whole[:-20].rfind(b"\n") + 1])
    diarchy("check", folder)
    shorter = verdict(folder)
    shorter.pop("warnings", None)
    assert cut == shorter
    nothing_left(folder)
