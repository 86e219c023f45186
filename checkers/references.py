"""Does what refers to something refer to something? A history that was cut off or doctored may not."""
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from diarchy.checkers.verdict import Finding
from diarchy.history.columns import NONE, History
from diarchy.history.tenures import invoked_by

Mask = NDArray[np.bool_]

NAMED = ("renew", "release", "step-down", "write")
"""Ops that belong to a tenure."""


def broken_references(history: History) -> Iterator[Finding]:
    """One finding for each kind of fault, with its first ops."""
    for kind, what, mask in (
            ("broken-reference", "name in `of` an op that is not their `invoke`", _of(history)),
            ("broken-reference", "complete an acquire or a renewal that has no `invoke`", _orphans(history)),
            ("broken-reference", "name in `tenure` an op that is no acquire of their claimant's", _tenure(history)),
            ("broken-reference", "are writes that name no tenure", _homeless(history)),
            ("broken-reference", "are records of accepted writes without their `order`", _unordered(history)),
            ("not-sequential", "are invokes while the op before was under way in the same process", _doubled(history))):
        rows = np.flatnonzero(mask)
        if len(rows):
            yield Finding(kind, f"{len(rows)} ops {what}, first op {rows[0]} ({history.process[int(rows[0])]}, {history.f[int(rows[0])]}): "
                          "the history is damaged, or its writer is at fault.", None, (), None, None, tuple(rows[:20].tolist()))


def _of(history: History) -> Mask:
    of, n = history.of, len(history)
    inside = (of >= 0) & (of < n)
    to = np.where(inside, of, 0)
    same = (history.process.codes[to] == history.process.codes) & (history.f.codes[to] == history.f.codes)
    found: Mask = (of != NONE) & ~(inside & same & history.type.is_("invoke")[to] & (of < np.arange(n)))
    return found


def _orphans(history: History) -> Mask:
    mask = history.f.is_("acquire", "renew") & history.type.is_("ok")
    known = np.zeros(len(history), dtype=bool)
    known[list(invoked_by(history, "acquire", "renew"))] = True
    found: Mask = mask & ~known & (history.of == NONE)
    return found


def _tenure(history: History) -> Mask:
    tenure = history.tenure
    inside = (tenure >= 0) & (tenure < len(history))
    to = np.where(inside, tenure, 0)
    good = inside & (history.f.is_("acquire") & history.type.is_("invoke"))[to] & (history.claimant.codes[to] == history.claimant.codes)
    found: Mask = (tenure != NONE) & history.f.is_(*NAMED) & ~good & ~history.process.is_("resource", "smoke")
    return found


def _homeless(history: History) -> Mask:
    found: Mask = (history.f.is_("write") & history.type.is_("invoke") & (history.claimant.codes >= 0) & (history.tenure == NONE)
            & ~history.process.is_("resource", "smoke"))
    return found


def _unordered(history: History) -> Mask:
    found: Mask = history.process.is_("resource") & history.f.is_("write") & history.type.is_("ok") & (history.order == NONE)
    return found


def _doubled(history: History) -> Mask:
    """In each process and claimant, an invoke right after an invoke (the ops without an invoke of their own left out).

    An observer learns only from the answer which boot of a node it asked: its process alone counts.
    """
    doubled = np.zeros(len(history), dtype=bool)
    rows = np.flatnonzero(~history.f.is_("step-down", "tick", "stall", "ready", "exit", "protocol-error"))
    claimants = np.where(history.f.is_("observe"), -1, history.claimant.codes)
    codes = history.process.codes[rows].astype(np.int64) * (len(history.claimant.table) + 1) + claimants[rows]
    order = rows[np.argsort(codes, kind="stable")]
    codes = np.sort(codes, kind="stable")
    invoke = history.type.is_("invoke")[order]
    doubled[order[1:][(codes[1:] == codes[:-1]) & invoke[1:] & invoke[:-1]]] = True
    return doubled
