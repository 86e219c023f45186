"""The faults of a run, each from its injection to its lifting, as the nemeses recorded them. Times in ns."""
from collections.abc import Callable
from functools import cache, lru_cache, partial

import msgspec
import numpy as np

from diarchy.history.columns import NONE, History, Ints
from diarchy.history.faults import Link, Realised

APPLY = ("pause", "kill", "cut", "slow", "stall", "reset", "skew")
LIFT = ("resume", "start", "heal", "unskew")
UNDOES = {"resume": ("pause",), "start": ("kill",), "heal": ("cut", "slow", "stall", "reset"), "unskew": ("skew",)}


class Injected(msgspec.Struct, frozen=True):
    """One fault. It may have been in force from `start` (its `invoke`) to `end` (its lift's `ok`, or the end of the history)."""

    op: int
    """Index of the `invoke`."""
    done: int | None
    """Index of the completion; None where the history has none."""
    f: str
    process: str
    host: str | None
    """A node, or a candidate's claimant."""
    links: tuple[Link, ...]
    start: int
    took: int
    """Time of the completion; where there is none, `end`."""
    end: int
    bit: bool
    """False only where the completion says so, or is a `fail`: then it was in force no longer than [start, took]."""
    verified: bool
    """Whether the completion is an `ok` that says that it bit."""
    lift: int | None
    """Index of the `invoke` of the first lift, of whatever outcome."""
    healed: int | None
    """Index of the `ok` of the lift that worked; None where none is known to have worked."""
    doubted: int | None
    """Time of the completion of a lift that is not known to have worked, where none is."""


class _Act(msgspec.Struct):
    """A nemesis op with its completion."""

    op: int
    f: str
    process: str
    asked: Realised
    done: int | None = None
    type: str = "info"
    realised: Realised | None = None
    lift: "_Act | None" = None
    healed: "_Act | None" = None

    @property
    def bit(self) -> bool:
        return self.type != "fail" and (self.realised is None or self.type != "ok" or self.realised.bit)

    @property
    def worked(self) -> bool:
        return self.type == "ok" and (self.realised is None or self.realised.bit)

    @property
    def host(self) -> str | None:
        return (self.realised.host if self.realised is not None else None) or self.asked.host

    @property
    def links(self) -> tuple[Link, ...]:
        return (self.realised.links if self.realised is not None else ()) or self.asked.links

    @property
    def lifts(self) -> int | None:
        return self.asked.lifts if self.realised is None or self.realised.lifts is None else self.realised.lifts


def injected(history: History) -> list[Injected]:
    """All faults that were asked for, in the order of their `invoke`. Never raises: what cannot be read is left out."""
    return list(_all(history))


@lru_cache(maxsize=1)
def _all(history: History) -> tuple[Injected, ...]:
    applied: list[_Act] = []
    for act in _acts(history):
        if act.f in APPLY:
            applied.append(act)
        else:
            for fault in _lifted_by(act, applied):
                fault.lift = fault.lift or act
                if act.worked and fault.healed is None:
                    fault.healed = act
    end, time = history.end, history.time
    spoken = cache(partial(_spoken, history))
    return tuple(_injected(fault, history, lambda row: end if row is None else int(time[row]), spoken) for fault in applied)


def acted(history: History) -> list[tuple[int, int | None]]:
    """Each nemesis op's `invoke` and its completion (None where the history has none)."""
    return [(act.op, act.done) for act in _acts(history)]


def _injected(fault: _Act, history: History, at: Callable[[int | None], int], spoken: Callable[[str], Ints]) -> Injected:
    took = at(fault.done)
    end = at(fault.healed.done if fault.healed is not None else None)
    doubted = at(fault.lift.done) if fault.lift is not None and fault.healed is None else None
    return Injected(op=fault.op, done=fault.done, f=fault.f, process=fault.process,
                    host=_claimant(fault.host, fault.op, history, spoken) if fault.host is not None else None, links=fault.links,
                    start=int(history.time[fault.op]), took=took, end=end if fault.bit else took, bit=fault.bit, verified=fault.worked,
                    lift=None if fault.lift is None else fault.lift.op,
                    healed=None if fault.healed is None else fault.healed.done, doubted=doubted)


def _acts(history: History) -> list[_Act]:
    mask = history.process.like("nemesis") & history.f.is_(*APPLY, *LIFT)
    acts: list[_Act] = []
    open_: dict[str, _Act] = {}
    by_op: dict[int, _Act] = {}
    for row in map(int, mask.nonzero()[0]):
        process, f, type_ = history.process[row] or "", history.f[row] or "", history.type[row]
        if type_ == "invoke":
            act = open_[process] = by_op[row] = _Act(row, f, process, _realised(history.value.get(row)) or Realised())
            acts.append(act)
            continue
        of = int(history.of[row])
        found = by_op.get(of) if of != NONE else open_.get(process)
        if found is None or found.f != f or found.done is not None:
            continue
        found.done, found.type, found.realised = row, type_ or "info", _realised(history.value.get(row))
        open_.pop(process, None)
    acts.sort(key=lambda act: (int(history.time[act.op]), act.op))
    return acts


def _realised(value: object) -> Realised | None:
    try:
        return msgspec.convert(value, Realised)
    except msgspec.ValidationError:
        return None


def _lifted_by(act: _Act, applied: list[_Act]) -> list[_Act]:
    """The faults that this op lifts: the one it names, else those still open on its host or its links, its own process's first."""
    if act.lifts is not None:
        return [fault for fault in applied if fault.op == act.lifts]
    same = [fault for fault in applied if fault.f in UNDOES[act.f] and fault.healed is None]
    mine = [fault for fault in same if fault.process == act.process]
    if act.host is not None:
        same, mine = ([fault for fault in part if fault.host is not None and name(fault.host) == name(act.host)] for part in (same, mine))
        return mine or same
    return [fault for fault in mine if not act.links or set(fault.links) <= set(act.links)]


def name(host: str) -> str:
    """`c1` of the claimant `c1#2`."""
    return host.partition("#")[0]


def _spoken(history: History, host: str) -> Ints:
    """The ops of all claimants of a candidate, in the order of time."""
    return history.rows(history.claimant.like(host + "#"))


def _claimant(host: str, op: int, history: History, spoken: Callable[[str], Ints]) -> str:
    """The claimant that a bare candidate name meant when the fault was injected: the newest that had spoken by then."""
    if "#" in host or host not in history.setup.candidates:
        return host
    rows = spoken(host)
    if not len(rows):
        return host
    before = int(np.searchsorted(history.time[rows], history.time[op], side="right"))
    return history.claimant[int(rows[max(0, before - 1)])] or host
