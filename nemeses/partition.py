"""Cuts the network: the classic nemesis."""
from collections.abc import Iterator
from random import Random
from typing import Annotated, Literal

import msgspec

from diarchy.history.faults import Cut, Link
from diarchy.nemeses import shapes
from diarchy.nemeses.links import DIRECTION, PEERS, TARGET, Peers, chosen, unlinked
from diarchy.nemeses.plan import Plan, World
from diarchy.nemeses.schedule import Once, Schedule, contradictions, scheduled
from diarchy.nemeses.shapes import Direction

Shape = Literal["isolate", "halves", "majority-minority", "bridge", "ring"]


class Partition(Schedule, frozen=True, tag="partition", tag_field="kind", forbid_unknown_fields=True):
    """Hosts run on, but some of them cannot reach each other.

    An isolated node is cut from the other nodes; candidates still reach it, which is where a deposed leader does harm. One that
    elects a leader with the others still reaches the resource. `peers: all` cuts it from everybody. An isolated candidate is cut
    from the nodes, and still reaches the resource.
    The other shapes are of the nodes alone.
    """

    shape: Annotated[Shape, msgspec.Meta(description=(
        "isolate: the target from its peers; halves: two sides of equal size; majority-minority: a bare majority from the rest; "
        "bridge: two sides that meet in one node; ring: each node hears a majority, no two of them the same one"))] = "isolate"
    target: Annotated[str | None, msgspec.Meta(description=f"of `isolate`: {TARGET}")] = None
    peers: Annotated[Peers | None, msgspec.Meta(description=f"of `isolate`: {PEERS}")] = None
    direction: Annotated[Direction, msgspec.Meta(description=f"of `isolate`: {DIRECTION}")] = "both"
    how: Annotated[Literal["drop", "packets"], msgspec.Meta(description=(
        "drop: a proxy loses all bytes, and closes the connections on healing; packets: the true loss of packets, by iptables"
    ))] = "drop"

    def faults(self) -> frozenset[type]:
        return frozenset({Cut})

    def problems(self, world: World) -> Iterator[tuple[str, str]]:
        yield from contradictions(self, world)
        if self.shape == "isolate":
            if self.target is None:
                yield "target", "the key 'target' is missing: whom to isolate"
            else:
                yield from unlinked(self.target, _peers(self.peers), world)
            return
        for key, given in (("target", self.target), ("peers", self.peers), ("direction", self.direction != "both")):
            if given:
                yield key, f"the shape {self.shape} has no {key}; only isolate has"
        least = 2 if self.shape == "halves" else 3
        if len(world.nodes) < least:
            yield "shape", f"{self.shape} takes at least {least} nodes"

    def plan(self, world: World, dice: Random) -> Plan:
        def once() -> Once:
            if self.shape == "isolate" and self.target is not None:
                links = yield from chosen(self.target, _peers(self.peers), self.direction, world, self.within)
            else:
                links = _shaped(self.shape, world, dice)
            return (Cut(links, self.how),)
        return scheduled(self, world, once)


def _peers(peers: Peers | None) -> Peers:
    return "nodes" if peers is None else peers


def _shaped(shape: Shape, world: World, dice: Random) -> tuple[Link, ...]:
    match shape:
        case "halves":
            return shapes.halves(world.nodes, dice)
        case "majority-minority":
            return shapes.majority_minority(world.nodes, dice)
        case "bridge":
            return shapes.bridge(world.nodes, dice)
        case "ring":
            return shapes.ring(world.nodes, dice)
        case "isolate":
            raise ValueError("isolate needs a target")
