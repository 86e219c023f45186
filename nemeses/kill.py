"""Kills a process, and may start it again."""
from collections.abc import Iterator
from random import Random
from typing import Annotated

import msgspec

from diarchy.history.faults import Kill
from diarchy.nemeses.plan import Find, Plan, World
from diarchy.nemeses.schedule import Once, Schedule, contradictions, scheduled
from diarchy.nemeses.targets import hosts, mistake


class KillHost(Schedule, frozen=True, tag="kill", tag_field="kind", forbid_unknown_fields=True):
    """SIGKILL of every process of the target; it is started again after `for`, a candidate as a new claimant."""

    target: Annotated[str, msgspec.Meta(description="nodes or candidates; see the table of targets")]

    def faults(self) -> frozenset[type]:
        return frozenset({Kill})

    def problems(self, world: World) -> Iterator[tuple[str, str]]:
        yield from contradictions(self, world, stays=True)
        if wrong := mistake(self.target, world):
            yield "target", wrong
        elif hosts(self.target) not in ("node", "candidate"):
            yield "target", f"{self.target} cannot be killed, only nodes and candidates"

    def plan(self, world: World, dice: Random) -> Plan:
        def once() -> Once:
            return tuple(Kill(host) for host in (yield Find(self.target, int(self.within))))
        return scheduled(self, world, once, stays=True)
