"""What an election algorithm is: a step function without input or output, clock or dice of its own making."""
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

FOREVER = 2**62
"""No timer is set, ns."""
LONG_AGO = -FOREVER
"""What has never happened, ns."""


def worth(ttl: int) -> int:
    """How much of a lease of its peers a holder may count on by its own clock, ns: theirs may be faster by 10 %."""
    return ttl - ttl // 10


class Send(msgspec.Struct, frozen=True, gc=False):
    """To one peer. Messages are frozen structs, or numbers and names."""

    to: str
    message: Any


class Broadcast(msgspec.Struct, frozen=True, gc=False):
    """The same message to every other peer."""

    message: Any


class Campaign(msgspec.Struct, frozen=True):
    """An attempt to win begins (an `acquire` is invoked); one that was under way has ended without success."""

    term: int | None = None


class Elected(msgspec.Struct, frozen=True):
    """The attempt has won: in office from now on. `sent` and `ttl` (ns, by its own clock) where it holds a lease of its peers:
    what that is worth to it, and it leaves by then."""

    term: int | None = None
    token: int | None = None
    sent: int | None = None
    ttl: int | None = None


class Defeated(msgspec.Struct, frozen=True):
    """The attempt has ended without success."""

    why: str = ""


class Renewing(msgspec.Struct, frozen=True, gc=False):
    """In office by a lease: a round that may prolong it leaves now; one that was under way has gone without an answer."""


class Renewed(msgspec.Struct, frozen=True, gc=False):
    """The lease now lasts until `sent` + `ttl`, where `sent` is when the round left that a majority has answered."""

    sent: int
    ttl: int


class StepDown(msgspec.Struct, frozen=True):
    """Out of office from now on."""

    why: str


Effect = Send | Broadcast | Campaign | Elected | Defeated | Renewing | Renewed | StepDown
Effects = Sequence[Effect]


class Machine(Protocol):
    """One node of an algorithm. `now` is the node's own monotonic clock, ns.

    After each step `due` is when `on_timer` wants to be called (FOREVER: never). A node that wakes up late calls it before anything
    else: before it hands over a message, and before the leader writes. Calling it earlier is a mistake.
    `hard` is what the node has on disk after each step: a restart gives it to the new machine, or None where it was lost.
    `leader` is whom it believes to lead, itself included; `status` says in a few words where it stands.
    `resign` asks it to leave office of its own will; where it is not in office, nothing happens.
    """

    due: int
    leader: str | None

    @property
    def hard(self) -> Any: ...
    def start(self, now: int) -> Effects: ...
    def on_message(self, now: int, sender: str, message: Any) -> Effects: ...
    def on_timer(self, now: int) -> Effects: ...
    def resign(self, now: int) -> Effects: ...
    def status(self) -> str: ...
