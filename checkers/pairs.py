"""Pairs of tenures whose beliefs meet, cut in pieces where a state changes, each piece with its kind of overlap."""
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Literal, NamedTuple

import msgspec

from diarchy.checkers.landed import Holding
from diarchy.checkers.levels import Newer, Order
from diarchy.checkers.states import Both, State, Stretch, timeline, together
from diarchy.history.columns import History
from diarchy.history.spans import Span, united, without
from diarchy.history.tenures import Tenure

Kind = Literal["granted", "overstayed", "frozen", "superseded", "possible", "late"]
GRAVEST: tuple[Kind, ...] = ("granted", "overstayed", "frozen", "superseded", "possible", "late")
"""The kinds, in the order in which they are tried."""


class Rules(NamedTuple):
    """What the set-up says of clocks and patience. All in ns."""

    tolerance: int
    grace: int
    handover: int


class Piece(NamedTuple):
    """[start, end] of an overlap, of one kind; the states of the two at its start."""

    start: int
    end: int
    kind: Kind
    a: State
    b: State


class Revival(NamedTuple):
    """A renewal that succeeded though it was sent after a later tenure's `ok`, and the certain time that it gave."""

    op: int
    sent: int
    span: Span


class Pair(msgspec.Struct, frozen=True):
    """Two tenures of different claimants; `a` is the one that came first, where anything says so."""

    a: Tenure
    b: Tenure
    pieces: tuple[Piece, ...]
    both_certain: int
    """How long both were certain, ns."""
    revivals: tuple[Revival, ...] = ()


def pairs(history: History, tenures: Sequence[Tenure], holdings: dict[int, Holding], rules: Rules) -> list[Pair]:
    """All pairs that are worth a word: those that overlap, those of one term, those in which a later tenure was followed by a
    renewal of the earlier. One sweep over the tenures, which are in the order of their acquire's `ok`."""
    order = Order(rules.tolerance)

    @cache
    def line(index: int) -> list[Stretch]:
        return timeline(tenures[index], rules.grace)

    found: dict[tuple[int, int], Pair] = {}
    for i, j in _meeting(tenures, rules.tolerance):
        a, b, first, second = tenures[i], tenures[j], line(i), line(j)
        known = order.of(holdings[a.root], holdings[b.root])
        if known is not None and known[0] is holdings[b.root]:
            a, b, first, second = b, a, second, first
        both = list(together(first, second, tenures[j].belief.start, min(a.belief.end, b.belief.end)))
        found[a.id, b.id] = _judged(history, a, b, both, known is not None, rules)
    for a, b in _revived(history, tenures, holdings, order):
        if (a.id, b.id) not in found:
            found[a.id, b.id] = Pair(a, b, (), 0, tuple(_revivals(history, a, b, rules.tolerance)))
    for a, b in _one_term(tenures):
        if (a.id, b.id) not in found and (b.id, a.id) not in found:
            found[a.id, b.id] = Pair(a, b, (), 0)
    return list(found.values())


def same_term(a: Tenure, b: Tenure) -> bool:
    """Whether both have no lease and one and the same term."""
    return not a.lease and not b.lease and a.term is not None and a.term == b.term


def _meeting(tenures: Sequence[Tenure], tolerance: int) -> Iterator[tuple[int, int]]:
    """Indices of tenures of different claimants whose beliefs meet by more than the tolerance."""
    open_: list[int] = []
    for j, tenure in enumerate(tenures):
        start = tenure.belief.start
        open_ = [i for i in open_ if tenures[i].belief.end - start > tolerance]
        if tenure.belief.end - start > tolerance:
            yield from ((i, j) for i in open_ if tenures[i].claimant != tenure.claimant)
            open_.append(j)


def _judged(history: History, a: Tenure, b: Tenure, both: list[Both], ordered: bool, rules: Rules) -> Pair:
    revivals = tuple(_revivals(history, a, b, rules.tolerance)) if ordered else ()
    pieces = _settled(_pieces(a, b, both, rules), rules.tolerance)
    again = united(revival.span for revival in revivals)
    if again:
        pieces = [piece._replace(start=start, end=end) for piece in pieces
                  for start, end in without([Span(piece.start, piece.end)], again)]
        pieces += [Piece(start, end, "granted", State.CERTAIN, State.CERTAIN) for start, end in again]
        pieces = _settled(iter(sorted(pieces)), rules.tolerance)
    certain = sum(part.end - part.start for part in both if part.a is part.b is State.CERTAIN)
    return Pair(a, b, tuple(pieces), certain, revivals)


