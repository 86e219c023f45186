"""How long did nobody lead, and was that anybody's fault?"""
from collections.abc import Sequence
from typing import Annotated, ClassVar

import msgspec

from diarchy.checkers.failover import changes, failovers, own_changes, own_failovers
from diarchy.checkers.landed import holdings
from diarchy.checkers.proofs import seconds
from diarchy.checkers.verdict import Check, Finding
from diarchy.checkers.weather import excused, in_force, weather
from diarchy.history.columns import History
from diarchy.history.injected import Injected, injected
from diarchy.history.observed import claims
from diarchy.history.spans import Span, clipped, total, united, without
from diarchy.history.tenures import Hold, Tenure, possible_holds, tenures
from diarchy.history.units import Duration

SHOWN = 20
"""How many of the gaps that break no limit are listed (the longest); all are counted."""


class Availability(msgspec.Struct, frozen=True, tag="availability", tag_field="kind", forbid_unknown_fields=True):
    """Gaps in which nobody led, and how long each failover took."""

    longest_gap: Annotated[Duration | None, msgspec.Meta(description=(
        "a longer gap, less what the faults excuse, is a violation; default: gaps are only reported"))] = None
    first_election: Annotated[Duration | None, msgspec.Meta(description=(
        "the same for the time from the first candidate that was ready to the first leader; default: reported"))] = None
    near: Annotated[Duration | None, msgspec.Meta(description=(
        "a fault explains a change of leader that comes at most so long after it was lifted; default: twice the TTL"))] = None

    kinds: ClassVar[tuple[str, ...]] = ("gap", "first-election", "no-candidate")
    levels: ClassVar[tuple[str, ...]] = ()

    def check(self, history: History) -> Check:
        frame = window(history)
        if frame is None:
            return Check("availability", "inconclusive", (Finding("no-candidate", (
                "No candidate was ever ready, so there is no time to measure. Look at the candidates' logs.")),))
        stays, faults, own = tenures(history), injected(history), claims(history)
        led = clipped(in_office(stays), *frame)
        empty = without([frame], led)
        pardons = list(excused(history, weather(history), empty))
        holds = possible_holds(history)
        gaps = [self._gap(gap, pardon, gap.start == frame.start, faults, holds) for gap, pardon in zip(empty, pardons, strict=True)]
        found = changes(history, list(holdings(history, stays).values()), faults, 2 * history.setup.ttl if self.near is None else self.near)
        first = empty[0] if empty and empty[0].start == frame.start else Span(frame.start, frame.start)
        later = [gap for gap in empty if gap is not first]
        stats = {
            "window_ns": frame.end - frame.start, "led_ns": total(led), "led_share": round(total(led) / max(1, frame.end - frame.start), 6),
            "first_election_ns": first.end - first.start if led else None,
            "gaps": len(later), "gaps_ns": total(later), "longest_gap_ns": max((gap.end - gap.start for gap in later), default=0),
            "excused_ns": sum(map(total, pardons)),
            "longest_unexcused_ns": max((gap.end - gap.start - total(pardon) for gap, pardon in zip(empty, pardons, strict=True)
                                         if gap is not first), default=0),
            "changes": len(found), "changes_no_fault_near": sum(not change.near for change in found),
            "changes_released": sum(change.released for change in found), "failover": failovers(history, found),
            "own_changes": len(own_changes(own)), "own_failover": own_failovers(history, own, faults),
        }
        shown = sorted(gaps, key=lambda f: (not f.fails, (f.start or 0) - (f.end or 0), f.start or 0))
        shown = [f for number, f in enumerate(shown) if f.fails or number < SHOWN]
        return Check("availability", "violation" if any(f.fails for f in gaps) else "valid",
                     tuple(sorted(shown, key=lambda f: (not f.fails, f.start or 0))), stats)

    def _gap(self, gap: Span, pardon: Sequence[Span], first: bool, faults: Sequence[Injected], holds: Sequence[Hold]) -> Finding:
        """A gap as a finding. The time before the first leader has a limit of its own."""
        left = gap.end - gap.start - total(pardon)
        limit = self.first_election if first else self.longest_gap
        here = in_force(faults, *gap)
        held = [hold for hold in holds if hold.start < gap.end and (hold.end is None or hold.end > gap.start)]
        text = f"Nobody led from {seconds(gap.start)} to {seconds(gap.end)}, for {seconds(gap.end - gap.start)}"
        text += "" if not pardon else (f"; {seconds(total(pardon))} of that is excused, because the faults made an election impossible, and "
                                       f"{seconds(left)} is left")
        text += "." if limit is None else f"; that is {'more' if left > limit else 'not more'} than the limit of {seconds(limit)}."
        text += "" if not here else " Faults in force: " + ", ".join(f"{fault.f} (op {fault.op})" for fault in here[:8]) + "."
        text += "" if not held else " An acquire of unknown outcome may hold the office: " + ", ".join(
            f"{hold.claimant} (op {hold.op})" for hold in held[-3:]) + "."
        return Finding("first-election" if first else "gap", text, None, (), gap.start, gap.end,
                       tuple(fault.op for fault in here), limit is not None and left > limit)


def window(history: History) -> Span | None:
    """From the first candidate that was ready to the deadline (the end of the history, where none is recorded). None: nobody came."""
    ready = history.where("ready", type="ok") or history.where("acquire", "enqueue")
    if not ready:
        return None
    start = int(history.time[ready[0]])
    ends = [int(history.time[row]) for row in history.where("deadline", type="ok") if history.process[row] == "harness"]
    return Span(start, max(start, min([*ends, history.end])))


def in_office(stays: Sequence[Tenure]) -> tuple[Span, ...]:
    """When somebody led: certain (without leases: claimed, up to the last sign of life), alive, and not paused."""
    return united(span for stay in stays for span in without(
        stay.certain if stay.lease else clipped([stay.belief], stay.belief.start, stay.last_sign), stay.paused))
