"""Bars that meet are drawn one above the other."""
from collections.abc import Iterable

from diarchy.history.spans import Span


def rows(spans: Iterable[Span], most: int) -> list[int]:
    """For each span (in the order of their starts) a row in which it meets no other; beyond `most` rows the last takes all."""
    ends: list[int] = []
    chosen = []
    for span in spans:
        row = next((i for i, end in enumerate(ends) if end < span.start), len(ends))
        if row == len(ends):
            ends.append(span.end)
        ends[row] = max(ends[row], span.end)
        chosen.append(min(row, most - 1))
    return chosen
