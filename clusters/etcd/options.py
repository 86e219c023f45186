"""What a scenario may say of an etcd cluster."""
from typing import Annotated, ClassVar

import msgspec

from diarchy.history.faults import Cut, Kill, Pause, Reset, Slow, Stall
from diarchy.history.units import Duration, default


class Etcd(msgspec.Struct, frozen=True, tag="etcd", tag_field="kind", forbid_unknown_fields=True):
    """etcd servers in containers behind a per-link Toxiproxy mesh."""

    nodes: Annotated[int, msgspec.Meta(ge=1, le=7, description="how many servers")] = 3
    heartbeat: Annotated[Duration, msgspec.Meta(description="etcd's --heartbeat-interval")] = default("100ms")
    election: Annotated[Duration, msgspec.Meta(description="etcd's --election-timeout")] = default("1s")
    image: Annotated[str | None, msgspec.Meta(description="image reference; see `diarchy images`")] = None

    store: ClassVar[str] = "etcd"
    authority: ClassVar[str] = "lease"
    tokens: ClassVar[bool] = True
    real: ClassVar[bool] = True
    supports: ClassVar[frozenset[type]] = frozenset({Cut, Slow, Stall, Reset, Pause, Kill})
    images: ClassVar[tuple[str, ...]] = ("toxiproxy", "etcd")
