"""Leaders that lost their office though nothing was wrong with them. Times in ns."""
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

from diarchy.checkers.landed import Holding
from diarchy.checkers.proofs import Proof, joined, seconds
from diarchy.checkers.weather import in_force
from diarchy.history.columns import History
from diarchy.history.injected import Injected, name
from diarchy.history.lives import lives
from diarchy.history.setup import Setup
from diarchy.history.tenures import Tenure
from diarchy.history.units import NS

RESIGNED = "resigned"
"""Why a leader stepped down that did so of its own will."""


class Deposed(NamedTuple):
    """A healthy leader's fall."""

    before: Holding
    last: Tenure
    """The tenure of it that ended."""
    after: Holding | None
    """The next stay in office, of whomever."""
    at: int
    since: int
    """From then on nothing had touched it."""
    elsewhere: tuple[Injected, ...]
    """The faults that were in force in that time and did not touch it."""

    @property
    def claimants(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each.claimant for each in (self.before, self.after) if each is not None))

    def proof(self, history: History) -> Proof:
        """What ended it, and what did not."""
        proofs = [Proof(f"{self.before.claimant}, in office from {seconds(self.last.acquired)} (op {self.last.ok}), was deposed at "
                        f"{seconds(self.at)}.", (self.last.ok,))]
        if self.last.step_down is not None and self.last.stepped_down == self.at:
            why = _why(history, self.last.step_down)
            proofs.append(Proof(f"It stepped down (op {self.last.step_down})" + (f": {why}." if why else "."), (self.last.step_down,)))
        if self.after is not None:
            proofs.append(Proof(f"{self.after.claimant} acquired at {seconds(self.after.acquired)} (op {self.after.tenures[0].ok}).",
                                (self.after.tenures[0].ok,)))
        proofs.append(Proof(f"It was alive and awake, and from {seconds(self.since)} on no fault touched it.", ()))
        if self.elsewhere:
            told = ", ".join(f"{fault.f} (op {fault.op})" for fault in self.elsewhere[:8])
            proofs.append(Proof(f"Faults elsewhere: {told}.", tuple(fault.op for fault in self.elsewhere)))
        return joined(proofs)


def near_ns(setup: Setup, near: int | None) -> int:
    """How long after its lifting a fault still explains what happens: as asked, else twice the TTL, else 2 s."""
    return near if near is not None else 2 * setup.ttl or 2 * NS["s"]


def deposed(history: History, held: Sequence[Holding], faults: Sequence[Injected], near: int, end: int) -> Iterator[Deposed]:
    """Of the stays in office (in the order of acquire) those that ended by `end` though the leader was alive and awake, had not resigned,
    and no fault touched it in the time `near` before.

    A fault of another node does not excuse that: a server that comes back must not disrupt a leader that has a majority
    (Ongaro, Consensus: Bridging Theory and Practice, 2014, §9.6).
    """
    alive = lives(history)
    for before, after in zip_longest(held, held[1:]):
        last = [stay for stay in before.tenures if after is None or stay.acquired <= after.acquired][-1]
        at = _fell(history, last, after)
        if at is None or at > end or any(nap.start <= at and nap.end >= at - near for nap in alive[before.claimant].naps):
            continue
        here = in_force(faults, at - near, at)
        if _untouched(history.setup, last.candidate, here):
            yield Deposed(before, last, after, at, max(0, at - near), tuple(here))


def _fell(history: History, last: Tenure, after: Holding | None) -> int | None:
    """When a leader had to go: its step-down, else the acquire of somebody else. None where it left by itself, or was not heard of since."""
    change = history.end if after is None else after.acquired
    if last.stepped_down is not None and last.step_down is not None and last.stepped_down <= change:
        return None if _why(history, last.step_down) == RESIGNED else last.stepped_down
    gave_back = last.released is not None and last.released <= change
    return None if after is None or after.claimant == last.claimant or gave_back or last.last_sign < change else change


def _why(history: History, step_down: int) -> object:
    value = history.value.get(step_down)
    return value.get("why") if isinstance(value, dict) else None


def _untouched(setup: Setup, who: str, faults: Sequence[Injected]) -> bool:
    """Whether these faults left a leader what it needs: its host; if it is a candidate, its links; and a node, itself if it is one, with a
    majority (the quorum, where that is more) whose hosts, and whose links with that node, they left alone.

    So a node that is cut off alone, and the links between it and the leader with it, is no excuse.
    """
    hosts = {name(fault.host) for fault in faults if fault.host is not None}
    links = {frozenset(link) for fault in faults for link in fault.links}
    peers = set(setup.nodes) if who in setup.nodes else set()
    if who in hosts or any(who in link and not link <= peers for link in links):
        return False
    whole = [node for node in setup.nodes if node not in hosts]
    quorum = max(setup.quorum, len(setup.nodes) // 2 + 1)
    return not setup.nodes or any(sum(frozenset((node, peer)) not in links for peer in whole) >= quorum
                                  for node in ([who] if peers else whole))
