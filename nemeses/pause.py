"""Stops a process without killing it: a garbage collection, a suspended VM, a disk that hangs."""
from collections.abc import Iterator
from random import Random
from typing import Annotated

import msgspec

from diarchy.history.faults import Pause
from diarchy.nemeses.plan import Find, Plan, World
from diarchy.nemeses.schedule import Once, Schedule, contradictions, scheduled
from diarchy.nemeses.targets import hosts, mistake


class PauseHost(Schedule, frozen=True, tag="pause", tag_field="kind", forbid_unknown_fields=True):
    """SIGSTOP of every process of the target, SIGCONT afterwards. It cannot know that time has passed."""

    target: Annotated[str, msgspec.Meta(description="nodes or candidates; see the table of targets")]

    def faults(self) -> frozenset[type]:
        return frozenset({Pause})

    def problems(self, world: World) -> Iterator[tuple[str, str]]:
        yield from contradictions(self, world)
        if wrong := mistake(self.target, world):
            yield "target", wrong
        elif hosts(self.target) not in ("node", "candidate"):
            yield "target", f"{self.target} cannot be paused, only nodes and candidates; kind: stall holds the links of the resource"

    def plan(self, world: World, dice: Random) -> Plan:
        def once() -> Once:
            return tuple(Pause(host) for host in (yield Find(self.target, int(self.within))))
        return scheduled(self, world, once)
