"""Does the office stay with whom it is, or does it change hands without need?"""
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar

import msgspec

from diarchy.checkers.availability import in_office, window
from diarchy.checkers.deposed import Deposed, deposed, near_ns
from diarchy.checkers.failover import Change, changes, own_changes
from diarchy.checkers.landed import holdings
from diarchy.checkers.proofs import seconds
from diarchy.checkers.terms import Terms, terms
from diarchy.checkers.verdict import Check, Finding, Word
from diarchy.history.columns import History
from diarchy.history.injected import injected, name
from diarchy.history.lives import lives
from diarchy.history.observed import claims
from diarchy.history.spans import Span, clipped, total
from diarchy.history.tenures import Tenure, tenures
from diarchy.history.units import NS, Duration, default

SHOWN = 20
"""So many changes are told in a sentence, and so many of the deposed are listed; all are counted."""


class Stability(msgspec.Struct, frozen=True, tag="stability", tag_field="kind", forbid_unknown_fields=True):
    """How often the office changed hands, who won it, and who lost it though nothing was wrong with it."""

    most_changes: Annotated[Annotated[int, msgspec.Meta(ge=0)] | None, msgspec.Meta(description=(
        "more changes of leader within any `window` are a violation; default: they are only counted"))] = None
    window: Annotated[Duration, msgspec.Meta(description="what `most_changes` applies to")] = default("1m")
    largest_share: Annotated[Annotated[float, msgspec.Meta(ge=0, le=1)] | None, msgspec.Meta(description=(
        "one candidate that wins a larger share of the changes of leader is a violation; only those count at which the winner had a rival "
        "that was alive and awake; default: it is only measured"))] = None
    least_changes: Annotated[Annotated[int, msgspec.Meta(ge=1)], msgspec.Meta(description=(
        "with fewer such changes there is no share to judge"))] = 5
    most_deposed: Annotated[Annotated[int, msgspec.Meta(ge=0)] | None, msgspec.Meta(description=(
        "more healthy leaders deposed are a violation; default: they are only reported"))] = None
    most_terms: Annotated[Annotated[float, msgspec.Meta(ge=0)] | None, msgspec.Meta(description=(
        "more terms used up for each change of leader are a violation; default: they are only counted"))] = None
    near: Annotated[Duration | None, msgspec.Meta(description=(
        "a fault explains what happens at most so long after it was lifted; default: twice the TTL, or 2s without one"))] = None

    kinds: ClassVar[tuple[str, ...]] = ("flapping", "monopoly", "deposed", "term-inflation")
    levels: ClassVar[tuple[str, ...]] = ()

    def check(self, history: History) -> Check:
        stays, frame = tenures(history), window(history)
        if frame is None:
            return Check("stability", "inconclusive")
        near, faults = near_ns(history.setup, self.near), injected(history)
        held = [each for each in holdings(history, stays).values() if each.acquired <= frame.end]
        found = changes(history, held, faults, near)
        worst = _crowded(found, self.window)
        contests = [change for change in found if awake_at(history, change.acquired) - {name(change.after.claimant)}]
        won = Counter(name(change.after.claimant) for change in contests)
        fallen = list(deposed(history, held, faults, near, frame.end))
        claimed = [claim for claim in claims(history) if claim.belief.start <= frame.end]
        used = terms(history, frame.end, len(found), len(own_changes(claimed)))
        findings = (*self._flapping(worst), *self._monopoly(contests, won), *self._deposed(history, fallen), *self._inflation(used))
        word: Word = "violation" if any(f.fails for f in findings) else "valid" if stays or claimed else "inconclusive"
        return Check("stability", word, tuple(sorted(findings, key=lambda f: (not f.fails, f.start or 0))), {
            "changes": len(found), "changes_per_hour": round(len(found) * NS["h"] / max(1, frame.end - frame.start), 3),
            "changes_in_window": len(worst), "window_ns": int(self.window), "unexplained": sum(not change.near for change in found),
            "contested": len(contests), "won": dict(won), "largest_won_share": round(max(won.values()) / len(contests), 6) if won else None,
            "led_share": _led(stays, frame), "deposed": len(fallen), "terms": {each.source: each.used for each in used},
            "terms_per_change": {each.source: round(each.each, 3) for each in used},
        })

    def _flapping(self, worst: Sequence[Change]) -> Iterator[Finding]:
        if self.most_changes is not None and len(worst) > self.most_changes:
            start, end = worst[0].acquired, worst[-1].acquired
            yield Finding("flapping", (
                f"The office changed hands {len(worst)} times from {seconds(start)} to {seconds(end)}, within {seconds(end - start)}; at most "
                f"{self.most_changes} changes within {self.window} are allowed: {_named(worst)}."), None, _winners(worst), start, end,
                _ops(worst), True)

    def _monopoly(self, contests: Sequence[Change], won: Counter[str]) -> Iterator[Finding]:
        if self.largest_share is None or len(contests) < self.least_changes:
            return
        (who, count), = won.most_common(1)
        if count / len(contests) > self.largest_share:
            wins = [change for change in contests if name(change.after.claimant) == who]
            yield Finding("monopoly", (
                f"{who} won {count} of the {len(contests)} changes of leader at which the winner had a rival that was alive and awake. That is a "
                f"share of {count / len(contests):.3g}; at most {self.largest_share:.3g} is allowed: {_named(wins)}."), None,
                _winners(wins), contests[0].acquired, contests[-1].acquired, _ops(contests), True)

    def _deposed(self, history: History, fallen: Sequence[Deposed]) -> Iterator[Finding]:
        fails = self.most_deposed is not None and len(fallen) > self.most_deposed
        limit = f" In all {len(fallen)} healthy leaders were deposed; at most {self.most_deposed} are allowed." if fails else ""
        for each in fallen[:SHOWN]:
            proof = each.proof(history)
            yield Finding("deposed", proof.text + limit, None, each.claimants, each.at,
                          each.at if each.after is None else each.after.acquired, proof.ops, fails)

    def _inflation(self, used: Sequence[Terms]) -> Iterator[Finding]:
        for each in used:
            if self.most_terms is not None and each.each > self.most_terms:
                yield Finding("term-inflation", (
                    f"{each.proof.text} That is {each.each:.3g} for each change; at most {self.most_terms:.3g} are allowed."), None, (),
                    *each.span, each.proof.ops, True)


