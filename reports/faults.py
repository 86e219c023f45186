"""The faults of a run, each from the asking to the lifting, and what they did to the lanes of their hosts."""
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from diarchy.history.columns import History
from diarchy.history.injected import Injected, name
from diarchy.history.lives import Life
from diarchy.history.spans import Span
from diarchy.reports import words
from diarchy.reports.rows import rows
from diarchy.reports.shapes import Band, Bar, Lane, Mark

ROWS = 4
STOPS = {"pause": "SIGSTOP: it does not run", "kill": "SIGKILL: no process"}


def lanes(history: History, found: Sequence[Injected]) -> list[Lane]:
    """One lane for each nemesis that said anything."""
    codes = np.unique(history.process.codes[history.process.like("nemesis")])
    processes = sorted((history.process.table[int(code)] for code in codes), key=lambda process: (len(process.partition("-")[0]), process))
    return [Lane(process, "nemesis", words.plain(process.removeprefix("nemesis/"), 40), max(_rows(found, process), default=0) + 1)
            for process in processes]


def bars(history: History, found: Sequence[Injected]) -> Iterator[Bar]:
    """Each fault on its nemesis's lane as asked and as realised; pauses and kills on the lane of their host too."""
    for process in dict.fromkeys(fault.process for fault in found):
        own = [fault for fault in found if fault.process == process]
        for fault, row in zip(own, _rows(found, process), strict=True):
            yield from _bars(history, fault, row)


def bands(history: History, found: Sequence[Injected]) -> list[Band]:
    """The faults that took hold, as they lie over all lanes."""
    return [Band(fault.took, fault.end, said(history, fault)) for fault in found if fault.bit and fault.end > fault.took]


def marks(history: History) -> Iterator[Mark]:
    """What a nemesis could not do: no target, or an unknown outcome."""
    for row in map(int, np.flatnonzero(history.process.like("nemesis") & history.type.is_("fail", "info"))):
        text = f"{history.f[row]}: {history.error.get(row, 'unknown outcome')}"
        yield Mark(history.process[row] or "", "note", int(history.time[row]), f"{words.plain(text, 400)}\nop {row}")


def noticed(lives: Mapping[str, Life], history: History) -> Iterator[Bar]:
    """Stalls that candidates noticed themselves, on their lanes."""
    for row in history.where("stall", type="ok"):
        claimant, value = history.claimant[row] or "", history.value.get(row)
        since = value.get("since") if isinstance(value, dict) else None
        if claimant in lives and isinstance(since, int):
            time = int(history.time[row])
            yield Bar(name(claimant), "stalled", since, time,
                      f"{words.plain(claimant, 60)} noticed that it had not run for {words.length(time - since)}\nop {row}")


def said(history: History, fault: Injected) -> str:
    """The fault as one reads it, with what was realised of it."""
    return words.fault(fault.f, {**_value(history, fault.op), **_value(history, fault.done), "host": fault.host})


def _value(history: History, row: int | None) -> dict[str, Any]:
    value = None if row is None else history.value.get(row)
    return value if isinstance(value, dict) else {}


def _rows(found: Sequence[Injected], process: str) -> list[int]:
    return rows((Span(fault.start, max(fault.end, fault.took)) for fault in found if fault.process == process), ROWS)


def _bars(history: History, fault: Injected, row: int) -> Iterator[Bar]:
    label, facts = said(history, fault), tuple(_facts(history, fault))
    end = max(fault.end, fault.took)
    tip = "\n".join([label, *facts])
    yield Bar(fault.process, "asked", fault.start, end, tip, row=row)
    if fault.bit:
        yield Bar(fault.process, "fault", fault.took, end, tip, label, fault.f, row)
    else:
        yield Bar(fault.process, "missed", fault.start, end, tip, f"{label}: did not take hold", "no hold", row)
    if fault.bit and fault.host is not None and fault.f in STOPS:
        yield Bar(name(fault.host), "stopped" if fault.f == "pause" else "down", fault.took, end,
                  "\n".join([f"{label} ({STOPS[fault.f]})", *facts]))


def _facts(history: History, fault: Injected) -> Iterator[str]:
    yield f"asked at {words.seconds(fault.start)}"
    if not fault.bit:
        yield "did not take hold"
    else:
        yield f"in force from {words.seconds(fault.took)} for {words.length(fault.end - fault.took)}"
        if fault.healed is None:
            yield "not known to have been lifted" if fault.lift is not None else "never lifted"
    for row in (fault.done, fault.healed):
        if evidence := _value(history, row).get("evidence"):
            yield words.plain(f"{history.f[row or 0]}: {evidence}", 300)
        if row is not None and row in history.error:
            yield words.plain(history.error[row], 300)
    ops = [row for row in (fault.op, fault.done, fault.lift, fault.healed) if row is not None]
    yield f"ops {', '.join(map(str, ops))}"
