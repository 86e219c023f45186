"""Whether an election is possible at all: the connected part of what the faults have left."""
from collections.abc import Collection, Mapping

from diarchy.history.faults import Link


def can_elect(nodes: Collection[str], candidates: Collection[str], quorum: int, alive: Collection[str],
              paused: Collection[str], cut: Collection[Link]) -> bool:
    """True if some node that runs has both directions open to a quorum (itself included), and to an awake candidate.

    `alive` names the nodes and candidates whose process exists, `paused` those that are stopped, `cut` the directed links
    on which nothing passes.
    """
    awake = set(alive) - set(paused)
    names = awake & (set(nodes) | set(candidates))
    graph = _open(names, cut) if cut else {name: names - {name} for name in names}
    return any(sum(peer in nodes for peer in graph[node]) + 1 >= quorum and (not candidates or any(peer in candidates for peer in graph[node]))
               for node in nodes if node in awake)


def _open(names: Collection[str], cut: Collection[Link]) -> Mapping[str, Collection[str]]:
    """For each name, those with which both directions are open."""
    import networkx as nx  # 0.1 s, which a run without cuts is spared

    graph: nx.Graph[str] = nx.complete_graph(sorted(names))
    graph.remove_edges_from(cut)
    return graph.adj
