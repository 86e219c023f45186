"""Holds what is on its way and delivers it late: the write of a leader that has long been deposed."""
from collections.abc import Iterator
from random import Random

from diarchy.history.faults import Stall
from diarchy.nemeses.links import Links, chosen, unlinked
from diarchy.nemeses.plan import Plan, World
from diarchy.nemeses.schedule import Once, contradictions, scheduled


class StallLinks(Links, frozen=True, tag="stall", tag_field="kind", forbid_unknown_fields=True):
    """Nothing is lost: all data is held on its way, and delivered when the fault is lifted."""

    def faults(self) -> frozenset[type]:
        return frozenset({Stall})

    def problems(self, world: World) -> Iterator[tuple[str, str]]:
        yield from contradictions(self, world)
        yield from unlinked(self.target, self.peers, world)

    def plan(self, world: World, dice: Random) -> Plan:
        def once() -> Once:
            return (Stall((yield from chosen(self.target, self.peers, self.direction, world, self.within))),)
        return scheduled(self, world, once)
