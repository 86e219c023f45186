"""In which state a tenure's claim is, from moment to moment."""
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import NamedTuple

from diarchy.history.spans import Span, clipped, without
from diarchy.history.tenures import Tenure


class State(Enum):
    """`LATE` is belief that is not certain, awake, within the grace. `CLAIMED` is the belief of a tenure without a lease, awake."""

    CERTAIN = "certain"
    LATE = "late"
    OVERDUE = "overdue"
    PAUSED = "paused"
    SILENT = "silent"
    CLAIMED = "claimed"


class Stretch(NamedTuple):
    """[start, end] in ns."""

    start: int
    end: int
    state: State


class Both(NamedTuple):
    """A stretch in which neither of two claims changes its state."""

    start: int
    end: int
    a: State
    b: State


def timeline(tenure: Tenure, grace: int) -> list[Stretch]:
    """The whole belief, in stretches without gaps.

    A claimant is overdue once its awake time since it was last certain (since its acquire's `ok`, if it never was) exceeds the
    grace. It counts as awake only up to its last sign of life: silence to the end of the run proves nothing.
    """
    line: list[Stretch] = []
    at, end = tenure.belief
    for span in (*clipped(tenure.certain, *tenure.belief), Span(end, end)):
        if span.start > at:
            line += _uncertain(tenure, Span(at, span.start), grace if tenure.lease else None)
        if span.end > span.start:
            line.append(Stretch(span.start, span.end, State.CERTAIN))
        at = span.end
    return line


def _uncertain(tenure: Tenure, gap: Span, grace: int | None) -> Iterator[Stretch]:
    """A stretch of belief without a certain moment. Without a grace (no lease) nothing is late."""
    naps = clipped(tenure.paused, *gap)
    parts = [(span, True) for span in naps] + [(span, False) for span in without([gap], naps)]
    left = grace
    for span, paused in sorted(parts):
        if paused:
            yield Stretch(*span, State.PAUSED)
            continue
        heard = Span(span.start, max(span.start, min(span.end, tenure.last_sign)))
        if left is None:
            yield from _some(heard, State.CLAIMED)
        else:
            turn = min(heard.end, heard.start + left)
            left -= turn - heard.start
            yield from _some(Span(heard.start, turn), State.LATE)
            yield from _some(Span(turn, heard.end), State.OVERDUE)
        yield from _some(Span(heard.end, span.end), State.SILENT)


def _some(span: Span, state: State) -> Iterator[Stretch]:
    if span.end > span.start:
        yield Stretch(*span, state)


def together(a: Sequence[Stretch], b: Sequence[Stretch], start: int, end: int) -> Iterator[Both]:
    """Two timelines side by side within [start, end], cut wherever one of them changes."""
    i = bisect_right(a, start, key=lambda stretch: stretch.end)
    j = bisect_right(b, start, key=lambda stretch: stretch.end)
    at = start
    while at < end and i < len(a) and j < len(b):
        until = min(a[i].end, b[j].end, end)
        if until > at:
            yield Both(at, until, a[i].state, b[j].state)
        at = until
        i += a[i].end <= at
        j += b[j].end <= at
