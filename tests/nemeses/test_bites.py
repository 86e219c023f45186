"""Faults of the simulated world bite while they last, and are over when they are lifted."""
from pathlib import Path

import pytest

from diarchy.harness.scenario import load
from diarchy.harness.seeds import told
from diarchy.history.columns import History

S = 10**9


def history(tmp_path: Path, cluster: str, workload: str, nemesis: str) -> History:
    path = tmp_path / "bites.yaml"
    path.write_text(f"name: bites\ncluster: {{kind: simulated, nodes: 3{cluster}}}\nworkload: {{{workload}}}\nduration: 12s\nnemeses: [{{{nemesis}}}]\n")
    return told(load(path), 1)


def accepted(of: History) -> list[int]:
    """When the resource took a write, ns."""
    return [int(of.time[row]) for row in of.where("write", type="ok") if of.op(row).process == "resource"]


@pytest.mark.parametrize("algorithm", ["bully", "ring", "raft"])
@pytest.mark.parametrize("nemesis", [
    "kind: partition, target: leader, peers: resource", "kind: stall, target: resource, peers: leader, direction: in",
    "kind: reset, target: nodes, peers: resource", "kind: latency, target: resource, latency: 3s",
])
def test_a_leading_node_and_the_resource_are_parted_and_meet_again(tmp_path: Path, algorithm: str, nemesis: str) -> None:
    times = accepted(history(tmp_path, "", f"kind: {algorithm}, timeout: 500ms", f"{nemesis}, at: 4s, for: 3s"))
    assert sum(time < 4 * S for time in times) > 5
    assert not [time for time in times if 4 * S + S // 100 < time < 7 * S]
    assert sum(7 * S <= time < 8 * S for time in times) >= 4


def test_a_clock_goes_wrong_and_is_set_right(tmp_path: Path) -> None:
    of = history(tmp_path, ", service: {kind: lease}", "kind: lock", "kind: skew, target: n1, ahead: 10s, drift: 0.1, at: 4s, for: 3s")
    wrong, right = (of.op(row).value for f in ("skew", "unskew") for row in of.where(f, type="ok"))
    assert wrong is not None
    assert right is not None
    assert (wrong["host"], wrong["offset"], wrong["drift"], right["host"]) == ("n1#1", 10 * S, 0.1, "n1#1")
    assert (wrong["evidence"], right["evidence"]) == ("its clock reads 14.000 s", "its clock reads 7.300 s")
