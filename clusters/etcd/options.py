"""What a scenario may say of an etcd cluster."""
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import msgspec

from diarchy.history.faults import Cut, Kill, Pause, Reset, Slow, Stall
from diarchy.history.units import Duration, default

if TYPE_CHECKING:
    from diarchy.clusters.cluster import Cluster


class Etcd(msgspec.Struct, frozen=True, tag="etcd", tag_field="kind", forbid_unknown_fields=True):
    """etcd servers in containers behind a per-link Toxiproxy mesh."""

    nodes: Annotated[int, msgspec.Meta(ge=1, le=7, description="how many servers")] = 3
    heartbeat: Annotated[Duration, msgspec.Meta(description="etcd's --heartbeat-interval")] = default("100ms")
    election: Annotated[Duration, msgspec.Meta(description="etcd's --election-timeout")] = default("1s")
    image: Annotated[str | None, msgspec.Meta(description="image reference; see `diarchy images`")] = None

    store: ClassVar[str] = "etcd"
    authority: ClassVar[Literal["lease", "term", "none"]] = "lease"
    tokens: ClassVar[bool] = True
    real: ClassVar[bool] = True
    led: ClassVar[bool] = True
    supports: ClassVar[frozenset[type]] = frozenset({Cut, Slow, Stall, Reset, Pause, Kill})
    images: ClassVar[tuple[str, ...]] = ("toxiproxy", "etcd")

    def problems(self) -> Iterator[tuple[str, str]]:
        """What etcd itself would refuse: pairs of an option and what is wrong with it."""
        for key, value in (("heartbeat", self.heartbeat), ("election", self.election)):
            if value % 10**6:
                yield key, f"{value} is no whole number of milliseconds, which is what etcd takes"
        if self.election < 5 * self.heartbeat:
            yield "election", f"{self.election} is less than five heartbeats ({self.heartbeat} each); etcd refuses to start"
        if self.election > 50 * 10**9:
            yield "election", f"{self.election} is more than 50s; etcd refuses to start"

    def lease_problem(self, ttl: int) -> str | None:
        """Why etcd would not grant a lease of just this length, or None.

        Leases are whole seconds, and at least one and a half election timeouts (etcd's `minLeaseTTL`), rounded up.
        """
        ticks = self.election // max(self.heartbeat, 1)
        least = -(-(3 * ticks // 2 * self.heartbeat) // 10**9)
        if ttl < least * 10**9:
            return f"{Duration(ttl)} is shorter than the least lease that etcd grants with this election timeout, {least}s"
        return f"{Duration(ttl)} is no whole number of seconds, which is what etcd's leases are" if ttl % 10**9 else None

    def build(self, run: str, seed: int) -> "Cluster":
        """The cluster, nothing started yet. `run` labels all that it makes; the seed says nothing to real servers."""
        from diarchy.clusters.etcd.cluster import EtcdCluster

        return EtcdCluster(self, run)
