"""A verdict with its evidence, for a terminal of 80 columns or a log without colours."""
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from diarchy.checkers.verdict import Check, Finding, Verdict, Word
from diarchy.reports import words

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
        console.print(Padding(Text(words.plain(text)), (0, 0, 0, 2)))


def _findings(console: Console, verdict: Verdict) -> None:
    """Those that fail first, then the others, each in the order of time."""
    found = [(check.check, finding) for check in verdict.checks for finding in check.findings]
    found.sort(key=lambda pair: (not pair[1].fails, pair[1].start or 0))
    fails = sum(finding.fails for _, finding in found)
    for number, (check, finding) in enumerate(found[:fails + FULL], 1):
        console.print()
        console.print(Text.assemble(f"{number}. ", (_title(check, finding), "bold red" if finding.fails else "bold")))
        for line in _evidence(finding):
            console.print(Padding(Text(line), (0, 0, 0, 3)))
    if len(found) > fails + FULL:
        console.print(f"\n… and {len(found) - fails - FULL} more that fail nothing; verdict.json has them all", highlight=False)


def _title(check: str, finding: Finding) -> str:
    level = f", {finding.level}" if finding.level else ""
    return words.plain(f"{check}: {finding.kind}{level} ({'fails' if finding.fails else 'reported'})", 200)


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
    if figures := "; ".join(figure(name, value) for name, value in leaves(check.stats)):
        console.print(Padding(Text(words.plain(figures), "dim"), (0, 0, 0, 3)))


def leaves(stats: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The single figures of nested statistics, each under the names that lead to it; lists are left to the report."""
    for name, value in stats.items():
        match value:
            case dict():
                yield from leaves(value, f"{prefix}{name} ")
            case list() | tuple() | None:
                continue
            case _:
                yield f"{prefix}{name}", value


def figure(name: str, value: Any) -> str:
    """`longest gap 1.443 s` of `longest_gap_ns` and a number."""
    label = name.removesuffix("_ns").replace("_", " ")
    return f"{label} {measure(name, value)}"


def measure(name: str, value: Any) -> str:
    """A figure in the unit that its name ends in."""
    match value:
        case bool():
            return "yes" if value else "no"
        case int() | float() if name.endswith("_ns"):
            return words.length(round(value))
        case float():
            return f"{value:.3g}"
        case int():
            return f"{value:,}"
        case _:
            return words.plain(str(value), 200)