def awake_at(history: History, time: int) -> set[str]:
    """The names of those that were alive and awake at a moment, ns: from their first line to their kill or `exit`."""
    return {name(life.claimant) for life in lives(history).values()
            if life.first <= time and (life.killed is None or life.killed > time)
            and (life.exited is None or history.time[life.exited] > time) and not any(nap.start <= time <= nap.end for nap in life.naps)}


def _crowded(found: Sequence[Change], length: int) -> Sequence[Change]:
    """The most changes within any stretch of so many ns, its ends included; of several the first."""
    times = [change.acquired for change in found]
    ends = [bisect_right(times, time + length) for time in times]
    first = max(range(len(ends)), key=lambda at: ends[at] - at, default=0)
    return found[first:ends[first]] if ends else ()


def _led(stays: Sequence[Tenure], frame: Span) -> dict[str, float]:
    """Each candidate's share of the time led, the times of all added up."""
    groups: dict[str, list[Tenure]] = {}
    for stay in stays:
        groups.setdefault(stay.candidate, []).append(stay)
    led = {who: total(clipped(in_office(group), *frame)) for who, group in sorted(groups.items())}
    return {who: round(time / max(1, sum(led.values())), 6) for who, time in led.items()}


def _named(found: Sequence[Change]) -> str:
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return ", ".join(f"{change.before.claimant} → {change.after.claimant} at {seconds(change.acquired)} (op {change.after.tenures[0].ok})"
                     for change in found[:SHOWN]) + more


def _winners(found: Sequence[Change]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(change.after.claimant for change in found))


def _ops(found: Sequence[Change]) -> tuple[int, ...]:
    return tuple(sorted(change.after.tenures[0].ok for change in found))
