"""From a history and its verdict to what a report shows. It draws nothing, and it judges nothing."""
from collections.abc import Iterator, Sequence

import numpy as np

from diarchy.checkers.availability import in_office, window
from diarchy.checkers.verdict import Verdict
from diarchy.checkers.weather import excused, weather
from diarchy.history.columns import History
from diarchy.history.injected import injected
from diarchy.history.lives import lives
from diarchy.history.spans import Span, clipped, without
from diarchy.history.tenures import Tenure
from diarchy.reports import faults, nodes, office, words, writes
from diarchy.reports.ranked import GAPS, outcome, ranked
from diarchy.reports.rows import rows
from diarchy.reports.shapes import Bar, Lane, Mark, Shown, View

ROWS = 5
LEAD_IN_NS = 200_000_000


def view(history: History, verdict: Verdict, office_: Sequence[Tenure]) -> View:
    """Everything that the drawing needs; `office_` are the tenures of the history."""
    found, alive = injected(history), lives(history)
    findings = shown(history, verdict)
    marks, bins, flights = writes.shapes(history, {index for finding in findings for index in finding.ops},
                                         {index for finding in findings if finding.fails for index in finding.ops})
    bars = [bar for tenure in office_ for bar in office.bars(history, tenure, alive)]
    marks += [mark for tenure in office_ for mark in office.marks(history, tenure)]
    bars += [*nodes.bars(history), *faults.bars(history, found), *faults.noticed(alive, history), *bins,
             *_gaps(history, office_, findings), *_findings(findings)]
    marks += [*faults.marks(history), *_lives(history)]
    lanes_ = [*_lanes(history, office_, bars, marks), *faults.lanes(history, found)]
    known = {lane.name for lane in lanes_}
    return View(_start(history), history.end, tuple(lanes_),
                tuple(bar for bar in bars if bar.lane in known), tuple(mark for mark in marks if mark.lane in known),
                tuple(flight for flight in flights if flight.lane in known), tuple(faults.bands(history, found)), findings)


def shown(history: History, verdict: Verdict) -> tuple[Shown, ...]:
    """All findings, in the order in which they are told. One without times is placed by its ops."""
    result = []
    for number, (check, finding) in enumerate(ranked(verdict), 1):
        ops = tuple(index for index in finding.ops if 0 <= index < len(history))
        times = [int(history.time[index]) for index in ops]
        start = min(times, default=None) if finding.start is None else finding.start
        end = (max(times, default=None) if finding.start is None else start) if finding.end is None else finding.end
        if start is not None and end is not None:
            end = max(start, end)
        result.append(Shown(number, check.check, finding.kind, finding.level, finding.claimants, finding.fails,
                            outcome(check, finding), finding.text, ops, start, end))
    return tuple(result)


def _start(history: History) -> int:
    """Where the axis begins: a little before anything but the harness's own lines happened."""
    others = history.time[~history.process.is_("harness")]
    return max(int(others.min()) - LEAD_IN_NS, 0) if len(others) else 0


def _lanes(history: History, office_: Sequence[Tenure], bars: Sequence[Bar], marks: Sequence[Mark]) -> list[Lane]:
    """From the top: findings, gaps, candidates, the resource, nodes. Lanes of nemeses are the caller's."""
    lanes = []
    used = {bar.lane for bar in bars}
    if "findings" in used:
        lanes.append(Lane("findings", "findings", "findings", 1 + max(bar.row for bar in bars if bar.lane == "findings")))
    if "gaps" in used:
        lanes.append(Lane("gaps", "gaps", "nobody led"))
    acquires = np.unique(history.claimant.codes[history.f.is_("acquire")])
    names = [history.claimant.table[code].partition("#")[0] for code in acquires if code >= 0]
    electing = () if history.setup.candidates else history.setup.nodes
    candidates = dict.fromkeys([*electing, *history.setup.candidates, *sorted(names), *(tenure.candidate for tenure in office_)])
    lanes += [Lane(name, "candidate", words.plain(name, 40)) for name in candidates]
    if any(mark.lane == "resource" for mark in marks) or "resource" in used:
        lanes.append(Lane("resource", "resource", "resource"))
    observed = sorted(p.removeprefix("observer/") for p in history.process.table if p.startswith("observer/"))
    lanes += [Lane(name, "node", words.plain(name, 40)) for name in dict.fromkeys([*history.setup.nodes, *observed]) if name not in candidates]
    return lanes


def _findings(findings: Sequence[Shown]) -> list[Bar]:
    """The findings as bars above everything else; gaps have a lane of their own."""
    placed = sorted((f for f in findings if f.start is not None and f.end is not None and f.check != GAPS),
                    key=lambda f: f.start or 0)
    chosen = rows((Span(f.start or 0, f.end or 0) for f in placed), ROWS)
    return [Bar("findings", "fails" if f.fails else "reported", f.start or 0, f.end or 0, _tip(f),
                f"{f.number} {f.kind}", str(f.number), row) for f, row in zip(placed, chosen, strict=True)]


def _gaps(history: History, office_: Sequence[Tenure], findings: Sequence[Shown]) -> Iterator[Bar]:
    """When nobody led, as the availability check measures it, with its finding where it has one."""
    frame = window(history)
    if frame is None:
        return
    told = {(f.start, f.end): f for f in findings if f.check == GAPS}
    gaps = without([frame], clipped(in_office(office_), *frame))
    for gap, pardon in zip(gaps, excused(history, weather(history), gaps), strict=True):
        finding = told.get(gap)
        tip = f"nobody led\n{gap.start / 1e9:.3f} to {words.seconds(gap.end)}" if finding is None else _tip(finding)
        yield Bar("gaps", "long-gap" if finding is not None and finding.fails else "gap", gap.start, gap.end, tip, words.length(gap.end - gap.start))
        for start, end in pardon:
            yield Bar("gaps", "excused", start, end, f"excused: the faults made an election impossible\n"
                      f"{start / 1e9:.3f} to {words.seconds(end)}, {words.length(end - start)}")


def _tip(finding: Shown) -> str:
    level = f", {finding.level}" if finding.level else ""
    return f"finding {finding.number}: {words.plain(finding.kind, 60)}{level}\n{words.plain(finding.text, 240)}"


def _lives(history: History) -> list[Mark]:
    """Where a candidate's process ended, and where a later one began."""
    marks = []
    for index in history.where("exit"):
        claimant = history.claimant[index] or history.process[index] or ""
        why = words.plain(history.error.get(index) or str(history.value.get(index) or ""), 300)
        marks.append(Mark(claimant.partition("#")[0].partition("/")[0], "end", int(history.time[index]),
                          f"{words.plain(claimant, 60)} ended\n{words.seconds(int(history.time[index]))}, op {index}" + (f"\n{why}" if why else "")))
    first: dict[str, int] = {}
    for index in history.by_time[history.claimant.codes[history.by_time] >= 0]:
        first.setdefault(history.claimant[index] or "", int(index))
    for claimant, index in first.items():
        name, _, boot = claimant.partition("#")
        if boot not in ("", "1"):
            marks.append(Mark(name, "start", int(history.time[index]), f"first line of {words.plain(claimant, 60)}\n"
                              f"{words.seconds(int(history.time[index]))}, op {index}"))
    return marks
