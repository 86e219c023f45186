"""Whether an election is possible at all: the connected part of what the faults have left."""
from __future__ import annotations

from collections.abc import Collection

import networkx as nx

from diarchy.history.faults import Link


def can_elect(nodes: Collection[str], candidates: Collection[str], quorum: int, alive: Collection[str],
              paused: Collection[str], cut: Collection[Link]) -> bool:
    """True if some node that runs has both directions open to a quorum (itself included), and to an awake candidate.

    `alive` names the nodes and candidates whose process exists, `paused` those that are stopped, `cut` the directed links
    on which nothing passes.
    """
    awake = set(alive) - set(paused)
    graph: nx.Graph[str] = nx.Graph()
    graph.add_nodes_from(awake)
    names = sorted(awake & (set(nodes) | set(candidates)))
    closed = set(cut)
    graph.add_edges_from((a, b) for i, a in enumerate(names) for b in names[i + 1:]
                         if (a, b) not in closed and (b, a) not in closed)
    return any(sum(peer in nodes for peer in graph[node]) + 1 >= quorum and any(peer in candidates for peer in graph[node])
               for node in nodes if node in awake)
