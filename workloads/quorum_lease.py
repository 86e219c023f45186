"""A lease granted by a majority of the nodes (Gray & Cheriton, Leases, SOSP 1989; by a quorum as in Trencseni et al., PaxosLease, 2012),
with a fencing token that grows from holder to holder.
"""
import msgspec

from diarchy.workloads.machine import LONG_AGO, Broadcast, Effects, Send, worth
from diarchy.workloads.peer_options import majority


class Probe(msgspec.Struct, frozen=True, gc=False):
    """Would a lease be granted? Binds nobody: a node that cannot win a majority raises no token (as pre-vote in Raft: Ongaro,
    Consensus: Bridging Theory and Practice, 2014, §9.6)."""

    sent: int


class Willing(msgspec.Struct, frozen=True, gc=False):
    """It would."""

    sent: int


class Ask(msgspec.Struct, frozen=True, gc=False):
    """For a lease, or to prolong it. `sent` (ns) is the asker's clock: only the asker reads it."""

    token: int
    sent: int


class Grant(msgspec.Struct, frozen=True, gc=False):
    """The voter promises to grant nobody else a lease for one TTL of its own clock."""

    token: int
    sent: int


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """`highest` is the highest token that the voter has granted."""

    token: int
    highest: int


class Release(msgspec.Struct, frozen=True, gc=False):
    """The holder has left office, or given up asking: promises with this token are over."""

    token: int


LeaseMessage = Probe | Willing | Ask | Grant | Refusal | Release


class Promise(msgspec.Struct, frozen=True):
    """What a node has on disk: the last lease that it granted, and the highest token that it has asked for itself."""

    token: int = 0
    holder: str | None = None
    asked: int = 0


class QuorumLease:
    """One node's part, voter and asker in one.

    A voter does not know after a start how long its last promise has still to run (or, with its disk lost, whom it was given to):
    for one TTL it grants nothing to anybody else.
    """

    __slots__ = ("_acked", "_name", "_peers", "_probed", "_promised", "_quorum", "_willing", "basis", "hard", "token", "ttl", "worth")

    def __init__(self, name: str, peers: tuple[str, ...], ttl: int, hard: Promise | None) -> None:
        self._name, self._peers, self._quorum, self.ttl = name, peers, majority(len(peers)), ttl
        self.worth = worth(ttl)
        self.hard = hard or Promise()
        self._promised = LONG_AGO
        self.token, self.basis = 0, LONG_AGO
        self._acked: dict[str, int] = {}
        self._probed, self._willing = LONG_AGO, set[str]()

    @property
    def limit(self) -> int:
        """When its holder must have left office, ns: before any of the voters may grant the lease to somebody else."""
        return self.basis + self.worth

    def start(self, now: int) -> None:
        self._promised = now + self.ttl

    def probe(self, now: int, own: bool) -> Effects:
        """Ask all whether they would grant it; `own`: whether this node itself would."""
        self._probed, self._willing = now, {self._name} if own else set()
        return (Broadcast(Probe(now)),)

    def would(self, now: int, sender: str) -> bool:
        """Whether nothing that was promised to somebody else is in the way."""
        return sender == self.hard.holder or now >= self._promised

    def on_willing(self, sender: str, willing: Willing) -> None:
        if willing.sent == self._probed:
            self._willing.add(sender)

    @property
    def promising(self) -> bool:
        """Whether a majority would grant it, by their answers to the last probe."""
        return len(self._willing) >= self._quorum

    def ask(self, now: int) -> Effects:
        """Begin to ask, with a token higher than any that this node knows of."""
        return self._ask(now, 0)

    def round(self, now: int) -> Effects:
        """Ask all again, with the same token; its own vote is cast on the spot."""
        ask = Ask(self.token, now)
        if type(self._vote(now, self._name, ask)) is Grant:
            self._count(self._name, now)
        return (Broadcast(ask),)

    def on_ask(self, now: int, sender: str, ask: Ask) -> Effects:
        return (Send(sender, self._vote(now, sender, ask)),)

    def on_grant(self, sender: str, grant: Grant) -> bool:
        """Whether this grant makes or prolongs the lease: then `basis` (ns) is when the latest round left that a majority has granted."""
        if grant.token != self.token:
            return False
        before = self.basis
        self._count(sender, grant.sent)
        return self.basis > before

    def on_refusal(self, now: int, refusal: Refusal) -> Effects:
        """A token that was too low is raised and asked for at once."""
        return self._ask(now, refusal.highest) if refusal.token == self.token and refusal.highest >= self.token else ()

    def on_release(self, now: int, sender: str, release: Release) -> None:
        if (release.token, sender) == (self.hard.token, self.hard.holder):
            self._promised = now

    def release(self, now: int) -> Effects:
        """Stop to hold it, or to ask."""
        release = Release(self.token)
        self.on_release(now, self._name, release)
        self.token, self.basis = 0, LONG_AGO
        self._willing.clear()
        return (Broadcast(release),)

    def _ask(self, now: int, highest: int) -> Effects:
        self.token = max(self.hard.token, self.hard.asked, highest) + 1
        self.basis, self._acked = LONG_AGO, dict.fromkeys(self._peers, LONG_AGO)
        self.hard = msgspec.structs.replace(self.hard, asked=self.token)
        return self.round(now)

    def _vote(self, now: int, sender: str, ask: Ask) -> Grant | Refusal:
        same = sender == self.hard.holder
        again = same and ask.token == self.hard.token
        if not again and (ask.token <= self.hard.token or not (same or now >= self._promised)):
            return Refusal(ask.token, self.hard.token)
        if not again:
            self.hard = Promise(ask.token, sender, self.hard.asked)
        self._promised = now + self.ttl
        return Grant(ask.token, ask.sent)

    def _count(self, sender: str, sent: int) -> None:
        self._acked[sender] = max(sent, self._acked[sender])
        self.basis = sorted(self._acked.values())[-self._quorum]
