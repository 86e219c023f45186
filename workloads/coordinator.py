"""What Bully and Ring share: a coordinator that sends heartbeats, members that wait for them, and, if so told, a quorum's lease."""
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec

from diarchy.history.units import Duration, default
from diarchy.workloads.machine import (
    FOREVER,
    Broadcast,
    Campaign,
    Defeated,
    Effects,
    Elected,
    Renewed,
    Renewing,
    Send,
    StepDown,
    worth,
)
from diarchy.workloads.peer_options import Peers, majority
from diarchy.workloads.quorum_lease import (
    Ask,
    Grant,
    LeaseMessage,
    Probe,
    Promise,
    QuorumLease,
    Refusal,
    Release,
    Willing,
)


class Coordinated(Peers, frozen=True):
    """How a coordinator is found to be silent, and what it needs to take office."""

    heartbeat: Annotated[Duration, msgspec.Meta(description="time between a coordinator's heartbeats, which go to all")] = default("500ms")
    detect: Annotated[Duration, msgspec.Meta(description="after so long without a heartbeat a node begins an election")] = default("1500ms")
    by_quorum: Annotated[bool, msgspec.Meta(description=(
        "a coordinator takes office only with a lease that a majority of all nodes has granted, and leaves before it may end"
    ))] = msgspec.field(default=False, name="quorum")
    lease: Annotated[Duration, msgspec.Meta(description="TTL of that lease; it is renewed with every heartbeat")] = default("2s")

    @property
    def authority(self) -> Literal["lease", "none"]:
        """What bounds a claim."""
        return "lease" if self.by_quorum else "none"

    @property
    def tokens(self) -> bool:
        """Whether claims carry a fencing token."""
        return self.by_quorum

    @property
    def lease_ns(self) -> int:
        """The TTL of the coordinator's lease, ns; 0 without."""
        return self.lease if self.by_quorum else 0

    def quorum_of(self, nodes: int) -> int:
        """How many nodes must reach each other for an election."""
        return majority(nodes) if self.by_quorum else 1

    def problems(self) -> Iterator[tuple[str, str]]:
        """Times that cannot all be meant: pairs of an option and what is wrong with it."""
        yield from super().problems()
        yield from self.stand_still("heartbeat", "detect")
        if self.heartbeat >= self.detect:
            yield "heartbeat", f"{self.heartbeat} is not shorter than detect ({self.detect}): a living coordinator would be taken for dead"
        if self.by_quorum and self.heartbeat >= worth(self.lease):
            yield "lease", f"{self.lease} is too short for heartbeats every {self.heartbeat}: it is lost before it is renewed"


class Heartbeat(msgspec.Struct, frozen=True, gc=False):
    """The sender is coordinator."""


MEMBER, WAITING, ELECTING, ASKING, COORDINATOR = "member", "waiting", "electing", "asking", "coordinator"
BEATS: Effects = (Broadcast(Heartbeat()),)


