"""Changes of leader: what each took, and whether a fault explains it. Times in ns."""
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from math import ceil
from typing import Any

import msgspec

from diarchy.checkers.landed import Holding
from diarchy.history.columns import History
from diarchy.history.injected import Injected, name
from diarchy.history.observed import Claim


class Change(msgspec.Struct, frozen=True):
    """One claimant followed another, or itself by a new tenure.

    `vacated` is when the deposed one's claim had ended as the history knows it: the `invoke` of its release, if that was answered
    `ok`, else its last `until`. `seen` is when that was noticed: the first acquire `invoke` of anybody from then on, but no later than the
    successor's own, whose attempt may have begun before (a lock that a crash freed). `wrote` is the resource's record of the
    successor's first accepted write.
    """

    before: Holding
    after: Holding
    vacated: int
    seen: int
    acquired: int
    wrote: int | None
    fault: Injected | None
    """The last fault that bit, injected from the deposed one's acquire to the successor's."""
    near: bool
    """Whether any fault was in force, or had been lifted no longer than `near` ago, between `vacated` and `acquired`."""
    released: bool
    """Whether the deposed one gave its office back before the successor had it, and was answered."""

    @property
    def parts(self) -> dict[str, int] | None:
        """Detection, election, initialisation and their sum; None for a change without a fault of its own."""
        if self.fault is None:
            return None
        seen = max(self.seen, self.fault.start)
        parts = {"detection_ns": seen - self.fault.start, "election_ns": self.acquired - seen}
        if self.wrote is not None:
            parts |= {"initialisation_ns": max(0, self.wrote - self.acquired), "failover_ns": max(self.wrote, self.acquired) - self.fault.start}
        return parts


def changes(history: History, held: Sequence[Holding], faults: Sequence[Injected], near: int) -> list[Change]:
    """Each change from one stay in office (in the order of acquire) to the next."""
    asked = [int(history.time[row]) for row in history.where("acquire", type="invoke")]
    bit = [fault for fault in faults if fault.bit]
    given = {int(history.tenure[row]) for row in history.where("release", type="ok")}
    return [_change(history, before, after, asked, bit, near, given) for before, after in pairwise(held)]


def _change(history: History, before: Holding, after: Holding, asked: list[int], bit: list[Injected], near: int,
            given: set[int]) -> Change:
    last = before.tenures[-1]
    untils = [int(history.until[row]) for tenure in before.tenures for row in tenure.grants if history.get("until", row) is not None]
    released = last.released if last.id in given and last.released is not None and last.released <= after.acquired else None
    vacated = min(max(untils, default=last.belief.end) if released is None else released, after.acquired)
    first = bisect_left(asked, vacated)
    seen = min(asked[first] if first < len(asked) else after.invoked, after.invoked)
    wrote = int(history.time[after.accepted[0]]) if after.accepted else None
    own = [fault for fault in bit if before.acquired <= fault.start <= after.acquired]
    return Change(before, after, vacated, seen, after.acquired, wrote, own[-1] if own else None,
                  any(fault.start <= after.acquired and fault.end + near >= vacated for fault in bit), released is not None)


def failovers(history: History, found: Sequence[Change]) -> dict[str, Any]:
    """p50, p90 and max (nearest rank) of each part, by kind of fault: `pause candidate`, `kill node`, `cut` …"""
    by_kind: dict[str, list[dict[str, int]]] = {}
    for change in found:
        parts = change.parts
        if parts is not None and change.fault is not None:
            by_kind.setdefault(kind(history, change.fault), []).append(parts)
    return {word: {"count": len(rows)} | {part: _quantiles([row[part] for row in rows if part in row]) for part in PARTS}
            for word, rows in sorted(by_kind.items())}


def own_failovers(history: History, claimed: Sequence[Claim], faults: Sequence[Injected]) -> dict[str, Any]:
    """The system's own changes of leader, by kind of fault: from the fault's `invoke` to the first answer of a leader of a
    higher term. As exact as the observers ask often; what has no fault of its own is left out."""
    by_kind: dict[str, list[int]] = {}
    for before, after in own_changes(claimed):
        own = [fault for fault in faults if fault.bit and before.belief.start <= fault.start <= after.belief.start]
        if own:
            by_kind.setdefault(kind(history, own[-1]), []).append(after.belief.start - own[-1].start)
    return {word: {"count": len(times), "failover_ns": _quantiles(times)} for word, times in sorted(by_kind.items())}


def own_changes(claimed: Sequence[Claim]) -> list[tuple[Claim, Claim]]:
    """Each claim of a higher term than any before, with the highest one before it, where another boot of a node made it."""
    found: list[tuple[Claim, Claim]] = []
    highest: Claim | None = None
    for claim in claimed:
        if highest is not None and (claim.term or 0) <= (highest.term or 0):
            continue
        if highest is not None and claim.claimant != highest.claimant:
            found.append((highest, claim))
        highest = claim
    return found


PARTS = ("detection_ns", "election_ns", "initialisation_ns", "failover_ns")


def kind(history: History, fault: Injected) -> str:
    """`pause node`, `pause candidate`, `cut` …"""
    if fault.host is None:
        return fault.f
    return f"{fault.f} {'node' if name(fault.host) in history.setup.nodes else 'candidate'}"


def _quantiles(values: Sequence[int]) -> dict[str, int] | None:
    ranked = sorted(values)
    return {word: ranked[max(0, ceil(share * len(ranked)) - 1)] for word, share in (("p50", 0.5), ("p90", 0.9), ("max", 1.0))} if ranked else None
