"""Which of two tenures is the earlier, and what the earlier did to the resource after the later one had come."""
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from diarchy.checkers.landed import Holding
from diarchy.history.columns import History

Level = Literal["accepted", "attempted", "belief"]


class Harm(NamedTuple):
    """The level of a pair, and the ops that show it: the write that came late and what it came after."""

    level: Level
    stale: Holding | None = None
    fresh: Holding | None = None
    late: int | None = None
    after: int | None = None


class Order(NamedTuple):
    """Tenure order. `tolerance` is how far two processes' clocks may be apart, in ns."""

    tolerance: int

    def of(self, a: Holding, b: Holding) -> tuple[Holding, Holding] | None:
        """The two with the earlier first; None where nothing says which it is."""
        if a.token is not None and b.token is not None and a.token != b.token:
            return (a, b) if a.token < b.token else (b, a)
        if a.acquired + self.tolerance < b.invoked:
            return a, b
        if b.acquired + self.tolerance < a.invoked:
            return b, a
        return None


def harm(history: History, a: Holding, b: Holding, order: Order) -> Harm:
    """The level of a pair of tenures."""
    known = order.of(a, b)
    if known is None:
        return _interleaved(history, a, b) or Harm("belief")
    return _stale(history, *known) or _attempt(history, *known, order.tolerance) or Harm("belief")


def _stale(history: History, earlier: Holding, later: Holding) -> Harm | None:
    """A write of the earlier was taken after one of the later."""
    if earlier.last_order is None or later.first_order is None or earlier.last_order < later.first_order:
        return None
    late = next(row for row in earlier.accepted if history.order[row] > later.first_order)
    return Harm("accepted", earlier, later, late, later.accepted[0])


def _interleaved(history: History, a: Holding, b: Holding) -> Harm | None:
    """Whichever is the earlier, T, T′, T proves that one of them wrote after the other had come."""
    for stale, fresh in ((a, b), (b, a)):
        if not stale.accepted or not fresh.accepted:
            return None
        between = next((row for row in fresh.accepted if history.order[row] > history.order[stale.accepted[0]]), None)
        if between is not None and history.order[between] < history.order[stale.accepted[-1]]:
            late = next(row for row in stale.accepted if history.order[row] > history.order[between])
            return Harm("accepted", stale, fresh, late, between)
    return None


def _attempt(history: History, earlier: Holding, later: Holding, tolerance: int) -> Harm | None:
    """A write of the earlier was refused, or was sent when the later was in office and taken before the later wrote."""
    for row in earlier.refused:
        if history.time[row] > later.invoked:
            return Harm("attempted", earlier, later, row)
    sent_by = {history.id[row]: row for tenure in earlier.tenures for row in tenure.writes}
    for row in reversed(earlier.accepted):
        sent = sent_by.get(history.id[row])
        if sent is not None and history.time[sent] > later.acquired + tolerance:
            return Harm("attempted", earlier, later, row)
    return None


class _Newest:
    """The newest of the holdings up to a place in a line, by token or by acquire `invoke`; of any claimant but one's own."""

    def __init__(self, holdings: Sequence[Holding], places: Sequence[int], by_token: bool) -> None:
        self.places = list(places)
        self.best: list[tuple[Holding, ...]] = []
        top: tuple[Holding, ...] = ()
        for holding in holdings:
            ranked = sorted((*top, holding), key=lambda h: (h.token if by_token and h.token is not None else 0, h.invoked))
            last = ranked[-1]
            other = next((h for h in reversed(ranked) if h.claimant != last.claimant), None)
            top = (last,) if other is None else (other, last)
            self.best.append(top)

    def before(self, place: int, claimant: str) -> Holding | None:
        count = bisect_right(self.places, place - 1)
        return next((h for h in reversed(self.best[count - 1]) if h.claimant != claimant), None) if count else None


class Newer:
    """Finds, for a tenure, one that is later in tenure order among those up to a place: near-linear for all together.

    `places` are those of the holdings in the line to search (orders of acceptance, or times), in ascending order.
    """

    def __init__(self, holdings: Sequence[Holding], places: Sequence[int], order: Order) -> None:
        self.order = order
        pairs = list(zip(holdings, places, strict=True))
        self.lines = [_Newest([h for h, _ in part], [place for _, place in part], by_token) for part, by_token in (
            ([pair for pair in pairs if pair[0].token is not None], True),
            ([pair for pair in pairs if pair[0].token is None], False),
            (pairs, False))]

    def than(self, holding: Holding, place: int) -> Holding | None:
        """One of another claimant that is later than this holding and stands before the place."""
        for line in self.lines[:2] if holding.token is not None else self.lines[2:]:
            found = line.before(place, holding.claimant)
            if found is not None:
                known = self.order.of(holding, found)
                if known is not None and known[1] is found:
                    return found
        return None


def late_pairs(holdings: Sequence[Holding], order: Order) -> Iterator[tuple[Holding, Holding]]:
    """Pairs in which the resource took a write of one after one of another that is later, or T, T′, T where none is.

    At least one pair for each tenure of which a write came late.
    """
    wrote = sorted((h for h in holdings if h.first_order is not None), key=lambda h: h.first_order or 0)
    newer = Newer(wrote, [h.first_order or 0 for h in wrote], order)
    for holding in wrote:
        later = newer.than(holding, holding.last_order or 0)
        if later is not None:
            yield holding, later
    yield from _unordered(wrote, order)


def _unordered(wrote: Sequence[Holding], order: Order) -> Iterator[tuple[Holding, Holding]]:
    """Pairs of which nothing says which is the earlier: their acquires were under way at the same time."""
    open_: list[Holding] = []
    for holding in sorted(wrote, key=lambda h: (h.invoked, h.acquired, h.root)):
        open_ = [other for other in open_ if other.acquired + order.tolerance >= holding.invoked]
        yield from ((other, holding) for other in open_
                    if other.claimant != holding.claimant and order.of(other, holding) is None)
        open_.append(holding)
