"""Does the history hold enough, and sound enough, evidence to prove anything?"""
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np

from diarchy.checkers.landed import accepted
from diarchy.checkers.proofs import seconds
from diarchy.checkers.references import broken_references
from diarchy.checkers.verdict import Check, Finding
from diarchy.history.columns import NONE, History, Ints
from diarchy.history.injected import Injected, acted, injected
from diarchy.history.lives import lives
from diarchy.history.tenures import Tenure, tenures

UNSOUND = ("no-leader", "few-writes", "no-fault-bit", "idle-nemesis", "clock", "broken-reference", "not-sequential")
"""The findings that make a run inconclusive; the others are reported."""


class Assumptions(msgspec.Struct, frozen=True, tag="assumptions", tag_field="kind", forbid_unknown_fields=True):
    """There was a leader, it wrote, the faults bit while it led, the clock can be trusted. Always checked."""

    min_writes: Annotated[int, msgspec.Meta(ge=0, description=(
        "with fewer accepted writes the run is inconclusive; 0 for workloads that do not write"))] = 10

    kinds: ClassVar[tuple[str, ...]] = (*UNSOUND, "protocol-error", "did-not-bite", "no-target", "candidate-exit", "unanswered", "not-healed")
    levels: ClassVar[tuple[str, ...]] = ()

    def check(self, history: History) -> Check:
        stays, faults = tenures(history), injected(history)
        writes = len(accepted(history))
        findings = (*self._evidence(history, stays, writes), *_bites(history, stays, faults), *_idle(history, faults), *_clock(history),
                    *broken_references(history), *_nemeses(history, faults), *_candidates(history))
        stats: dict[str, Any] = {
            "ops": len(history), "tenures": len(stays), "accepted_writes": writes, "faults": len(faults),
            "faults_bit": sum(fault.bit and fault.verified for fault in faults),
            "faults_bit_in_office": sum(_in_office(fault, stays) for fault in faults),
        }
        word = "inconclusive" if any(finding.kind in UNSOUND for finding in findings) else "valid"
        return Check("assumptions", word, tuple(sorted(findings, key=lambda f: (f.kind not in UNSOUND, f.kind, f.start or 0, f.ops))), stats)  # type: ignore[arg-type]

    def _evidence(self, history: History, stays: Sequence[Tenure], writes: int) -> Iterator[Finding]:
        if not stays:
            yield Finding("no-leader", "No candidate was ever in office, so nothing was tested. Look at the candidates' logs and at the "
                                       "servers' health, and give the run more time.")
        if writes < self.min_writes:
            yield Finding("few-writes", f"The resource took {writes} writes, of at least {self.min_writes} that are asked for: too few to "
                                        "show anything. Let the run go on for longer, write more often, or lower min_writes.")


def _in_office(fault: Injected, stays: Sequence[Tenure]) -> bool:
    """Whether a fault that was seen to bite was in force while somebody believed to lead."""
    return fault.verified and any(
        fault.start <= stay.belief.end and fault.end >= stay.belief.start for stay in stays)


def _bites(history: History, stays: Sequence[Tenure], faults: Sequence[Injected]) -> Iterator[Finding]:
    for fault in faults:
        if not fault.bit:
            yield Finding("did-not-bite", f"The {fault.f} that {fault.process} injected at {seconds(fault.start)} (op {fault.op}) did not take "
                          f"hold{_why(history, fault.done)}.", None, (), fault.start, fault.took, _ops(fault.op, fault.done))
        elif fault.done is None:
            yield Finding("unanswered", f"The {fault.f} that {fault.process} injected at {seconds(fault.start)} (op {fault.op}) has no "
                          "completion: the history ends before it.", None, (), fault.start, None, (fault.op,))
        elif fault.healed is None and fault.f != "kill":
            yield Finding("not-healed", f"The {fault.f} of op {fault.op} is not known to have been lifted; it is counted to the end of the "
                          "history.", None, (), fault.start, fault.end, _ops(fault.op, fault.done, fault.lift))
    if history.setup.nemeses and not any(_in_office(fault, stays) for fault in faults):
        yield Finding("no-fault-bit", "No fault took hold while anybody was in office, so the faults of the scenario tested nothing. Check their "
                                      "targets and times against the log of the run, or let it go on for longer.")


