"""What a scenario may say of a simulated cluster."""
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import msgspec

from diarchy.clusters.simulated.network import Network
from diarchy.clusters.simulated.services.kinds import ServiceOptions
from diarchy.history.faults import Cut, Kill, Pause, Reset, Skew, Slow, Stall
from diarchy.history.units import Duration, default

if TYPE_CHECKING:
    from diarchy.clusters.cluster import Cluster


class Simulated(msgspec.Struct, frozen=True, tag="simulated", tag_field="kind", forbid_unknown_fields=True):
    """The embedded default: hosts, links and clocks in virtual time, every run a function of scenario and seed. No Docker.

    With a `service`, its nodes are what candidates elect their leader on; without one, the nodes elect it among themselves
    (workloads bully, ring, raft).
    """

    nodes: Annotated[int, msgspec.Meta(ge=1, le=15, description="how many nodes")] = 3
    service: Annotated[ServiceOptions | None, msgspec.Meta(description="the election service on the nodes; default: none")] = None
    network: Annotated[Network, msgspec.Meta(description="how the links behave when nothing is wrong with them")] = msgspec.field(
        default_factory=Network)
    drift: Annotated[Annotated[float, msgspec.Meta(ge=0, le=0.5)], msgspec.Meta(description=(
        "each host's monotonic clock is fast or slow by at most this share, by dice"))] = 0.0
    offset: Annotated[Duration, msgspec.Meta(extra={"least": "0s"}, description=(
        "each host's wall clock is ahead or behind by at most so much, by dice"))] = default("0s")

    store: ClassVar[str] = "simulated"
    real: ClassVar[bool] = False
    supports: ClassVar[frozenset[type]] = frozenset({Cut, Slow, Stall, Reset, Pause, Kill, Skew})
    images: ClassVar[tuple[str, ...]] = ()

    @property
    def authority(self) -> Literal["lease", "term", "none"]:
        return "lease"

    @property
    def tokens(self) -> bool:
        return self.service is not None and self.service.tokens

    @property
    def led(self) -> bool:
        """Whether one of its nodes ever leads the others."""
        return getattr(self.service, "led", True)

    def problems(self) -> Iterator[tuple[str, str]]:
        """What no world can be: pairs of an option (`service.wait` is one of the service's own) and what is wrong with it."""
        if self.service is not None:
            own = self.service.__struct_encode_fields__
            yield from ((f"service.{key}" if key in own else key, text) for key, text in self.service.problems(self.nodes))

    def lease_problem(self, ttl: int) -> str | None:
        """Why the service would not grant a lease of just this length, or None."""
        return None if self.service is None else self.service.lease_problem(ttl)

    def build(self, run: str, seed: int) -> "Cluster":
        """The cluster, in the virtual loop that runs."""
        from diarchy.clusters.simulated.cluster import SimulatedCluster

        return SimulatedCluster(self, seed)
