"""What a plan asks is done and recorded as realised, also where it cannot be done, and is undone when the run ends."""
from pathlib import Path

import pytest
from cluster_runs import diarchy, findings, history, run_of

from diarchy.history.op import Op

pytestmark = pytest.mark.docker

SCENARIO = """
name: drive
cluster: {kind: etcd, nodes: 3}
workload: {kind: lock, candidates: 2, ttl: 2s, renew_every: 500ms}
duration: 8s
settle: 1s
nemeses:
  - {kind: stall, target: "candidate:leader", peers: resource, at: 500ms}
  - {kind: kill, target: majority, at: 2s}
  - {kind: partition, target: leader, at: 5s, within: 1s}
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Op], Path, str]:
    """Two of three servers are killed for good, so that there is no leader to isolate; a stall is in force when the run ends."""
    out = tmp_path_factory.mktemp("drive")
    scenario = out / "drive.yaml"
    scenario.write_text(SCENARIO)
    done = diarchy("run", scenario, "--out", out)
    assert done.returncode == 3, done.stdout + done.stderr
    folder = run_of(out)
    return history(folder), folder, done.stdout


def by(ops: list[Op], nemesis: str) -> list[tuple[str, str]]:
    return [(op.type, op.f) for op in ops if op.process == nemesis]


def test_what_was_killed_without_an_end_stays_dead(ran: tuple[list[Op], Path, str]) -> None:
    ops, _, _ = ran
    killed = [("invoke", "kill"), ("ok", "kill")]
    assert by(ops, "nemesis/2-kill") == killed * 2
    assert len({op.value["host"] for op in ops if op.f == "kill"}) == 2


def test_a_fault_without_an_end_is_lifted_at_the_deadline(ran: tuple[list[Op], Path, str]) -> None:
    ops, _, _ = ran
    assert by(ops, "nemesis/1-stall") == [("invoke", "stall"), ("ok", "stall"), ("invoke", "heal"), ("ok", "heal")]
    stall, _, heal, healed = [op for op in ops if op.process == "nemesis/1-stall"]
    (deadline,) = [op.time for op in ops if op.f == "deadline"]
    began = min(op.time for op in ops if op.f == "ready")
    assert healed.value["lifts"] == heal.value["lifts"] == stall.index
    assert stall.time - began >= 500_000_000
    assert abs(heal.time - deadline) < 1_000_000_000


def test_a_target_that_is_not_there_in_time_is_told_and_makes_the_run_inconclusive(ran: tuple[list[Op], Path, str]) -> None:
    ops, folder, printed = ran
    (find,) = [op for op in ops if op.process == "nemesis/3-partition"]
    assert (find.type, find.f, find.value) == ("fail", "find", {"target": "leader"})
    assert "no leader was found within 1 s" in " ".join(printed.split())
    assert findings(folder, "assumptions") != []
