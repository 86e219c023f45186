"""When each claimant was alive, awake and heard of. Times in ns."""
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

import msgspec
import numpy as np

from diarchy.history.columns import History, Ints, Mask
from diarchy.history.injected import Injected, injected
from diarchy.history.spans import Span, united


class Nap(NamedTuple):
    """A time in which a claimant did not run, and the ops that say so."""

    start: int
    end: int
    ops: tuple[int, ...]


class Life(msgspec.Struct, frozen=True):
    """What the history knows of one process of a candidate."""

    claimant: str
    first: int
    last: int
    """Time of its last sign of life: any op or tick of its own. Silence after it proves nothing."""
    killed: int | None
    """Time of the kill's `invoke`."""
    exited: int | None
    """Index of its `exit`."""
    naps: tuple[Nap, ...]
    """Each pause [pause `invoke`, resume `ok`], closed by a kill, and each stall that it recorded itself; they may overlap."""

    @property
    def end(self) -> int | None:
        """The earliest moment at which it may have been gone; None while nothing says that it went."""
        gone = [self.last] if self.exited is not None else []
        return min(gone if self.killed is None else [self.killed, *gone], default=None)

    @property
    def paused(self) -> tuple[Span, ...]:
        """The naps, united."""
        return united(Span(nap.start, nap.end) for nap in self.naps)


@lru_cache(maxsize=1)
def lives(history: History) -> Mapping[str, Life]:
    """All claimants that spoke for themselves, by name (nodes are not among them)."""
    exits = {history.claimant[row]: row for row in history.where("exit")[::-1]}
    faults: dict[str, list[Injected]] = {}
    for fault in injected(history):
        if fault.host is not None:
            faults.setdefault(fault.host, []).append(fault)
    stalls = _stalls(history)
    return {who: _life(who, heard, faults.get(who, []), stalls.get(who, []), exits.get(who), history.end)
            for who, heard in _heard(history)}


def _heard(history: History) -> Iterator[tuple[str, Ints]]:
    """Each claimant with the times of its own ops, in order."""
    rows = history.rows(_own(history))
    codes = history.claimant.codes[rows]
    order = np.argsort(codes, kind="stable")
    names, starts = np.unique(codes[order], return_index=True)
    for code, times in zip(names.tolist(), np.split(history.time[rows][order], starts[1:]), strict=False):
        yield history.claimant.table[code], times


def _own(history: History) -> Mask:
    """The ops that a claimant stamped itself."""
    others = history.process.like("harness", "nemesis", "observer", "resource", "smoke")
    return (history.claimant.codes >= 0) & ~others & ~history.f.is_("exit")


def _life(who: str, heard: Ints, faults: list[Injected], stalls: list[Nap], exited: int | None, end: int) -> Life:
    first, last = int(heard[0]), int(heard[-1])
    kills = [fault.start for fault in faults if fault.f == "kill" and _died(fault, last)]
    killed = min(kills, default=None)
    naps = [*stalls, *(_pause(fault, heard, end) for fault in faults if fault.f == "pause")]
    if killed is not None:
        naps = [Nap(nap.start, min(nap.end, killed), nap.ops) for nap in naps]
    return Life(who, first, last, killed, exited, tuple(sorted(nap for nap in naps if nap.end > nap.start)))


def _died(kill: Injected, last: int) -> bool:
    """A kill happened unless it was seen not to bite, or its outcome is unknown and the victim spoke after it."""
    return kill.bit and (kill.done is None or kill.verified or last <= kill.took)


def _pause(fault: Injected, heard: Ints, end: int) -> Nap:
    """A pause that did not bite may have held until that was seen; one whose lifting is in doubt, until the next sign of life."""
    if fault.bit and fault.healed is None and fault.doubted is not None:
        after = int(np.searchsorted(heard, fault.doubted, side="right"))
        return Nap(fault.start, int(heard[after]) if after < len(heard) else end, (fault.op,))
    ended = fault.healed if fault.bit else fault.done
    return Nap(fault.start, fault.end, (fault.op,) if ended is None else (fault.op, ended))


def _stalls(history: History) -> dict[str, list[Nap]]:
    """Times in which a claimant noticed that it had not run."""
    found: dict[str, list[Nap]] = {}
    for row in history.where("stall", type="ok"):
        who, value = history.claimant[row], history.value.get(row)
        since = value.get("since") if isinstance(value, dict) else None
        if who is not None and isinstance(since, int):
            found.setdefault(who, []).append(Nap(since, int(history.time[row]), (row,)))
    return found
