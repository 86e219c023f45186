"""Partitions have the properties that give them their names, whatever the hosts are called and however the dice fall."""
from random import Random

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from diarchy.history.faults import Link
from diarchy.nemeses import shapes

throws = st.integers(0, 2**32).map(Random)


def nodes(least: int, most: int = 9) -> st.SearchStrategy[tuple[str, ...]]:
    return st.integers(least, most).map(lambda n: tuple(f"n{i + 1}" for i in range(n)))


def hears(names: tuple[str, ...], cut: tuple[Link, ...]) -> dict[str, set[str]]:
    """Whom each node still hears, itself included."""
    return {n: {m for m in names if m == n or (m, n) not in cut} for n in names}


def sides(names: tuple[str, ...], cut: tuple[Link, ...]) -> list[int]:
    graph = nx.Graph()
    graph.add_nodes_from(names)
    graph.add_edges_from((a, b) for a in names for b in names if a < b and (a, b) not in cut)
    return sorted(len(side) for side in nx.connected_components(graph))


def symmetric(cut: tuple[Link, ...]) -> bool:
    return all((b, a) in cut for a, b in cut)


@given(nodes(2), throws)
def test_halves_are_two_sides_as_equal_as_can_be(names: tuple[str, ...], dice: Random) -> None:
    cut = shapes.halves(names, dice)
    assert sides(names, cut) == [len(names) // 2, len(names) - len(names) // 2]
    assert symmetric(cut)


@given(nodes(3), throws)
def test_a_majority_and_a_minority_leave_somebody_with_a_quorum(names: tuple[str, ...], dice: Random) -> None:
    cut = shapes.majority_minority(names, dice)
    quorum = len(names) // 2 + 1
    assert sides(names, cut) == sorted((len(names) - quorum, quorum))
    assert symmetric(cut)


@given(nodes(3), throws)
def test_the_sides_of_a_bridge_meet_in_one_node_only(names: tuple[str, ...], dice: Random) -> None:
    cut = shapes.bridge(names, dice)
    heard = hears(names, cut)
    (bridge, *more) = [n for n in names if heard[n] == set(names)]
    assert not more
    rest = tuple(n for n in names if n != bridge)
    assert sides(rest, cut) == [len(rest) // 2, len(rest) - len(rest) // 2]


@given(nodes(3), throws)
def test_on_a_ring_everybody_hears_a_bare_majority_and_no_two_the_same(names: tuple[str, ...], dice: Random) -> None:
    cut = shapes.ring(names, dice)
    quorum = len(names) // 2 + 1
    heard = hears(names, cut)
    assert all(len(peers) == quorum and n in peers for n, peers in heard.items())
    assert len({frozenset(peers) for peers in heard.values()}) == len(names)
    assert symmetric(cut) == (quorum % 2 == 1)


@given(nodes(1), st.integers(0, 4), st.data())
def test_a_boundary_has_every_link_to_the_peers_and_no_other(names: tuple[str, ...], count: int, data: st.DataObject) -> None:
    candidates = tuple(f"c{i + 1}" for i in range(count))
    everybody = (*names, *candidates, "resource")
    target = data.draw(st.sets(st.sampled_from(everybody), min_size=1))
    peers = data.draw(st.sets(st.sampled_from(everybody)))
    graph = shapes.mesh(names, candidates, "resource")
    into, out = (set(shapes.boundary(graph, target, peers, way)) for way in ("in", "out"))
    assert into | out == set(shapes.boundary(graph, target, peers, "both"))
    assert into == {(b, a) for a, b in out}
    assert out == {(a, b) for a, b in graph.edges if a in target and b in peers - target}


def test_the_mesh_has_the_links_that_clusters_have() -> None:
    links = set(shapes.mesh(("n1", "n2"), ("c1", "c2"), "resource").edges)
    pairs = {("n1", "n2"), ("c1", "n1"), ("c1", "n2"), ("c2", "n1"), ("c2", "n2"), ("c1", "resource"), ("c2", "resource")}
    assert links == pairs | {(b, a) for a, b in pairs}


def test_nodes_that_elect_among_themselves_have_links_to_the_resource() -> None:
    pairs = {("n1", "n2"), ("n1", "resource"), ("n2", "resource")}
    assert set(shapes.mesh(("n1", "n2"), (), "resource").edges) == pairs | {(b, a) for a, b in pairs}


def test_the_dice_decide_which_nodes() -> None:
    names = ("n1", "n2", "n3", "n4", "n5")
    for shape in (shapes.halves, shapes.majority_minority, shapes.bridge, shapes.ring):
        assert shape(names, Random("7/nemesis")) == shape(names, Random("7/nemesis"))
        assert len({shape(names, Random(seed)) for seed in range(20)}) > 1
