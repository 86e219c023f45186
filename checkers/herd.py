"""How many attempts does a change of leader cost?"""
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Annotated, ClassVar, NamedTuple

import msgspec
import numpy as np

from diarchy.checkers.availability import window
from diarchy.checkers.failover import Change, changes
from diarchy.checkers.landed import holdings
from diarchy.checkers.proofs import seconds
from diarchy.checkers.stability import awake_at
from diarchy.checkers.verdict import Check, Finding
from diarchy.history.columns import History
from diarchy.history.spans import Span
from diarchy.history.tenures import tenures
from diarchy.history.units import NS, Duration


class Herd(msgspec.Struct, frozen=True, tag="herd", tag_field="kind", forbid_unknown_fields=True):
    """How many attempts at the office a change of leader sets off. They are a lower bound of the requests: a history does not show watches,
    reads and what a client library does behind one attempt."""

    most: Annotated[Annotated[int, msgspec.Meta(ge=1)] | None, msgspec.Meta(description=(
        "more attempts in one change of leader are a violation; default: they are only counted"))] = None
    settle: Annotated[Duration | None, msgspec.Meta(description=(
        "attempts count until so long after the next leader's acquire; default: the TTL, or 1s without one"))] = None

    kinds: ClassVar[tuple[str, ...]] = ("herd", "no-change")
    levels: ClassVar[tuple[str, ...]] = ()

    def check(self, history: History) -> Check:
        settle = self.settle if self.settle is not None else history.setup.ttl or NS["s"]
        found = list(rushes(history, settle))
        worst = max(found, key=lambda rush: len(rush.attempts), default=None)
        counts = [len(rush.attempts) for rush in found]
        stats = {"changes": len(found), "attempts": sum(counts), "settle_ns": int(settle), "attempts_per_change": _quantiles(counts)}
        if self.most is None:
            return Check("herd", "valid", (), stats)
        if worst is None:
            return Check("herd", "inconclusive", (Finding("no-change", (
                "No leader followed another, so nothing shows how many attempts that takes. Let faults or `stay` end somebody's office."
            )),), stats)
        findings = (_finding(history, worst, self.most),) if len(worst.attempts) > self.most else ()
        return Check("herd", "violation" if findings else "valid", findings, stats)


class Rush(NamedTuple):
    """The attempts of one change of leader: indices of the `invoke`s in `span`, ns, and of the one that won."""

    change: Change
    span: Span
    attempts: tuple[int, ...]


def rushes(history: History, settle: int) -> Iterator[Rush]:
    """The attempts (`acquire` and `enqueue`) of each change, from the moment at which the office was free until `settle` ns after the next
    acquire's `ok`, and no later than the next change begins.

    An office that was never seen to be free counts from the `invoke` of the attempt that won it.
    """
    frame = window(history)
    if frame is None:
        return
    found = changes(history, [each for each in holdings(history, tenures(history)).values() if each.acquired <= frame.end], (), 0)
    rows = history.where("acquire", "enqueue", type="invoke")
    times = history.time[rows].tolist()
    begins = [change.vacated if change.vacated < change.acquired else change.after.invoked for change in found]
    for change, start, following in zip_longest(found, begins, begins[1:]):
        end = min(change.acquired + settle, frame.end)
        until = bisect_right(times, end) if following is None else min(bisect_right(times, end), bisect_left(times, following))
        yield Rush(change, Span(start, end), tuple(sorted({*rows[bisect_left(times, start):until], change.after.root})))


def _finding(history: History, rush: Rush, most: int) -> Finding:
    before, after = rush.change.before, rush.change.after
    there = len(awake_at(history, rush.change.acquired))
    return Finding("herd", (
        f"{after.claimant} acquired at {seconds(rush.change.acquired)} (op {after.tenures[0].ok}) what {before.claimant} had held: that set off "
        f"{len(rush.attempts)} attempts from {seconds(rush.span.start)} to {seconds(rush.span.end)}, of {there} candidates that were alive and "
        f"awake; at most {most} are allowed."), None, tuple(dict.fromkeys((before.claimant, after.claimant))), *rush.span,
        (*rush.attempts, after.tenures[0].ok), True)


def _quantiles(counts: Sequence[int]) -> dict[str, int] | None:
    """p50, p90 and max, by the nearest rank."""
    if not counts:
        return None
    return dict(zip(("p50", "p90", "max"), np.quantile(counts, (0.5, 0.9, 1), method="inverted_cdf").tolist(), strict=True))