class Member:
    """One node; a subclass says how an election goes.

    `waiting` has heard that somebody else will win, `asking` has won and asks for the lease. The highest number is the highest rank.
    `preempt` says whether a node of a higher rank puts up with a living coordinator.
    """

    __slots__ = ("_alarm", "_beat_at", "_campaigning", "_gives_up", "_lease", "_preempt", "_rank", "due", "leader", "name", "options", "role")

    def __init__(self, options: Coordinated, name: str, peers: tuple[str, ...], hard: Promise | None, preempt: bool) -> None:
        self.options, self.name, self._preempt = options, name, preempt
        self._rank = {peer: rank for rank, peer in enumerate(peers)}
        self._lease = QuorumLease(name, peers, options.lease, hard) if options.by_quorum else None
        self.role: str = MEMBER
        self.leader: str | None = None
        self.due = self._alarm = self._beat_at = self._gives_up = FOREVER
        self._campaigning = False

    @property
    def hard(self) -> Promise | None:
        """What it has on disk: its part of the quorum's lease."""
        return self._lease.hard if self._lease else None

    def start(self, now: int) -> Effects:
        if self._lease:
            self._lease.start(now)
        self._wake(now + self.options.detect)
        return ()

    def on_message(self, now: int, sender: str, message: Any) -> Effects:
        if type(message) is Heartbeat:
            if sender == self.leader:
                self.due = self._alarm = now + self.options.detect
                return ()
            return self._on_leader(now, sender)
        if isinstance(message, LeaseMessage):
            return (*self._late(now), *self._on_lease(self._lease, now, sender, message)) if self._lease else ()
        return self._on_election(now, sender, message)

    def on_timer(self, now: int) -> Effects:
        match self.role:
            case "coordinator":
                return self._beat(now)
            case "asking":
                return self._ask_again(now)
        return self._on_silence(now)

    def resign(self, now: int) -> Effects:
        return self._leave(now, "resigned") if self.role == COORDINATOR else ()

    def status(self) -> str:
        """For people: `member, led by n3`, with its promise where it has made one."""
        led = f", led by {self.leader}" if self.leader and self.role != COORDINATOR else ""
        promise = self.hard
        return self.role + led + (f", granted {promise.token} to {promise.holder}" if promise and promise.holder else "")

    def _on_election(self, now: int, sender: str, message: Any) -> Effects:
        raise NotImplementedError

    def _on_silence(self, now: int) -> Effects:
        """No coordinator was heard, or no answer, for as long as it waited."""
        raise NotImplementedError

    def _elect(self, now: int) -> Effects:
        raise NotImplementedError

    def _announce(self, now: int) -> Effects:
        """Tell the others, on taking office."""
        raise NotImplementedError

    def _wake(self, at: int) -> None:
        self.due = self._alarm = at

    def _outranks(self, peer: str) -> bool:
        return self._rank[self.name] > self._rank[peer]

    def _campaign(self) -> Effects:
        """An attempt begins, unless one is under way."""
        if self._campaigning:
            return ()
        self._campaigning = True
        return (Campaign(),)

    def _win(self, now: int) -> Effects:
        began = self._campaign()
        if self._lease is None:
            return (*began, *self._take_office(now, Elected()))
        self.role, self.leader, self._gives_up = ASKING, None, now + self.options.detect
        return (*began, *self._probe(self._lease, now))

    def _probe(self, lease: QuorumLease, now: int) -> Effects:
        """Ask for the lease only where a majority would grant it: who is cut off with a few shall not disturb them for later."""
        asked = lease.probe(now, self._would(lease, now, self.name))
        return (*asked, *self._asked(lease, now))

    def _asked(self, lease: QuorumLease, now: int) -> Effects:
        if not lease.promising:
            return self._ask(lease, now, ())
        self._gives_up = now + self.options.detect
        return self._ask(lease, now, lease.ask(now))

    def _would(self, lease: QuorumLease, now: int, sender: str) -> bool:
        """A holder of a lower rank makes way for a higher one that asks."""
        holder = lease.hard.holder
        return lease.would(now, sender) or (self._preempt and holder is not None and self._rank[sender] > self._rank[holder])

    def _ask(self, lease: QuorumLease, now: int, asked: Effects) -> Effects:
        """After a round has left; where its own vote is a majority, that was enough."""
        self._beat_at = now + self.options.heartbeat
        self._wake(min(self._beat_at, self._gives_up))
        return (*asked, *self._held(lease, now)) if lease.limit > now else asked

    def _ask_again(self, now: int) -> Effects:
        assert self._lease
        if now < self._gives_up:
            return self._ask(self._lease, now, self._lease.round(now)) if self._lease.token else self._probe(self._lease, now)
        left = self._leave(now, "no majority granted a lease")
        self._wake(now + self.options.heartbeat)
        return left

    def _held(self, lease: QuorumLease, now: int) -> Effects:
        """A majority has granted the lease, or prolonged it."""
        if self.role == ASKING:
            return self._take_office(now, Elected(token=lease.token, sent=lease.basis, ttl=lease.worth))
        self._wake(min(self._beat_at, lease.limit))
        return (Renewed(lease.basis, lease.worth),)

    def _take_office(self, now: int, elected: Elected) -> Effects:
        self.role, self.leader, self._campaigning = COORDINATOR, self.name, False
        self._beat_at = now + self.options.heartbeat
        self._wake(min(self._beat_at, self._lease.limit) if self._lease else self._beat_at)
        return (elected, *self._announce(now))

    def _beat(self, now: int) -> Effects:
        if self._lease is None:
            self.due = self._alarm = now + self.options.heartbeat
            return BEATS
        if now >= self._lease.limit:
            return self._late(now)
        self._beat_at = now + self.options.heartbeat
        asked = self._lease.round(now)
        self._wake(min(self._beat_at, self._lease.limit))
        renewed = (Renewed(now, self._lease.worth),) if self._lease.basis == now else ()
        return (Renewing(), *asked, *BEATS, *renewed)

    def _late(self, now: int) -> Effects:
        """A coordinator that wakes up after its time leaves before it votes for anybody else."""
        if self._lease is None or self.role != COORDINATOR or now < self._lease.limit:
            return ()
        return self._leave(now, "the lease may end soon")

    def _on_lease(self, lease: QuorumLease, now: int, sender: str, message: LeaseMessage) -> Effects:
        match message:
            case Probe():
                return (Send(sender, Willing(message.sent)),) if self._would(lease, now, sender) else ()
            case Willing():
                lease.on_willing(sender, message)
                return self._asked(lease, now) if self.role == ASKING and not lease.token and lease.promising else ()
            case Ask():
                yields = self.role == ASKING or (self.role == COORDINATOR and self._preempt)
                left = self._leave(now, f"{sender} has a higher number") if yields and not self._outranks(sender) else ()
                return (*left, *lease.on_ask(now, sender, message))
            case Grant():
                return self._held(lease, now) if lease.on_grant(sender, message) and lease.limit > now else ()
            case Refusal():
                return lease.on_refusal(now, message) if self.role == ASKING else ()
            case Release():
                lease.on_release(now, sender, message)
                if self.role == ASKING and lease.token:
                    return self._ask(lease, now, lease.round(now))  # what was in the way may be gone
        return ()

    def _on_leader(self, now: int, sender: str) -> Effects:
        """Somebody says that it is coordinator, whom this node does not follow yet."""
        if self.role == COORDINATOR and (self._lease or self._outranks(sender)):
            return ()
        if self._preempt and self._outranks(sender):
            return self._elect(now) if self.role == MEMBER else ()
        return self._follow(now, sender)

    def _follow(self, now: int, leader: str) -> Effects:
        left = self._leave(now, f"{leader} is coordinator")
        self.leader = leader
        return left

    def _leave(self, now: int, why: str) -> Effects:
        """Back to being a member that waits for a coordinator."""
        left: Effects = ()
        if self.role == COORDINATOR:
            left = (StepDown(why),)
        elif self._campaigning:
            left = (Defeated(why),)
        if self._lease and self.role in (ASKING, COORDINATOR):
            left = (*left, *self._lease.release(now))
        self.role, self.leader, self._campaigning = MEMBER, None, False
        self._wake(now + self.options.detect)
        return left
