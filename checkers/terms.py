"""How many terms an election used up."""
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from diarchy.checkers.proofs import Proof, seconds
from diarchy.history.columns import NONE, History, Mask
from diarchy.history.spans import Span


class Terms(NamedTuple):
    """The lowest and the highest term in one kind of ops, and the changes of leader that they were used for."""

    source: str
    """`claimed`, by who acquires; or `observed`, by the observers of a system's own leader."""
    used: int
    changes: int
    span: Span
    proof: Proof

    @property
    def each(self) -> float:
        """Terms for each change of leader; with no change at all, those that were used for none."""
        return self.used / max(1, self.changes)


def terms(history: History, end: int, changes: int, own_changes: int) -> list[Terms]:
    """The terms up to a moment (ns): those of acquires against the changes of leader, those of observers against the system's own."""
    claimed = history.f.is_("acquire") & history.type.is_("invoke", "ok")
    observed = history.f.is_("observe") & history.type.is_("ok") & history.process.like("observer/")
    return [*_terms(history, "claimed", claimed, end, changes), *_terms(history, "observed", observed, end, own_changes)]


def _terms(history: History, source: str, mask: Mask, end: int, changes: int) -> Iterator[Terms]:
    rows = np.flatnonzero(mask & (history.term != NONE) & (history.time <= end))
    if len(rows):
        low, high = (int(rows[at]) for at in (history.term[rows].argmin(), history.term[rows].argmax()))
        least, most = int(history.term[low]), int(history.term[high])
        first, last = sorted((int(history.time[low]), int(history.time[high])))
        yield Terms(source, most - least, changes, Span(first, last), Proof((
            f"The terms {source} go from {least} (op {low}, {seconds(int(history.time[low]))}) to {most} (op {high}, "
            f"{seconds(int(history.time[high]))}): {most - least} used up; changes of leader: {changes}."), tuple(sorted({low, high}))))
