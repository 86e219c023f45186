"""Slow links: late answers look like lost ones to whoever does not wait long enough."""
from collections.abc import Iterator
from random import Random
from typing import Annotated

import msgspec

from diarchy.history.faults import Slow
from diarchy.history.units import Duration, default
from diarchy.nemeses.links import Links, chosen, unlinked
from diarchy.nemeses.plan import Plan, World
from diarchy.nemeses.schedule import Once, contradictions, scheduled


class Latency(Links, frozen=True, tag="latency", tag_field="kind", forbid_unknown_fields=True):
    """Data arrives late, or at a trickle. Each direction is delayed by itself: a request and its answer pay twice."""

    latency: Annotated[Duration, msgspec.Meta(extra={"least": "0s"}, description="delay of each direction")] = default("0s")
    jitter: Annotated[Duration, msgspec.Meta(extra={"least": "0s"}, description=(
        "the delay varies by so much, more or less; at most the latency"))] = default("0s")
    bandwidth: Annotated[int, msgspec.Meta(ge=0, description="KB per second and connection; 0: no limit")] = 0

    def faults(self) -> frozenset[type]:
        return frozenset({Slow})

    def problems(self, world: World) -> Iterator[tuple[str, str]]:
        yield from contradictions(self, world)
        yield from unlinked(self.target, self.peers, world)
        if not (self.latency or self.jitter or self.bandwidth):
            yield "latency", "nothing is slowed: give latency or bandwidth"
        if self.jitter > self.latency:
            yield "jitter", f"{self.jitter} is more than the latency ({self.latency}): a delay cannot be negative"

    def plan(self, world: World, dice: Random) -> Plan:
        def once() -> Once:
            links = yield from chosen(self.target, self.peers, self.direction, world, self.within)
            return (Slow(links, int(self.latency), int(self.jitter), self.bandwidth),)
        return scheduled(self, world, once)
