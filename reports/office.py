"""Tenures as bars: certain, late and awake, late and paused, or claimed without a lease; their leases and deadlines."""
from collections.abc import Iterator, Mapping

from diarchy.history.columns import History
from diarchy.history.lives import Life
from diarchy.history.spans import Span, clipped, united, without
from diarchy.history.tenures import Tenure
from diarchy.reports import words
from diarchy.reports.shapes import Bar, BarKind, Mark

MEANING = {"certain": "its lease is in force", "claimed": "it claims to lead; no lease bounds that",
           "late-awake": "past its lease, awake, and still believes that it leads",
           "late-paused": "past its lease and paused; on waking it believes that it leads"}


def bars(history: History, tenure: Tenure, lives: Mapping[str, Life]) -> Iterator[Bar]:
    """The parts of one tenure, and under them the lease as it was granted and renewed."""
    late = without((Span(*tenure.belief),), tenure.certain) if tenure.lease else ()
    paused = lives[tenure.claimant].paused if tenure.claimant in lives else ()
    parts: list[tuple[BarKind, Span]] = [("certain", span) for span in tenure.certain]
    parts += [] if tenure.lease else [("claimed", Span(*tenure.belief))]
    parts += [("late-awake", span) for span in without(late, paused)]
    parts += [("late-paused", part) for span in late for part in clipped(paused, *span)]
    name, short = _names(tenure)
    for kind, span in sorted(parts, key=lambda part: part[1]):
        yield Bar(tenure.candidate, kind, span.start, span.end, _tip(tenure, kind, span), name, short)
        name = short = ""
    granted = [Span(history.get("sent", i) or int(history.time[i]), until)
               for i in tenure.grants if (until := history.get("until", i)) is not None]
    for span in united(granted):
        yield Bar(tenure.candidate, "lease", span.start, span.end,
                  f"{words.plain(tenure.claimant, 60)}: lease as granted\n{_period(span)}\n{len(tenure.grants)} grants")


def marks(history: History, tenure: Tenure) -> Iterator[Mark]:
    """The deadline of the last grant, and the step-down."""
    who = words.plain(tenure.claimant, 60)
    untils = [(until, i) for i in tenure.grants if (until := history.get("until", i)) is not None]
    if untils:
        until, index = max(untils)
        yield Mark(tenure.candidate, "deadline", until, f"{who}: last deadline\n{words.seconds(until)}\nuntil of op {index}")
    if tenure.stepped_down is not None:
        yield Mark(tenure.candidate, "step-down", tenure.stepped_down, f"{who} steps down\n{words.seconds(tenure.stepped_down)}")


def _names(tenure: Tenure) -> tuple[str, str]:
    number, what = (tenure.token, "token") if tenure.token is not None else (tenure.term, "term")
    boot = tenure.claimant.partition("#")[2]
    name = f"#{boot}  " if boot not in ("", "1") else ""
    return (f"{name}{what} {number}", str(number)) if number is not None else (f"{name}in office", "")


def _tip(tenure: Tenure, kind: str, span: Span) -> str:
    name, _ = _names(tenure)
    lines = [f"{words.plain(tenure.claimant, 60)} in office, {name.rpartition('  ')[2]}", MEANING[kind], _period(span),
             f"acquired by ops {tenure.id}, {tenure.ok}; {len(tenure.grants) - 1} renewals; {len(tenure.writes)} writes"]
    return "\n".join(lines)


def _period(span: Span) -> str:
    return f"{span.start / 1e9:.3f} to {words.seconds(span.end)}, {words.length(span.end - span.start)}"
