"""Sets clocks wrong: a jump of the wall clock, or clocks that run too fast or too slow."""
from collections.abc import Iterator
from random import Random
from typing import Annotated

import msgspec

from diarchy.history.faults import Skew
from diarchy.history.units import Duration, default
from diarchy.nemeses.plan import Find, Plan, World
from diarchy.nemeses.schedule import Once, Schedule, contradictions, scheduled
from diarchy.nemeses.targets import hosts, mistake


class SkewClock(Schedule, frozen=True, tag="skew", tag_field="kind", forbid_unknown_fields=True):
    """The target's clocks go wrong. Wall clocks can jump; monotonic ones, which careful code counts its leases by, can only run too fast or too slow."""

    target: Annotated[str, msgspec.Meta(description="nodes or candidates; see the table of targets")]
    ahead: Annotated[Duration, msgspec.Meta(extra={"least": "0s"}, description="the wall clock jumps forward by so much")] = default("0s")
    behind: Annotated[Duration, msgspec.Meta(extra={"least": "0s"}, description="the wall clock jumps back by so much")] = default("0s")
    drift: Annotated[Annotated[float, msgspec.Meta(ge=-0.9, le=9)], msgspec.Meta(description=(
        "both clocks run too fast by this share (0.1: 1.1 s pass in a second), too slow where it is negative"))] = 0.0

    def faults(self) -> frozenset[type]:
        return frozenset({Skew})

    def problems(self, world: World) -> Iterator[tuple[str, str]]:
        yield from contradictions(self, world)
        if wrong := mistake(self.target, world):
            yield "target", wrong
        elif hosts(self.target) not in ("node", "candidate"):
            yield "target", f"{self.target} has no clock that matters, only nodes and candidates have"
        if self.ahead and self.behind:
            yield "behind", "given together with `ahead`; a clock jumps one way"
        if not (self.ahead or self.behind or self.drift):
            yield "ahead", "no clock is changed: give ahead, behind or drift"

    def plan(self, world: World, dice: Random) -> Plan:
        def once() -> Once:
            return tuple(Skew(host, self.ahead - self.behind, self.drift) for host in (yield Find(self.target, int(self.within))))
        return scheduled(self, world, once)
