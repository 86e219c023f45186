"""Raft's leader election, without a log (Ongaro & Ousterhout, In Search of an Understandable Consensus Algorithm, USENIX ATC 2014;
Ongaro, Consensus: Bridging Theory and Practice, 2014: pre-vote §9.6, check-quorum §6.2, leader lease §6.4.1).

With an empty log a vote depends on the term alone.
"""
import random
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from diarchy.history.units import Duration, default
from diarchy.workloads.machine import (
    FOREVER,
    LONG_AGO,
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


class Raft(Peers, frozen=True, tag="raft", tag_field="kind", forbid_unknown_fields=True):
    """Raft's election: one vote a term, a majority elects, the term is the fencing token."""

    heartbeat: Annotated[Duration, msgspec.Meta(description="time between a leader's heartbeats")] = default("50ms")
    election: Annotated[Duration, msgspec.Meta(description="least time without a heartbeat after which a node campaigns")] = default("150ms")
    spread: Annotated[Duration, msgspec.Meta(extra={"least": "0s"}, description=(
        "a random time of up to this is added to each election time-out; with 0s, ties repeat"))] = default("150ms")
    pre_vote: Annotated[bool, msgspec.Meta(description=(
        "a node asks whether it could win before it begins a new term, and nobody says yes who hears a leader"))] = True
    check_quorum: Annotated[bool, msgspec.Meta(description=(
        "a leader that has heard no majority for an election time-out steps down; voters who hear a leader ignore campaigns"))] = True
    persist: Annotated[bool, msgspec.Meta(description="term and vote survive a crash; false: they are forgotten")] = True
    lease: Annotated[bool, msgspec.Meta(description=(
        "in office only while a majority has answered a heartbeat that was sent within the least election time-out, less 10 % for drift"))] = False

    @property
    def authority(self) -> Literal["lease", "term"]:
        """What bounds a claim."""
        return "lease" if self.lease else "term"

    @property
    def tokens(self) -> bool:
        """Whether claims carry a fencing token."""
        return True

    @property
    def lease_ns(self) -> int:
        """The TTL of a leader's lease, ns; 0 without."""
        return self.election if self.lease else 0

    def quorum_of(self, nodes: int) -> int:
        """How many nodes must reach each other for an election."""
        return majority(nodes)

    def problems(self) -> Iterator[tuple[str, str]]:
        """Options that cannot all be meant: pairs of an option and what is wrong with it."""
        yield from super().problems()
        yield from self.stand_still("heartbeat", "election")
        if self.heartbeat >= (worth(self.election) if self.lease else self.election):
            yield "heartbeat", f"{self.heartbeat} is too long for an election time-out of {self.election}: no leader would stay"
        if self.lease and not self.check_quorum:
            yield "lease", "needs check_quorum: voters who do not ignore campaigns promise nothing"

    def machine(self, name: str, peers: tuple[str, ...], dice: random.Random, hard: "Hard | None") -> "RaftNode":
        """One node of `peers` (itself included), with what it found on its disk."""
        return RaftNode(self, name, peers, dice, hard)


class Hard(msgspec.Struct, frozen=True):
    """What a node has on disk: the latest term that it has seen, and whom it voted for in it."""

    term: int
    vote: str | None


class Heartbeat(msgspec.Struct, frozen=True, gc=False):
    """AppendEntries without entries. `sent` (ns, by the leader's clock) where it may prolong a lease."""

    term: int
    sent: int | None = None


class HeartbeatReply(msgspec.Struct, frozen=True, gc=False):
    """A higher term than the heartbeat's is a refusal."""

    term: int
    sent: int | None = None


class RequestVote(msgspec.Struct, frozen=True, gc=False):
    """`pre`: only asks, and `term` is the one that would begin."""

    term: int
    pre: bool = False


class VoteReply(msgspec.Struct, frozen=True, gc=False):
    """`term` is the request's where it is granted, else the voter's."""

    term: int
    granted: bool
    pre: bool = False


FOLLOWER, PRECANDIDATE, CANDIDATE, LEADER = "follower", "pre-candidate", "candidate", "leader"


class RaftNode:
    """One node. A time-out is drawn once for each role that it takes on, and `due` moved on by it at each heartbeat."""

    __slots__ = (
        "_acked", "_basis", "_beat_at", "_beats", "_dice", "_heard", "_in_office", "_limit", "_peers", "_quorum", "_reply", "_timeout",
        "_votes", "_worth", "due", "hard", "leader", "name", "options", "role", "term", "vote",
    )

    def __init__(self, options: Raft, name: str, peers: tuple[str, ...], dice: random.Random, hard: Hard | None) -> None:
        self.options, self.name, self._dice = options, name, dice
        self._peers, self._quorum = peers, majority(len(peers))
        self.hard, self._worth = hard, worth(options.election)
        self.term, self.vote = (hard.term, hard.vote) if hard else (0, None)
        self.role: str = FOLLOWER
        self.leader: str | None = None
        self.due = FOREVER
        self._timeout, self._heard = 0, LONG_AGO
        self._votes: set[str] = set()
        self._reply: Effects = ()
        self._beats: Effects = ()
        self._in_office, self._beat_at, self._limit, self._basis = False, FOREVER, FOREVER, LONG_AGO
        self._acked: dict[str, int] = {}

    def start(self, now: int) -> Effects:
        """A voter that may have promised a leader its lease before it crashed keeps still for as long as that could last."""
        if self.options.lease:
            self._heard = now
        self._draw(now)
        return ()

    def on_message(self, now: int, sender: str, message: object) -> Effects:
        if type(message) is Heartbeat:
            if sender == self.leader and message.term == self.term:
                self._heard = now
                self.due = now + self._timeout
                return self._reply if message.sent is None else (Send(sender, HeartbeatReply(message.term, message.sent)),)
            return self._on_heartbeat(now, sender, message)
        if type(message) is HeartbeatReply:
            if message.term == self.term and self.role == LEADER:
                if message.sent is not None:
                    return self._on_lease(now, sender, message.sent)
                self._acked[sender] = now
                return ()
            return self._seen(now, message.term)
        if type(message) is RequestVote:
            return self._on_pre_vote(now, sender, message) if message.pre else self._on_request(now, sender, message)
        assert type(message) is VoteReply
        return self._on_vote(now, sender, message)

    def on_timer(self, now: int) -> Effects:
        if self.role == LEADER:
            return self._beat(now)
        if not self.options.pre_vote:
            return self._campaign(now)
        lost = (Defeated("no majority in time"),) if self.role == CANDIDATE else ()
        self._stand(now, PRECANDIDATE)
        if self._quorum == 1:
            return (*lost, *self._campaign(now))
        return (*lost, Broadcast(RequestVote(self.term + 1, pre=True)))

    def resign(self, now: int) -> Effects:
        return self._follow(now, self.term, None, "resigned") if self.role == LEADER else ()

    def status(self) -> str:
        """For people: `follower of n1, term 2, voted for n1`."""
        role = f"follower of {self.leader}" if self.role == FOLLOWER and self.leader else self.role
        waits = ", not in office yet" if self.role == LEADER and not self._in_office else ""
        return f"{role}, term {self.term}" + (f", voted for {self.vote}" if self.vote else "") + waits

    def _on_heartbeat(self, now: int, sender: str, message: Heartbeat) -> Effects:
        """The first of a leader, or one of a leader that was."""
        if message.term < self.term:
            return (Send(sender, HeartbeatReply(self.term)),)
        if message.term == self.term and self.role == LEADER:
            return ()  # a second leader of this term: only where a vote was forgotten
        left = self._follow(now, message.term, sender)
        self._heard = now
        self.due = now + self._timeout
        self._reply = (Send(sender, HeartbeatReply(message.term)),)
        return (*left, *(self._reply if message.sent is None else (Send(sender, HeartbeatReply(message.term, message.sent)),)))

    def _on_pre_vote(self, now: int, sender: str, message: RequestVote) -> Effects:
        granted = message.term > self.term and not self._hears(now)
        return (Send(sender, VoteReply(message.term if granted else self.term, granted, pre=True)),)

    def _on_request(self, now: int, sender: str, message: RequestVote) -> Effects:
        if message.term < self.term:
            return (Send(sender, VoteReply(self.term, False)),)
        if self.options.check_quorum and self._hears(now):
            return ()
        left = self._seen(now, message.term)
        granted = self.vote in (None, sender)
        if granted:
            self._remember(self.term, sender)
            self.due = now + self._timeout
        return (*left, Send(sender, VoteReply(self.term, granted)))

    def _hears(self, now: int) -> bool:
        return self.role == LEADER or now < self._heard + self.options.election

    def _on_vote(self, now: int, sender: str, message: VoteReply) -> Effects:
        if not message.granted:
            return self._seen(now, message.term)
        role, term = (PRECANDIDATE, self.term + 1) if message.pre else (CANDIDATE, self.term)
        if self.role != role or message.term != term:
            return ()
        self._votes.add(sender)
        if len(self._votes) < self._quorum:
            return ()
        return self._campaign(now) if message.pre else self._lead(now)

    def _campaign(self, now: int) -> Effects:
        self._remember(self.term + 1, self.name)
        self._stand(now, CANDIDATE)
        asks = (Campaign(self.term), Broadcast(RequestVote(self.term)))
        return (*asks, *self._lead(now)) if self._quorum == 1 else asks

    def _stand(self, now: int, role: str) -> None:
        self.role, self.leader, self._votes = role, None, {self.name}
        self._draw(now)

    def _lead(self, now: int) -> Effects:
        self.role, self.leader = LEADER, self.name
        if self.options.lease:
            self._acked, self._basis = dict.fromkeys(self._peers, LONG_AGO), LONG_AGO
            self._beat_at, self._limit = now, now + self._worth
            return self._lease_beat(now)
        self._acked, self._beats, self._in_office = dict.fromkeys(self._peers, now), (Broadcast(Heartbeat(self.term)),), True
        return (Elected(self.term, token=self.term), *self._beat(now))

    def _beat(self, now: int) -> Effects:
        if self.options.lease:
            return self._lease_beat(now)
        self._acked[self.name] = now
        if self.options.check_quorum and self._latest() <= now - self.options.election:
            return self._follow(now, self.term, None, "no majority was heard for an election time-out")
        self.due = now + self.options.heartbeat
        return self._beats

    def _lease_beat(self, now: int) -> Effects:
        if now >= self._limit:
            return self._late(now)
        self._beat_at = now + self.options.heartbeat
        self.due = min(self._beat_at, self._limit)
        renewing = (Renewing(),) if self._in_office else ()
        return (*renewing, Broadcast(Heartbeat(self.term, now)), *self._on_lease(now, self.name, now))

    def _on_lease(self, now: int, sender: str, sent: int) -> Effects:
        """The lease lasts from the latest heartbeat that a majority has answered: none of them votes for so long after it."""
        if now >= self._limit:
            return self._late(now)
        self._acked[sender] = max(sent, self._acked[sender])
        if (latest := self._latest()) <= self._basis:
            return ()
        self._basis, self._limit = latest, latest + self._worth
        self.due = min(self._beat_at, self._limit)
        if self._in_office:
            return (Renewed(latest, self._worth),)
        self._in_office = True
        return (Elected(self.term, self.term, latest, self._worth),)

    def _late(self, now: int) -> Effects:
        return self._follow(now, self.term, None, "the lease may end soon" if self._in_office else "no majority granted a lease")

    def _latest(self) -> int:
        """When a majority, itself included, had last been heard; with a lease, when the heartbeats left that they had last answered."""
        return sorted(self._acked.values())[-self._quorum]

    def _seen(self, now: int, term: int) -> Effects:
        return self._follow(now, term, None) if term > self.term else ()

    def _follow(self, now: int, term: int, leader: str | None, why: str = "") -> Effects:
        """Back to being a follower, in this or in a later term; only one that was none starts to wait anew."""
        why = why or (f"term {term} has begun" if term > self.term else f"{leader} was elected")
        left: Effects = ()
        if self._in_office:
            left = (StepDown(why),)
        elif self.role in (CANDIDATE, LEADER):
            left = (Defeated(why),)
        if self.role != FOLLOWER:
            self._draw(now)
        self.role, self.leader, self._in_office = FOLLOWER, leader, False
        if term > self.term:
            self._remember(term, None)
        return left

    def _remember(self, term: int, vote: str | None) -> None:
        self.term, self.vote = term, vote
        if self.options.persist:
            self.hard = Hard(term, vote)

    def _draw(self, now: int) -> None:
        self._timeout = self.options.election + int(self.options.spread * self._dice.random())
        self.due = now + self._timeout
