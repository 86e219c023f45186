"""Whether an election is possible, against the definition taken literally."""
import subprocess
import sys
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from diarchy.history.reach import can_elect

NODES, CANDIDATES = ("n1", "n2", "n3", "n4"), ("c1", "c2")
ALL = (*NODES, *CANDIDATES)
HOSTS = st.sets(st.sampled_from(ALL))
LINKS = st.sets(st.sampled_from(sorted(permutations(ALL, 2))))
ELSEWHERE = {("n9", "c9")}
"""A cut that touches nobody: with it the connected part is looked for, without it nothing can be cut off."""


def literally(candidates: tuple[str, ...], quorum: int, awake: set[str], cut: set[tuple[str, str]]) -> bool:
    def near(node: str, others: tuple[str, ...]) -> int:
        return sum(other in awake and other != node and not {(node, other), (other, node)} & cut for other in others)
    return any(node in awake and near(node, NODES) + 1 >= quorum and near(node, candidates) > 0 for node in NODES)


@given(st.sampled_from([CANDIDATES, ("c1",), NODES]), st.integers(0, 5), HOSTS, HOSTS, LINKS)
def test_as_defined(candidates: tuple[str, ...], quorum: int, alive: set[str], paused: set[str], cut: set[tuple[str, str]]) -> None:
    assert can_elect(NODES, candidates, quorum, alive, paused, cut) == literally(candidates, quorum, alive - paused, cut)


@given(st.sampled_from([CANDIDATES, (), NODES]), st.integers(0, 5), HOSTS, HOSTS)
def test_a_world_without_cuts_needs_no_graph(candidates: tuple[str, ...], quorum: int, alive: set[str], paused: set[str]) -> None:
    assert can_elect(NODES, candidates, quorum, alive, paused, ()) == can_elect(NODES, candidates, quorum, alive, paused, ELSEWHERE)


def test_judging_starts_without_networkx() -> None:
    told = "import sys, diarchy.checkers.judge; print('networkx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", told], check=True, capture_output=True, text=True).stdout == "False\n"
