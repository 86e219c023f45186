"""Partitions as sets of directed links, from the names of hosts alone.

networkx takes 0.1 s to import, which a run without such a fault is spared.
"""
from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import permutations
from random import Random
from typing import TYPE_CHECKING, Literal

from diarchy.history.faults import Link

if TYPE_CHECKING:
    import networkx as nx

Direction = Literal["both", "in", "out"]


def mesh(nodes: Collection[str], candidates: Collection[str], resource: str) -> nx.DiGraph[str]:
    """Every link that there is: between any two nodes, and from each candidate to each node and to the resource, both ways.
    Without candidates the nodes themselves have links to the resource."""
    import networkx as nx

    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from((*nodes, *candidates, resource))
    graph.add_edges_from(permutations(nodes, 2))
    for candidate in candidates:
        for end in (*nodes, resource):
            graph.add_edges_from(((candidate, end), (end, candidate)))
    if not candidates:
        graph.add_edges_from(link for node in nodes for link in ((node, resource), (resource, node)))
    return graph


def boundary(graph: nx.DiGraph[str], target: Collection[str], peers: Collection[str], direction: Direction) -> tuple[Link, ...]:
    """The links between the targets and the peers outside of them; `in` carries data to the targets, `out` from them."""
    import networkx as nx

    outside = set(peers) - set(target)
    out = nx.edge_boundary(graph, target, outside) if direction != "in" else ()
    into = nx.edge_boundary(graph, outside, target) if direction != "out" else ()
    return tuple(sorted({*out, *into}))


def split(groups: Sequence[Collection[str]]) -> tuple[Link, ...]:
    """Every link between hosts of different groups."""
    import networkx as nx

    whole = nx.complete_multipartite_graph(*map(len, groups))
    names = dict(enumerate(name for group in groups for name in group))
    return tuple(sorted((names[a], names[b]) for a, b in whole.to_directed().edges))


def halves(nodes: Sequence[str], dice: Random) -> tuple[Link, ...]:
    """Two sides of equal size (one more on the second side if the number is odd): with an even number nobody has a majority."""
    order = dice.sample(nodes, len(nodes))
    middle = len(order) // 2
    return split((order[:middle], order[middle:]))


def majority_minority(nodes: Sequence[str], dice: Random) -> tuple[Link, ...]:
    """The smallest majority on one side, the others on the other."""
    order = dice.sample(nodes, len(nodes))
    quorum = len(order) // 2 + 1
    return split((order[:quorum], order[quorum:]))


def bridge(nodes: Sequence[str], dice: Random) -> tuple[Link, ...]:
    """Two sides that reach each other only by one node, which reaches everybody."""
    _, *rest = dice.sample(nodes, len(nodes))
    middle = len(rest) // 2
    return split((rest[:middle], rest[middle:]))


def ring(nodes: Sequence[str], dice: Random) -> tuple[Link, ...]:
    """The majorities' ring: everybody hears a bare majority, itself included, and no two hear the same one (after Jepsen's
    `majorities-ring`, Kingsbury).

    Each hears the nodes nearest to it on a ring in random order. Where a majority is an even number it cannot lie evenly on
    both sides of its centre, and some links are cut in one direction only.
    """
    order = dice.sample(nodes, len(nodes))
    quorum = len(order) // 2 + 1
    heard = range(-((quorum - 1) // 2), quorum // 2 + 1)
    apart = [step for step in range(len(order)) if step not in {offset % len(order) for offset in heard}]
    return tuple(sorted((order[(i + step) % len(order)], order[i]) for i in range(len(order)) for step in apart))
