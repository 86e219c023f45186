"""A verdict with its evidence, for a terminal of 80 columns or a log without colours."""
from collections.abc import Iterator
from textwrap import wrap

from rich.console import Console
from rich.text import Text

from diarchy.checkers.verdict import Check, Finding, Verdict, Word
from diarchy.reports import words
from diarchy.reports.figures import Group, Line, Table, figures
from diarchy.reports.ranked import outcome, ranked

STYLES: dict[Word, str] = {"valid": "bold green", "inconclusive": "bold yellow", "violation": "bold red"}
FULL = 20
"""So many findings that do not fail are told in full; the rest are counted. Those that fail are all told."""
OPS = 24


def show(console: Console, verdict: Verdict) -> None:
    """Print it. Nothing from outside is taken for markup or reaches the terminal as a control character."""
    word = "as expected" if verdict.as_expected else "not as expected"
    console.print(Text.assemble((verdict.verdict.upper(), STYLES[verdict.verdict]), f", {word}",
                                (f"   {words.plain(verdict.scenario, 60)}, seed {verdict.seed}", "dim")))
    _lines(console, "not as expected", verdict.unexpected, "bold red")
    _findings(console, verdict)
    console.print()
    for check in verdict.checks:
        _check(console, check)
    _lines(console, "warnings", verdict.warnings, "bold yellow")


def _lines(console: Console, title: str, texts: tuple[str, ...], style: str) -> None:
    if texts:
        console.print(Text(f"\n{title}", style))
    for text in texts:
        _indented(console, words.plain(text), 2)


def _indented(console: Console, text: str, by: int, style: str = "") -> None:
    for line in wrap(text, max(console.width - by, 20)) if len(text) > console.width - by else [text]:
        console.print(Text(" " * by + line, style), soft_wrap=True)


def _findings(console: Console, verdict: Verdict) -> None:
    found = ranked(verdict)
    fails = sum(finding.fails for _, finding in found)
    for number, (check, finding) in enumerate(found[:fails + FULL], 1):
        level = f", {finding.level}" if finding.level else ""
        title = words.plain(f"{check.check}: {finding.kind}{level} ({outcome(check, finding)})", 200)
        console.print()
        console.print(Text.assemble(f"{number}. ", (title, "bold red" if finding.fails else "bold")))
        for line in _evidence(finding):
            _indented(console, line, 3)
    if len(found) > fails + FULL:
        console.print(f"\n… and {len(found) - fails - FULL} more that fail nothing; verdict.json has them all", highlight=False)


def _evidence(finding: Finding) -> Iterator[str]:
    who = ", ".join(finding.claimants)
    when = ""
    if finding.start is not None and finding.end is not None:
        when = f"{finding.start / 1e9:.3f} to {words.seconds(finding.end)}, {words.length(finding.end - finding.start)}"
    elif finding.start is not None:
        when = f"at {words.seconds(finding.start)}"
    if who or when:
        yield words.plain("   ".join(part for part in (who, when) if part))
    yield words.plain(finding.text)
    if finding.ops:
        more = f" and {len(finding.ops) - OPS} more" if len(finding.ops) > OPS else ""
        yield f"ops {', '.join(map(str, finding.ops[:OPS]))}{more}"


def _check(console: Console, check: Check) -> None:
    console.print(Text.assemble(f"{words.plain(check.check, 40):<13}", (check.verdict, STYLES[check.verdict])))
    single = []
    rest: list[str] = []
    for each in figures(check.stats):
        match each:
            case Line(label, text, none):
                single += [] if none else [f"{label} {text}"]
            case Group(label, lines):
                rest.append(f"{label}: " + (", ".join(f"{line.label} {line.text}" for line in lines if not line.none) or "none"))
            case Table(label, head, rows):
                rest += _table(label, head, rows)
    for text in ("; ".join(single), *rest):
        if text:
            _indented(console, text, 3, "dim")


def _table(label: str, head: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> Iterator[str]:
    """A table as aligned lines; what does not fit into 20 lines is counted."""
    table = [(label, *head[1:]) if not head[0] else head, *rows[:20]]
    widths = [max(len(row[i]) for row in table) for i in range(len(head))]
    for row in table:
        yield "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
    if len(rows) > 20:
        yield f"… and {len(rows) - 20} more rows"
