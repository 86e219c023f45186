"""Resets connections, as a crashed proxy or a firewall that forgot them does."""
from collections.abc import Iterator
from random import Random

from diarchy.history.faults import Reset
from diarchy.nemeses.links import Links, chosen, unlinked
from diarchy.nemeses.plan import Plan, World
from diarchy.nemeses.schedule import Once, contradictions, scheduled


class ResetLinks(Links, frozen=True, tag="reset", tag_field="kind", forbid_unknown_fields=True):
    """Connections are closed with a reset, and so is every new one while the fault lasts."""

    def faults(self) -> frozenset[type]:
        return frozenset({Reset})

    def problems(self, world: World) -> Iterator[tuple[str, str]]:
        yield from contradictions(self, world)
        yield from unlinked(self.target, self.peers, world)

    def plan(self, world: World, dice: Random) -> Plan:
        def once() -> Once:
            return (Reset((yield from chosen(self.target, self.peers, self.direction, world, self.within))),)
        return scheduled(self, world, once)