def _pieces(a: Tenure, b: Tenure, both: list[Both], rules: Rules) -> Iterator[Piece]:
    if not a.lease and not b.lease and a.term is not None and b.term is not None:
        kind: Kind = "granted" if a.term == b.term else "superseded"
        yield from (Piece(part.start, part.end, kind, part.a, part.b) for part in both)
        return
    since: int | None = None
    for part in both:
        kind = _kind(part.a, part.b)
        if State.CLAIMED not in (part.a, part.b) or kind != "granted":
            since = None
            yield Piece(part.start, part.end, kind, part.a, part.b)
            continue
        since = part.start if since is None else since
        turn = max(part.start, min(part.end, since + rules.handover))
        if turn > part.start:
            yield Piece(part.start, turn, "possible", part.a, part.b)
        if part.end > turn:
            yield Piece(turn, part.end, "granted", part.a, part.b)


def _kind(a: State, b: State) -> Kind:
    """The first kind that fits. Claims without lease and term count as granted once they outlast the handover."""
    states = (a, b)
    if State.OVERDUE in states:
        return "overstayed"
    if State.PAUSED in states:
        return "frozen"
    return "possible" if State.LATE in states or State.SILENT in states else "granted"


def _settled(pieces: Iterator[Piece], tolerance: int) -> list[Piece]:
    """Neighbours of one kind are one; what is no longer than the clocks may be apart is only possible."""
    merged: list[Piece] = []
    for piece in pieces:
        if merged and merged[-1].end == piece.start and merged[-1].kind == piece.kind:
            merged[-1] = merged[-1]._replace(end=piece.end)
        else:
            merged.append(piece)
    return [piece if piece.end - piece.start > tolerance else piece._replace(kind="possible") for piece in merged]


def _revived(history: History, tenures: Sequence[Tenure], holdings: dict[int, Holding],
             order: Order) -> Iterator[tuple[Tenure, Tenure]]:
    """Pairs in which a renewal of the earlier was sent after the later's `ok`; at least one for each such earlier tenure."""
    line = [holdings[tenure.root] for tenure in tenures if tenure.id == tenure.root]
    newer = Newer(line, [holding.acquired + order.tolerance for holding in line], order)
    first = {tenure.id: tenure for tenure in tenures}
    for tenure in tenures:
        sent = max((at for _, at in _renewals(history, tenure)), default=None)
        later = None if sent is None else newer.than(holdings[tenure.root], sent)
        if later is not None:
            yield tenure, first[later.root]


def _revivals(history: History, earlier: Tenure, later: Tenure, tolerance: int) -> Iterator[Revival]:
    for row, sent in _renewals(history, earlier):
        if sent > later.acquired + tolerance:
            start = int(history.time[row])
            ends = [span.end for span in earlier.certain if span.start <= start < span.end]
            yield Revival(row, sent, Span(start, min([int(history.until[row]), *ends]) if ends else start))


def _renewals(history: History, tenure: Tenure) -> Iterator[tuple[int, int]]:
    """The renewals of a lease that were sent while the claimant had neither stepped down nor released, with their `sent`."""
    left = min((at for at in (tenure.stepped_down, tenure.released) if at is not None), default=None)
    for row, sent in zip(tenure.grants[1:], tenure.sent[1:], strict=True):
        if sent is not None and history.get("until", row) is not None and (left is None or sent < left):
            yield row, sent


def _one_term(tenures: Sequence[Tenure]) -> Iterator[tuple[Tenure, Tenure]]:
    """Neighbours among the tenures of one term that are of different claimants: one term has one leader, at whatever times."""
    last: dict[int, Tenure] = {}
    for tenure in tenures:
        if tenure.lease or tenure.term is None:
            continue
        before = last.get(tenure.term)
        if before is not None and before.claimant != tenure.claimant:
            yield before, tenure
        last[tenure.term] = tenure
