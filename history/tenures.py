"""Who was in office when: claims, certain time and belief, read from a history."""
from typing import NamedTuple

import msgspec

from diarchy.history.columns import History


class Span(NamedTuple):
    """[start, end] in ns."""

    start: int
    end: int


class Tenure(msgspec.Struct, frozen=True):
    """One claimant's stay in office. Times in ns, ops by index."""

    id: int
    """Index of the acquire's `invoke` (what `tenure` of other ops names)."""
    claimant: str
    candidate: str
    invoked: int
    acquired: int
    ok: int
    """Index of the acquire's `ok`."""
    token: int | None
    term: int | None
    again: bool
    grants: tuple[int, ...]
    """Indices of the `ok` of the acquire and of each renewal."""
    certain: tuple[Span, ...]
    belief: Span
    stepped_down: int | None
    """Time of the step-down, None where there is none."""
    writes: tuple[int, ...]
    """Indices of the write `invoke`s that name this tenure."""


def tenures(history: History) -> list[Tenure]:
    """All tenures of candidates, in the order of their acquire's `ok`."""
    raise NotImplementedError
