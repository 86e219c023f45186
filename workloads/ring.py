"""Elections round a ring: Chang & Roberts, An Improved Algorithm for Decentralized Extrema-Finding in Circular Configurations of Processes,
Communications of the ACM, 1979; and the variant of many articles, in which one message collects the numbers of all.

The coordinator's heartbeats go to all directly: going round, each would depend on every member, and on the mending of the ring.
"""
import random
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from diarchy.history.units import Duration, default
from diarchy.workloads.coordinator import ASKING, COORDINATOR, ELECTING, MEMBER, Coordinated, Member
from diarchy.workloads.machine import FOREVER, Effect, Effects, Send
from diarchy.workloads.quorum_lease import Promise


class Ring(Coordinated, frozen=True, tag="ring", tag_field="kind", forbid_unknown_fields=True):
    """A ring election: n1 passes to n2, the last to n1; each part of a network that is cut mends its own ring."""

    variant: Annotated[Literal["chang-roberts", "token"], msgspec.Meta(description=(
        "chang-roberts: numbers go round, the lower are swallowed, whoever sees its own again has won; "
        "token: a message collects the numbers of all, and whoever began it names the highest"))] = "chang-roberts"
    hop: Annotated[Duration, msgspec.Meta(description=(
        "a successor that has not acknowledged a message for so long is skipped"))] = default("200ms")

    def problems(self) -> Iterator[tuple[str, str]]:
        """Times that cannot all be meant: pairs of an option and what is wrong with it."""
        yield from super().problems()
        yield from self.stand_still("hop")

    def machine(self, name: str, peers: tuple[str, ...], dice: random.Random, hard: Promise | None) -> "RingNode":
        """One node of `peers` (itself included, the highest number last), with what it found on its disk."""
        return RingNode(self, name, peers, hard)


class Uid(msgspec.Struct, frozen=True, gc=False):
    """Chang and Roberts' election message: `origin` would lead."""

    origin: str


class Token(msgspec.Struct, frozen=True):
    """The election message of the other variant: who has seen it, `origin` first."""

    origin: str
    names: tuple[str, ...]


class Coordinator(msgspec.Struct, frozen=True, gc=False):
    """`leader` has won; `origin` takes the message off the ring."""

    origin: str
    leader: str


Lap = Uid | Token | Coordinator
"""What goes round."""


class Hop(msgspec.Struct, frozen=True):
    """From one member to its successor. `number` is the sender's own."""

    number: int
    message: Lap


class Received(msgspec.Struct, frozen=True, gc=False):
    """The hop of that number has arrived."""

    number: int


class Unanswered(msgspec.Struct, frozen=True):
    """A hop on its way: to the how-manieth successor, and when (ns) that one is skipped."""

    message: Lap
    hop: int
    until: int


class RingNode(Member):
    """One node. `electing` is Chang and Roberts' participant."""

    __slots__ = ("_hop", "_number", "_order", "_unanswered", "_uses_token")

    def __init__(self, options: Ring, name: str, peers: tuple[str, ...], hard: Promise | None) -> None:
        super().__init__(options, name, peers, hard, preempt=False)
        self._hop, self._uses_token = options.hop, options.variant == "token"
        here = peers.index(name)
        self._order = peers[here:] + peers[:here]
        self._number = 0
        self._unanswered: dict[int, Unanswered] = {}

    def on_message(self, now: int, sender: str, message: object) -> Effects:
        effects = super().on_message(now, sender, message)
        if self._unanswered:
            self._set_due()
        return effects

    def on_timer(self, now: int) -> Effects:
        """Skipped successors first: a message that comes back to this node may end its wait."""
        effects: list[Effect] = []
        for number in [number for number, hop in self._unanswered.items() if now >= hop.until]:
            late = self._unanswered.pop(number)
            if self._order[late.hop] != late.message.origin:
                effects += self._pass(now, late.message, late.hop + 1)
        if now >= self._alarm:
            effects += super().on_timer(now)
        self._set_due()
        return effects

    def _wake(self, at: int) -> None:
        self._alarm = at
        self._set_due()

    def _set_due(self) -> None:
        self.due = min(self._alarm, *(hop.until for hop in self._unanswered.values()), FOREVER)

    def _pass(self, now: int, message: Lap, hop: int = 1) -> Effects:
        """To the next successor that is not known to be dead; a message whose origin has to be skipped is taken off the ring."""
        if hop == len(self._order):
            return self._arrived(now, message)
        self._number += 1
        self._unanswered[self._number] = Unanswered(message, hop, now + self._hop)
        return (Send(self._order[hop], Hop(self._number, message)),)

    def _on_election(self, now: int, sender: str, message: object) -> Effects:
        match message:
            case Received(number):
                self._unanswered.pop(number, None)
                self._set_due()
            case Hop(number, lap):
                return (Send(sender, Received(number)), *self._arrived(now, lap))
        return ()

    def _arrived(self, now: int, message: Lap) -> Effects:
        match message:
            case Uid():
                return self._on_uid(now, message)
            case Token():
                return self._on_token(now, message)
            case Coordinator():
                return self._on_coordinator(now, message)

    def _on_silence(self, now: int) -> Effects:
        return self._elect(now)

    def _elect(self, now: int) -> Effects:
        first: Lap = Token(self.name, (self.name,)) if self._uses_token else Uid(self.name)
        return (*self._take_part(now, "nobody was elected in time"), *self._campaign(), *self._pass(now, first))

    def _take_part(self, now: int, why: str) -> Effects:
        left = self._leave(now, why)
        self.role = ELECTING
        return left

    def _on_uid(self, now: int, message: Uid) -> Effects:
        if message.origin == self.name:
            return self._win(now) if self.role == ELECTING else ()
        if self._outranks(message.origin):
            if self.role == COORDINATOR:
                return self._announce(now)
            return self._elect(now) if self.role == MEMBER else ()
        left = () if self.role == COORDINATOR else self._take_part(now, f"{message.origin} has a higher number")
        return (*left, *self._pass(now, message))

    def _on_token(self, now: int, message: Token) -> Effects:
        if message.origin == self.name:
            return self._count(now, message) if self.role == ELECTING else ()
        joined = self._take_part(now, "") if self.role == MEMBER else ()
        began = self._campaign() if self.role == ELECTING else ()
        return (*joined, *began, *self._pass(now, Token(message.origin, (*message.names, self.name))))

    def _count(self, now: int, message: Token) -> Effects:
        """The token is back: the highest of its names leads."""
        leader = max(message.names, key=self._rank.__getitem__)
        if leader == self.name:
            return self._win(now)
        return (*self._follow(now, leader), *self._pass(now, Coordinator(self.name, leader)))

    def _on_coordinator(self, now: int, message: Coordinator) -> Effects:
        if message.origin == self.name:
            return ()
        if message.leader == self.name:
            return self._win(now) if self.role not in (ASKING, COORDINATOR) else ()
        left = self._on_leader(now, message.leader)
        return (*left, *self._pass(now, message)) if self.role != COORDINATOR else ()

    def _announce(self, now: int) -> Effects:
        return self._pass(now, Coordinator(self.name, self.name))
