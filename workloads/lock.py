"""What a scenario may say of the lock workload: candidates that elect a leader, which writes to the fenced resource."""
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from diarchy.history.units import Duration, default


class Lock(msgspec.Struct, frozen=True, tag="lock", tag_field="kind", forbid_unknown_fields=True):
    """Candidates campaign for one lock; whoever holds it writes to the resource until it loses office."""

    recipe: Annotated[Literal["careful", "naive"], msgspec.Meta(description=(
        "careful: computes its own deadline (send time of the last renewal that succeeded + the TTL as granted) and steps down "
        "before it; naive: leaves office only when a renewal is refused"))] = "careful"
    wait: Annotated[Literal["holder", "predecessor"], msgspec.Meta(description=(
        "what a candidate that lost watches: the holder's key (all race for it when it goes), or its predecessor's in a queue"))] = "holder"
    candidates: Annotated[int, msgspec.Meta(ge=1, le=50, description="how many candidates")] = 3
    ttl: Annotated[Duration, msgspec.Meta(description="the lease that is asked for")] = default("5s")
    renew_every: Annotated[Duration, msgspec.Meta(description="time between renewals")] = default("1s")
    write_every: Annotated[Duration, msgspec.Meta(description="time between a leader's writes")] = default("50ms")
    timeout: Annotated[Duration | None, msgspec.Meta(description="of one request; default: a quarter of the TTL")] = None
    stay: Annotated[Duration | None, msgspec.Meta(description="a leader resigns after so long in office; default: never")] = None
    fence: Annotated[bool, msgspec.Meta(description="whether the resource refuses writes with an old token")] = True
    command: Annotated[tuple[str, ...], msgspec.Meta(description=(
        "your own candidate: a program that speaks docs/candidate-protocol.md; default: diarchy's recipe"))] = ()

    def problems(self) -> Iterator[tuple[str, str]]:
        """Times that cannot all be meant: pairs of an option and what is wrong with it."""
        if self.renew_every >= self.ttl:
            yield "renew_every", f"{self.renew_every} is not shorter than the TTL ({self.ttl}): the lease is lost before it is renewed"
        if self.timeout is not None and self.timeout >= self.ttl:
            yield "timeout", f"{self.timeout} is not shorter than the TTL ({self.ttl}): an answer would come too late to be of use"
        if any(not word for word in self.command):
            yield "command", "has an empty word"
