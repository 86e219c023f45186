"""Which links a nemesis acts on: those between a target and its peers."""
from collections.abc import Generator, Iterator
from typing import Annotated

import msgspec

from diarchy.history.faults import Link
from diarchy.nemeses.plan import Find, World
from diarchy.nemeses.schedule import Schedule
from diarchy.nemeses.shapes import Direction, boundary, mesh
from diarchy.nemeses.targets import RESOURCE, hosts, mistake

Peers = str | tuple[str, ...]

TARGET = "whose links; see the table of targets"
PEERS = "the other end of the links: a target, or a list of them; by default only the links to the nodes are meant"
DIRECTION = "which data is meant: `in` is what flows to the target, `out` what flows from it"


class Links(Schedule, frozen=True):
    """Which links: fields only, shared by the nemeses that act on links."""

    target: Annotated[str, msgspec.Meta(description=TARGET)]
    peers: Annotated[Peers, msgspec.Meta(description=PEERS)] = "nodes"
    direction: Annotated[Direction, msgspec.Meta(description=DIRECTION)] = "both"


def chosen(target: str, peers: Peers, direction: Direction, world: World,
           within: int) -> Generator[Find, tuple[str, ...], tuple[Link, ...]]:
    """Look up both ends; the links between them."""
    ours = yield Find(target, int(within))
    theirs: list[str] = []
    for peer in named(peers):
        theirs += yield Find(peer, int(within))
    return boundary(mesh(world.nodes, world.candidates, RESOURCE), ours, theirs, direction)


def named(peers: Peers) -> tuple[str, ...]:
    """The peers as a list, whichever way they were written."""
    return (peers,) if isinstance(peers, str) else peers


def unlinked(target: str, peers: Peers, world: World) -> Iterator[tuple[str, str]]:
    """Ends that do not exist, that have no link between them, or that may turn out to be the same host."""
    if wrong := mistake(target, world):
        yield "target", wrong
    if not peers:
        yield "peers", "an empty list: name at least one target"
    for peer in named(peers):
        if (wrong := mistake(peer, world)) or (not mistake(target, world) and (wrong := _apart(target, peer, world))):
            yield "peers", wrong


def _apart(target: str, peer: str, world: World) -> str | None:
    match hosts(target), hosts(peer):
        case "all", _:
            return "`all` as the target leaves nobody on the other side; it can be the peers"
        case _, "all":
            return None
        case "node", "node":
            return _same(target, peer, world)
        case ("candidate", "candidate"):
            return "candidates have no links to each other; they have links to the nodes and to the resource"
        case ("node", "resource") | ("resource", "node") if world.candidates:
            return "the resource has links to the candidates only" + ("; give `candidates`" if peer == "nodes" else "")
        case ("resource", "resource"):
            return "both ends are the resource"
    return None


def _same(target: str, peer: str, world: World) -> str | None:
    """Two targets among the nodes are sure to differ only where one of them is defined as the rest."""
    if len(world.nodes) < 2:
        return "one node alone has no peers"
    rest = peer == "nodes" and target != "nodes"
    known = target != peer and target in world.nodes and peer in world.nodes
    led = {target, peer} in ({"leader", "follower"}, {"leader", "followers"})
    many = peer == "followers" and target in ("any", "follower", *world.nodes) and len(world.nodes) > 2
    return None if rest or known or led or many else f"{target} and {peer} may be the same node; give `nodes`, which means all the others"