def _idle(history: History, faults: Sequence[Injected]) -> Iterator[Finding]:
    """Nemeses that the scenario has and that did nothing while others did: what they were to show has not been tried."""
    spoke = [name for name in history.process.table if name.startswith("nemesis")]
    bit = {fault.process for fault in faults if fault.verified}
    idle = [name for name in spoke if name not in bit] if history.setup.nemeses else []
    silent = max(0, history.setup.nemeses - len(spoke))
    if bit and (idle or silent):
        names = ", ".join([*idle, *([f"{silent} that never began"] if silent else [])])
        yield Finding("idle-nemesis", f"Of the scenario's {history.setup.nemeses} nemeses {len(idle) + silent} did nothing: {names}. What they "
                                      "were to show was not tried. Check their targets and times, or let the run go on for longer.")


def _clock(history: History) -> Iterator[Finding]:
    seen = np.flatnonzero((history.seen != NONE) & (history.time > history.seen + history.setup.tolerance))
    if len(seen):
        row = int(seen[0])
        yield Finding("clock", f"{len(seen)} ops carry a time after they were read, first op {row}: it happened at "
                      f"{seconds(int(history.time[row]))} and was read at {seconds(int(history.seen[row]))}. {CLOCKS}",
                      None, (), None, None, _first(seen))
    codes = history.process.codes.astype(np.int64) * (len(history.claimant.table) + 1) + history.claimant.codes
    order = np.argsort(codes, kind="stable")
    back = order[1:][(codes[order][1:] == codes[order][:-1]) & (np.diff(history.time[order]) < 0)]
    if len(back):
        row = int(back.min())
        yield Finding("clock", f"Time runs backwards within one process at {len(back)} ops, first {history.process[row]} at op {row}. {CLOCKS}",
                      None, (), None, None, _first(np.sort(back)))
    for row in np.flatnonzero(history.f.is_("clock") & history.process.is_("harness")).tolist():
        yield Finding("clock", f"The comparison of the clocks failed (op {row}){_why(history, row)}. {CLOCKS}", None, (), None, None, (row,))


CLOCKS = "All times must be of CLOCK_MONOTONIC of one machine, in ns since the epoch that `init` gives."


def _nemeses(history: History, faults: Sequence[Injected]) -> Iterator[Finding]:
    known = {fault.op for fault in faults} | {fault.done for fault in faults} | {op for pair in acted(history) for op in pair}
    for row in map(int, np.flatnonzero(history.process.like("nemesis") & history.type.is_("fail"))):
        if row not in known or history.f[row] == "find":
            yield Finding("no-target", f"{history.process[row]} gave up at {seconds(int(history.time[row]))} (op {row})"
                          f"{_why(history, row)}.", None, (), int(history.time[row]), None, (row,))


def _candidates(history: History) -> Iterator[Finding]:
    alive = lives(history)
    for row in history.where("exit"):
        who, how = history.claimant[row] or history.process[row] or "", _ending(history.value.get(row))
        life = alive.get(who)
        if how is not None and (life is None or life.killed is None):
            yield Finding("candidate-exit", f"{who} ended by itself at {seconds(int(history.time[row]))} (op {row}) with {how}"
                          f"{_why(history, row)}. Its log in the run's folder says why.", None, (who,), int(history.time[row]), None, (row,))
    rows = history.where("protocol-error")
    for speaker in dict.fromkeys(history.claimant[row] for row in rows):
        own = [row for row in rows if history.claimant[row] == speaker]
        yield Finding("protocol-error", f"{len(own)} lines of {speaker or 'a candidate'} are not of the protocol, first op {own[0]}"
                      f"{_why(history, own[0])}. docs/candidate-protocol.md has what is.", None, () if speaker is None else (speaker,),
                      int(history.time[own[0]]), None, tuple(own[:20]))


def _ending(value: object) -> str | None:
    """How a process ended, by its exit's value `{"status": 1}` or `{"signal": 11}`; None if all is well."""
    match value:
        case {"status": 0} | 0:
            return None
        case {"status": int(status)} | int(status):
            return f"status {status}"
        case {"signal": int(signal)}:
            return f"signal {signal}"
    return "an unknown status"


def _why(history: History, row: int | None) -> str:
    """What the op itself says of the cause."""
    if row is None:
        return ""
    value = history.value.get(row)
    said = history.error.get(row) or (value.get("evidence") if isinstance(value, dict) else None)
    return f": {said}" if said else ""


def _first(rows: Ints) -> tuple[int, ...]:
    return tuple(rows[:20].tolist())


def _ops(*rows: int | None) -> tuple[int, ...]:
    return tuple(row for row in rows if row is not None)
