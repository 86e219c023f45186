"""The Bully algorithm (Garcia-Molina, Elections in a Distributed Computing System, IEEE Transactions on Computers, 1982)."""
import random
from collections.abc import Iterator
from typing import Annotated

import msgspec

from diarchy.history.units import Duration, default
from diarchy.workloads.coordinator import COORDINATOR, ELECTING, MEMBER, WAITING, Coordinated, Member
from diarchy.workloads.machine import Broadcast, Effects, Send
from diarchy.workloads.quorum_lease import Promise


class Bully(Coordinated, frozen=True, tag="bully", tag_field="kind", forbid_unknown_fields=True):
    """The Bully algorithm: the highest number alive wins, in each part of a network that is cut."""

    answer: Annotated[Duration, msgspec.Meta(description="how long the higher numbers are waited for")] = default("300ms")
    preempt: Annotated[bool, msgspec.Meta(description=(
        "a higher number that comes back takes over at once; false: it accepts a living coordinator"))] = True

    def problems(self) -> Iterator[tuple[str, str]]:
        """Times that cannot all be meant: pairs of an option and what is wrong with it."""
        yield from super().problems()
        yield from self.stand_still("answer")

    def machine(self, name: str, peers: tuple[str, ...], dice: random.Random, hard: Promise | None) -> "BullyNode":
        """One node of `peers` (itself included, the highest number last), with what it found on its disk."""
        return BullyNode(self, name, peers, hard)


class Election(msgspec.Struct, frozen=True, gc=False):
    """Is anybody with a higher number alive?"""


class Ok(msgspec.Struct, frozen=True, gc=False):
    """Yes: leave it to me."""


class Coordinator(msgspec.Struct, frozen=True, gc=False):
    """The sender has won."""


class BullyNode(Member):
    """One node."""

    __slots__ = ("_answer", "_higher")

    def __init__(self, options: Bully, name: str, peers: tuple[str, ...], hard: Promise | None) -> None:
        super().__init__(options, name, peers, hard, options.preempt)
        self._answer, self._higher = options.answer, peers[peers.index(name) + 1:]

    def start(self, now: int) -> Effects:
        started = super().start(now)
        return (*started, *self._elect(now)) if self._preempt else started

    def _elect(self, now: int) -> Effects:
        if not self._higher:
            return self._win(now)
        self.role, self.leader = ELECTING, None
        self._wake(now + self._answer)
        return (*self._campaign(), *(Send(peer, Election()) for peer in self._higher))

    def _on_silence(self, now: int) -> Effects:
        return self._win(now) if self.role == ELECTING else self._elect(now)

    def _on_election(self, now: int, sender: str, message: object) -> Effects:
        match message:
            case Election():
                return (Send(sender, Ok()), *self._challenged(now, sender))
            case Ok() if self.role == ELECTING:
                left = self._leave(now, f"{sender} has a higher number")
                self.role = WAITING
                return left
            case Coordinator():
                return self._on_leader(now, sender)
        return ()

    def _challenged(self, now: int, sender: str) -> Effects:
        """A lower number holds an election; one that lives with a coordinator of whatever number leaves it at that."""
        if self.role == COORDINATOR:
            return (Send(sender, Coordinator()),)
        follows = self.leader is not None and not self._preempt
        return self._elect(now) if self.role == MEMBER and not follows else ()

    def _announce(self, now: int) -> Effects:
        return (Broadcast(Coordinator()),)
