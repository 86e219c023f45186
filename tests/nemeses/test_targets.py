"""Targets mean who leads at that moment, and wait (say nobody) while nobody does."""
from random import Random

import msgspec
import pytest

from diarchy.nemeses.plan import World
from diarchy.nemeses.targets import NAMED, TARGETS, mistake, resolve

NODES, CANDIDATES = ("n1", "n2", "n3", "n4", "n5"), ("c1", "c2", "c3")
WORLD = World(NODES, CANDIDATES, 10**10)


class Seen(msgspec.Struct, frozen=True):
    """Who leads, as a test says."""

    leading: tuple[str, ...] = ()
    office: tuple[str, ...] = ()
    nodes: tuple[str, ...] = NODES
    candidates: tuple[str, ...] = CANDIDATES

    def leader_nodes(self) -> tuple[str, ...]:
        return self.leading

    def leaders(self) -> tuple[str, ...]:
        return self.office


def look(target: str, view: Seen = Seen(("n2",), ("c3",)), seed: int = 0) -> tuple[str, ...]:
    return resolve(target, view, Random(seed))


@pytest.mark.parametrize(("target", "names"), [
    ("leader", ("n2",)), ("followers", ("n1", "n3", "n4", "n5")), ("nodes", NODES), ("n4", ("n4",)),
    ("candidate:leader", ("c3",)), ("candidate:followers", ("c1", "c2")), ("candidates", CANDIDATES), ("c1", ("c1",)),
    ("resource", ("resource",)), ("all", (*NODES, *CANDIDATES, "resource")),
])
def test_who_is_meant(target: str, names: tuple[str, ...]) -> None:
    assert look(target) == names


def test_of_two_claims_the_newer_counts() -> None:
    both = Seen(("n3", "n1"), ("c2", "c1"))
    assert look("leader", both) == ("n3",)
    assert look("candidate:leader", both) == ("c2",)
    assert "n1" in look("followers", both)


@pytest.mark.parametrize("target", ["leader", "follower", "followers", "candidate:leader", "candidate:followers"])
def test_without_a_leader_nobody_is_meant(target: str) -> None:
    assert look(target, Seen()) == ()


@pytest.mark.parametrize(("target", "among", "count"), [
    ("any", set(NODES), 1), ("follower", set(NODES) - {"n2"}, 1), ("minority", set(NODES), 2), ("majority", set(NODES), 3),
    ("candidate:any", set(CANDIDATES), 1),
])
def test_dice_choose_among_all_that_fit(target: str, among: set[str], count: int) -> None:
    throws = [look(target, seed=seed) for seed in range(200)]
    assert {len(names) for names in throws} == {count}
    assert {name for names in throws for name in names} == among
    assert throws == [look(target, seed=seed) for seed in range(200)]


@pytest.mark.parametrize(("nodes", "minority"), [(1, 0), (2, 0), (3, 1), (4, 1), (5, 2), (6, 2), (7, 3)])
def test_a_minority_is_never_half(nodes: int, minority: int) -> None:
    view = Seen(nodes=tuple(f"n{i}" for i in range(nodes)))
    assert len(look("minority", view)) == minority
    assert len(look("majority", view)) == nodes // 2 + 1


def test_every_name_of_the_table_can_be_looked_up() -> None:
    assert len(NAMED) == len(TARGETS)
    assert all(look(target.name) for target in TARGETS)
    assert all(mistake(target.name, WORLD) is None for target in TARGETS)


def test_an_unknown_target_is_an_error() -> None:
    with pytest.raises(KeyError):
        look("leadr")


@pytest.mark.parametrize(("target", "said"), [
    ("leadr", "unknown target 'leadr'; did you mean 'leader'?"),
    ("n7", "there is no n7; the nodes are n1 to n5"),
    ("c4", "there is no c4; the candidates are c1 to c3"),
    ("n0", "there is no n0; the nodes are n1 to n5"),
    ("n01", "there is no n01; the nodes are n1 to n5"),
])
def test_what_is_wrong_with_a_target(target: str, said: str) -> None:
    assert mistake(target, WORLD) == said


@pytest.mark.parametrize(("target", "world"), [
    ("follower", World(("n1",), CANDIDATES, 1)), ("followers", World(("n1",), CANDIDATES, 1)),
    ("minority", World(("n1", "n2"), CANDIDATES, 1)), ("candidate:followers", World(NODES, ("c1",), 1)),
    ("leader", World(NODES, CANDIDATES, 1, led=False)), ("follower", World(NODES, CANDIDATES, 1, led=False)),
    ("followers", World(NODES, CANDIDATES, 1, led=False)), ("candidates", World(NODES, (), 1)),
])
def test_a_target_that_can_never_exist_is_refused(target: str, world: World) -> None:
    assert mistake(target, world)


PEERS = World(NODES, (), 10**10)


@pytest.mark.parametrize("target", [target.name for target in TARGETS])
def test_nodes_that_elect_among_themselves_have_no_candidates(target: str) -> None:
    said = mistake(target, PEERS)
    assert said == ("there are no candidates here: the nodes elect a leader among themselves" if target.startswith("candidate") else None)
    assert mistake("c1", PEERS) == "there is no c1; there are no candidates"


def test_a_leading_node_is_a_target_where_nodes_elect_among_themselves() -> None:
    view = Seen(("n4",), (), candidates=())
    assert look("leader", view) == ("n4",)
    assert look("followers", view) == ("n1", "n2", "n3", "n5")
    assert look("all", view) == (*NODES, "resource")
