"""Writes as points: accepted, refused, unknown, each on its candidate's lane when sent and on the resource's when decided."""
from collections.abc import Collection, Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from diarchy.history.columns import History, Ints
from diarchy.reports import words
from diarchy.reports.shapes import Bar, BarKind, Flight, Mark, MarkKind

SINGLE = 3000
"""Up to so many writes of one outcome are drawn one by one; of more, those that no finding names are counted in bins."""
BINS = 1200
LONG_NS = 100_000_000
FLIGHTS = 300
RESOURCE = "resource"
MANY: dict[MarkKind, BarKind] = {"accepted": "accepted-many", "refused": "refused-many", "unknown": "unknown-many"}


class Writes(msgspec.Struct, frozen=True):
    """Rows of one outcome: the op that sent each write and the resource's record of it, -1 where there is none."""

    kind: MarkKind
    sent: Ints
    decided: Ints


def outcomes(history: History) -> list[Writes]:
    """Every write once, by the resource's record; what was sent and has none is unknown unless its client knows that it failed."""
    write = history.f.is_("write")
    ours = write & history.process.is_(RESOURCE)
    invokes = np.flatnonzero(write & ~ours & history.type.is_("invoke"))
    sender = _by_id(history, invokes)
    result = []
    recorded = np.zeros(len(history), dtype=np.bool_)
    for kind, type_ in (("accepted", "ok"), ("refused", "fail")):
        decided = np.flatnonzero(ours & history.type.is_(type_))
        sent = sender[history.id.codes[decided]]
        recorded[sent[sent >= 0]] = True
        result.append(Writes("accepted" if kind == "accepted" else "refused", sent, decided))
    failed = history.of[write & ~ours & history.type.is_("fail")]
    recorded[failed[failed >= 0]] = True
    unknown = invokes[~recorded[invokes]]
    result.append(Writes("unknown", unknown, np.full(len(unknown), -1)))
    return result


def _by_id(history: History, invokes: Ints) -> Ints:
    """From the code of a write's id to the row that sent it; the last place answers for records without an id (code -1)."""
    rows = np.full(len(history.id.table) + 1, -1)
    named = invokes[history.id.codes[invokes] >= 0]
    rows[history.id.codes[named]] = named
    return rows


def shapes(history: History, named: Collection[int], failing: Collection[int]) -> tuple[list[Mark], list[Bar], list[Flight]]:
    """Marks, counted bins, and the long flights. `named` are the ops that findings name: they are never binned.

    An accepted write among the `failing`, those that findings name which fail the run, is marked once more.
    """
    marks: list[Mark] = []
    bars: list[Bar] = []
    flights: list[Flight] = []
    proof = np.fromiter(named, dtype=np.int64, count=len(named))
    for writes in outcomes(history):
        single = np.isin(writes.sent, proof) | np.isin(writes.decided, proof)
        if len(writes.sent) <= SINGLE:
            single[:] = True
        for i in np.flatnonzero(single):
            sent, decided = int(writes.sent[i]), int(writes.decided[i])
            marks += _marks(history, writes.kind, sent, decided)
            if writes.kind == "accepted" and (sent in failing or decided in failing):
                marks += _marks(history, "named", sent, decided)
        bars += _bins(history, writes, ~single)
        flights += _flights(history, writes, single)
    flights.sort(key=lambda flight: flight.sent - flight.decided)
    return marks, bars, flights[:FLIGHTS]


def _marks(history: History, kind: MarkKind, sent: int, decided: int) -> Iterator[Mark]:
    tip = _tip(history, "accepted", sent, decided) if kind == "named" else _tip(history, kind, sent, decided)
    if sent >= 0 and (lane := _candidate(history, sent)):
        yield Mark(lane, kind, int(history.time[sent]), tip)
    if decided >= 0:
        yield Mark(RESOURCE, kind, int(history.time[decided]), tip)


def _candidate(history: History, index: int) -> str:
    """The lane of the candidate that sent a write; empty for writes of the harness itself, such as the smoke alarm's."""
    return (history.claimant[index] or "").partition("#")[0]


def _tip(history: History, kind: MarkKind, sent: int, decided: int) -> str:
    best = sent if sent >= 0 else decided
    who = history.claimant[best] or (history.process[sent] if sent >= 0 else None) or "unknown sender"
    token = history.get("token", best)
    lines = [f"write of {words.plain(who, 60)} {kind}" + ("" if token is None else f", token {token}")]
    if sent >= 0:
        lines.append(f"sent {words.seconds(int(history.time[sent]))}, op {sent}")
    if decided >= 0:
        order, fence = history.get("order", decided), history.get("fence", decided)
        more = ("" if order is None else f", order {order}") + ("" if fence is None else f", fence then {fence}")
        lines.append(f"decided {words.seconds(int(history.time[decided]))}, op {decided}{more}")
    else:
        lines.append("the resource has no record of it")
    if (name := history.id[best]) is not None:
        lines.append(f"id {words.plain(name, 80)}")
    return "\n".join(lines)


def _bins(history: History, writes: Writes, many: NDArray[np.bool_]) -> Iterator[Bar]:
    """Writes counted in bins, for each lane by itself."""
    if not many.any():
        return
    sent, decided = writes.sent[many], writes.decided[many]
    owner = np.where(sent >= 0, history.claimant.codes[sent], -1)
    for code in np.unique(owner[owner >= 0]):
        lane = history.claimant.table[code].partition("#")[0]
        yield from _binned(lane, writes.kind, history.time[sent[owner == code]], history.end)
    yield from _binned(RESOURCE, writes.kind, history.time[decided[decided >= 0]], history.end)


def _binned(lane: str, kind: MarkKind, times: Ints, end: int) -> Iterator[Bar]:
    times = np.sort(times)
    width = max(end // BINS, 1)
    for bin_ in np.split(times, np.flatnonzero(np.diff(times // width)) + 1):
        if len(bin_):
            start, last = int(bin_[0]), int(bin_[-1])
            yield Bar(lane, MANY[kind], start, last, f"{len(bin_)} writes {kind}\n{start / 1e9:.3f} to {words.seconds(last)}")


def _flights(history: History, writes: Writes, single: NDArray[np.bool_]) -> Iterator[Flight]:
    both = np.flatnonzero((writes.sent >= 0) & (writes.decided >= 0))
    long = both[history.time[writes.decided[both]] - history.time[writes.sent[both]] >= LONG_NS]
    longest = long[np.argsort(history.time[writes.sent[long]] - history.time[writes.decided[long]], kind="stable")[:FLIGHTS]]
    for i in longest:
        sent, decided = int(writes.sent[i]), int(writes.decided[i])
        if lane := _candidate(history, sent):
            start, end = int(history.time[sent]), int(history.time[decided])
            tip = f"{_tip(history, writes.kind, sent, decided)}\non its way for {words.length(end - start)}"
            yield Flight(lane, start, end, writes.kind == "accepted", tip)
