"""Stretches of time, in ns."""
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Span(NamedTuple):
    """[start, end] in ns."""

    start: int
    end: int


def united(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Sorted, without the empty ones; those that meet are one."""
    whole: list[Span] = []
    for span in sorted(span for span in spans if span.end > span.start):
        if whole and span.start <= whole[-1].end:
            whole[-1] = Span(whole[-1].start, max(whole[-1].end, span.end))
        else:
            whole.append(span)
    return tuple(whole)


def clipped(spans: Sequence[Span], start: int, end: int) -> tuple[Span, ...]:
    """What of the spans (sorted and apart) lies within [start, end]."""
    found: list[Span] = []
    for at in range(bisect_right(spans, start, key=lambda span: span.end), len(spans)):
        if spans[at].start >= end:
            break
        found.append(Span(max(spans[at].start, start), min(spans[at].end, end)))
    return tuple(found)


def without(spans: Sequence[Span], holes: Sequence[Span]) -> tuple[Span, ...]:
    """What is left of the spans; both are sorted and apart."""
    left: list[Span] = []
    first = 0
    for span in spans:
        start, end = span
        while first < len(holes) and holes[first].end <= start:
            first += 1
        at = first
        while at < len(holes) and holes[at].start < end:
            if holes[at].start > start:
                left.append(Span(start, holes[at].start))
            start = max(start, holes[at].end)
            at += 1
        if end > start:
            left.append(Span(start, end))
    return tuple(left)


def total(spans: Iterable[Span]) -> int:
    """Their lengths added up."""
    return sum(span.end - span.start for span in spans)
