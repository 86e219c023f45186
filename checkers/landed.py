"""What became of each tenure's writes, by the records of the resource."""
from collections.abc import Sequence
from functools import lru_cache

import msgspec
import numpy as np

from diarchy.history.columns import NONE, History, Ints
from diarchy.history.tenures import Tenure


class Holding(msgspec.Struct, frozen=True):
    """One stay in office for the resource's purposes: a tenure with those that continue it by `again`. Times in ns."""

    root: int
    claimant: str
    token: int | None
    term: int | None
    invoked: int
    acquired: int
    tenures: tuple[Tenure, ...]
    accepted: tuple[int, ...]
    """The resource's records of its writes that were taken, by `order`."""
    refused: tuple[int, ...]
    """The resource's records of its writes that were refused, by time."""
    first_order: int | None
    last_order: int | None


@lru_cache(maxsize=1)
def records(history: History) -> Ints:
    """The resource's records of writes, those of the smoke alarm left out, in the order of time."""
    mask = history.process.is_("resource") & history.f.is_("write")
    smoke = history.id.codes[history.process.is_("smoke")]
    return history.rows(mask & ~history.id.among(smoke[smoke >= 0]))


@lru_cache(maxsize=1)
def accepted(history: History) -> Ints:
    """The records of the writes that the resource took, by its own `order`."""
    rows = records(history)
    rows = rows[history.type.is_("ok")[rows] & (history.order[rows] != NONE)]
    ordered: Ints = rows[np.argsort(history.order[rows], kind="stable")]
    return ordered


def refused(history: History) -> Ints:
    """The records of the writes that the resource refused, in the order of time."""
    rows = records(history)
    return rows[history.type.is_("fail")[rows]]


def holdings(history: History, tenures: Sequence[Tenure]) -> dict[int, Holding]:
    """All stays in office by their root, in the order of their acquire's `ok`."""
    groups: dict[int, list[Tenure]] = {}
    owner = np.full(len(history.id.table) + 1, -1, dtype=np.int64)
    for tenure in tenures:
        groups.setdefault(tenure.root, []).append(tenure)
        owner[history.id.codes[list(tenure.writes)]] = tenure.root
    owner[-1] = -1
    taken, turned_down = (_by_owner(rows, owner[history.id.codes[rows]]) for rows in (accepted(history), refused(history)))
    return {root: _holding(history, root, group, taken.get(root, []), turned_down.get(root, []))
            for root, group in groups.items()}


def _by_owner(rows: Ints, owners: Ints) -> dict[int, list[int]]:
    order = np.argsort(owners, kind="stable")
    names, starts = np.unique(owners[order], return_index=True)
    return {int(name): part.tolist() for name, part in zip(names, np.split(rows[order], starts[1:]), strict=False)}


def _holding(history: History, root: int, group: list[Tenure], taken: list[int], turned_down: list[int]) -> Holding:
    first = group[0]
    return Holding(root, first.claimant, first.token, first.term, first.invoked, first.acquired, tuple(group), tuple(taken),
                   tuple(turned_down), history.get("order", taken[0]) if taken else None,
                   history.get("order", taken[-1]) if taken else None)
