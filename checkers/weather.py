"""What the faults left standing, from moment to moment, and whether an election was possible in it."""
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from diarchy.history.columns import History
from diarchy.history.faults import Link
from diarchy.history.injected import Injected, injected, name
from diarchy.history.lives import lives
from diarchy.history.reach import can_elect
from diarchy.history.spans import Span, clipped, united


class Weather(NamedTuple):
    """When each thing was amiss: hosts that were down or paused, links on which nothing passed. By name; candidates without boot."""

    down: dict[str, tuple[Span, ...]]
    paused: dict[str, tuple[Span, ...]]
    cut: dict[Link, tuple[Span, ...]]


def weather(history: History) -> Weather:
    """Kills and pauses of nodes and candidates; cuts, stalls and resets, each direction of a link for itself.

    What was seen not to bite counts only until that was seen. A candidate is down also before its first line and after its exit.
    """
    down: dict[str, list[Span]] = {}
    paused: dict[str, list[Span]] = {}
    cut: dict[Link, list[Span]] = {}
    for fault in injected(history):
        span = Span(fault.start, fault.end)
        if fault.f in ("cut", "stall", "reset"):
            for link in fault.links if fault.bit else ():
                cut.setdefault(link, []).append(span)
        elif fault.host is not None and name(fault.host) in history.setup.nodes:
            (down if fault.f == "kill" else paused).setdefault(name(fault.host), []).append(span)
    for candidate in history.setup.candidates:
        down[candidate], paused[candidate] = [], []
    alive: dict[str, list[Span]] = {candidate: [] for candidate in history.setup.candidates}
    for life in lives(history).values():
        who = name(life.claimant)
        if who in alive:
            alive[who].append(Span(life.first, history.end if life.end is None else life.end))
            paused[who] += life.paused
    for who, spans in alive.items():
        down[who] += _complement(united(spans), int(history.time.min()) if len(history) else 0, history.end)
    return Weather({host: united(spans) for host, spans in down.items()}, {host: united(spans) for host, spans in paused.items()},
                   {link: united(spans) for link, spans in cut.items()})


def excused(history: History, sky: Weather, gaps: Sequence[Span]) -> Iterator[tuple[Span, ...]]:
    """Of each gap, the part in which no election was possible. Where the set-up names no nodes nothing is excused."""
    setup = history.setup
    seen: dict[tuple[frozenset[str], frozenset[str], frozenset[Link]], bool] = {}
    for gap in gaps:
        if not setup.nodes:
            yield ()
            continue
        bad: list[Span] = []
        for span, down, paused, cut in _states(sky, gap):
            key = down, paused, cut
            if key not in seen:
                alive = (set(setup.nodes) | set(setup.candidates)) - down
                seen[key] = can_elect(setup.nodes, setup.candidates, setup.quorum, alive, paused, cut)
            if not seen[key]:
                bad.append(span)
        yield united(bad)


def _states(sky: Weather, gap: Span) -> Iterator[tuple[Span, frozenset[str], frozenset[str], frozenset[Link]]]:
    """The gap, cut wherever anything changes, each piece with what was amiss in it."""
    here = [{key: clipped(spans, *gap) for key, spans in part.items()} for part in sky]
    edges = sorted({*gap, *(edge for part in here for spans in part.values() for span in spans for edge in span)})
    for start, end in pairwise(edges):
        down, paused, cut = (frozenset(key for key, spans in part.items() if any(a <= start and end <= b for a, b in spans))
                             for part in here)
        yield Span(start, end), down, paused, cut  # type: ignore[misc]


def _complement(spans: Sequence[Span], start: int, end: int) -> list[Span]:
    left: list[Span] = []
    for span in spans:
        if span.start > start:
            left.append(Span(start, span.start))
        start = max(start, span.end)
    return [*left, Span(start, end)] if end > start else left


def in_force(faults: Sequence[Injected], start: int, end: int) -> list[Injected]:
    """The faults that bit and were in force at some moment of [start, end]."""
    return [fault for fault in faults if fault.bit and fault.start <= end and fault.end >= start]
