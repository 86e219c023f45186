"""What a scenario may say of every algorithm that runs on the nodes themselves."""
from collections.abc import Iterator
from random import Random
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from diarchy.history.units import Duration, default
from diarchy.workloads.machine import Machine


class Peers(msgspec.Struct, frozen=True):
    """Nodes that elect a leader among themselves, which writes to the fenced resource."""

    candidates: ClassVar[int] = 0
    command: ClassVar[tuple[str, ...]] = ()

    write_every: Annotated[Duration, msgspec.Meta(description="time between a leader's writes to the resource")] = default("200ms")
    timeout: Annotated[Duration, msgspec.Meta(description="of one write")] = default("1s")
    fence: Annotated[bool, msgspec.Meta(description="whether the resource refuses writes with an old token")] = True

    @property
    def authority(self) -> Literal["lease", "term", "none"]:
        """What bounds a claim."""
        raise NotImplementedError

    @property
    def tokens(self) -> bool:
        """Whether claims carry a fencing token."""
        raise NotImplementedError

    @property
    def lease_ns(self) -> int:
        """The TTL of a leader's lease, ns; 0 without."""
        raise NotImplementedError

    def quorum_of(self, nodes: int) -> int:
        """How many nodes must reach each other for an election."""
        raise NotImplementedError

    def machine(self, name: str, peers: tuple[str, ...], dice: Random, hard: Any) -> Machine:
        """One node of `peers` (itself included, the highest id last), with what it found on its disk."""
        raise NotImplementedError

    def problems(self) -> Iterator[tuple[str, str]]:
        """Times that cannot be meant: pairs of an option and what is wrong with it."""
        yield from self.stand_still("write_every", "timeout")

    def stand_still(self, *keys: str) -> Iterator[tuple[str, str]]:
        """Those of these times that are nothing: a node that waited for them would never let its clock go on."""
        yield from ((key, "is 0: it needs a time") for key in keys if getattr(self, key) == 0)


def majority(nodes: int) -> int:
    """More than half of so many."""
    return nodes // 2 + 1
