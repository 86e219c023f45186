"""The page around the timeline. Everything from outside is escaped; the page allows itself no request."""
import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import msgspec

from diarchy.checkers.verdict import Check, Verdict
from diarchy.history.columns import History
from diarchy.history.op import Op
from diarchy.history.tenures import tenures
from diarchy.reports import words
from diarchy.reports.figures import Group, Line, Table, figures
from diarchy.reports.html import palette, timeline
from diarchy.reports.html.legend import legend
from diarchy.reports.shapes import Shown, View
from diarchy.reports.view import view

CARDS = 25
"""So many findings get a card with their ops; the others a line each, in a table."""
OPS = 60


class Row(msgspec.Struct, frozen=True):
    """One op in the table of a proof, as text."""

    index: int
    time: str
    process: str
    type: str
    f: str
    claimant: str
    token: str
    until: str
    more: str


class Told(msgspec.Struct, frozen=True):
    """One check with its figures, sorted by how they are drawn."""

    name: str
    verdict: str
    lines: tuple[Line, ...]
    groups: tuple[Group, ...]
    tables: tuple[Table, ...]


def render(history: History, verdict: Verdict, scenario: str, command: str) -> str:
    """The whole report as one HTML file that needs nothing else. `scenario` is the resolved YAML, `command` runs it again."""
    import jinja2
    from bokeh.resources import INLINE

    shown = view(history, verdict, tenures(history))
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
                                     loader=jinja2.FunctionLoader(_part))
    environment.filters.update(seconds=words.seconds, duration=words.length, plain=words.plain)
    return environment.get_template("page.html").render(
        verdict=verdict, setup=history.setup, view=shown, findings=shown.findings[:CARDS], others=shown.findings[CARDS:],
        rows={finding.number: list(rows(history, finding)) for finding in shown.findings[:CARDS]}, most=OPS,
        checks=[told(check) for check in verdict.checks], summary=summary(shown), about=_about(scenario), scenario=scenario, command=command, ops=len(history),
        warnings=(*verdict.warnings, *(text for text in history.warnings if text not in verdict.warnings)),
        legend=legend(shown), light=palette.variables(dark=False), dark=palette.variables(dark=True),
        style=_part("page.css"), script=_part("page.js"),
        bokeh=next(text for name, text in zip(INLINE.components, INLINE.js_raw, strict=False) if name == "bokeh"),
        timeline=data(timeline.item(shown)), places=data(_places(history, shown)))


def data(value: object) -> str:
    """JSON that can stand in a `script` element: nothing in it can end the element."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def rows(history: History, finding: Shown) -> Iterator[Row]:
    """The first OPS ops of a proof, in the order of time."""
    for index in sorted(finding.ops, key=lambda i: (int(history.time[i]), i))[:OPS]:
        yield row(history.op(index))


def row(op: Op) -> Row:
    """One op as text; what came from outside is on one line and cut."""
    more = [words.plain(op.id, 80)] if op.id else []
    if op.order is not None:
        more.append(f"order {op.order}")
    if op.fence is not None:
        more.append(f"fence {op.fence}")
    if op.value is not None:
        more.append(_value(op))
    if op.error is not None:
        more.append(words.plain(op.error, 300))
    number = str(op.token) if op.token is not None else "" if op.term is None else f"term {op.term}"
    return Row(op.index, f"{op.time / 1e9:.6f}", words.plain(op.process, 80), op.type, words.plain(op.f, 40),
               words.plain(op.claimant or "", 80), number,
               "" if op.until is None else f"{op.until / 1e9:.6f}", "; ".join(more))


def _value(op: Op) -> str:
    if op.process.startswith("nemesis"):
        value = op.value if isinstance(op.value, dict) else {}
        said = words.fault("", value).strip()
        return "; ".join(part for part in (said, words.plain(str(value.get("evidence", "")), 200)) if part)
    return words.plain(json.dumps(op.value, ensure_ascii=False, default=str), 200)


def told(check: Check) -> Told:
    """A check's figures."""
    lines, groups, tables = [], [], []
    for each in figures(check.stats):
        match each:
            case Line():
                lines.append(each)
            case Group():
                groups.append(each)
            case Table():
                tables.append(each)
    return Told(check.check, check.verdict, tuple(lines), tuple(groups), tuple(tables))


def summary(shown: View) -> str:
    """What was found, in a sentence: `2 findings fail; reported: 1 frozen, 3 gap.`"""
    fails = [finding for finding in shown.findings if finding.fails]
    kinds: dict[str, int] = {}
    for finding in shown.findings:
        if not finding.fails:
            kinds[finding.kind] = kinds.get(finding.kind, 0) + 1
    said = "nothing was found that fails the run" if not fails else f"{len(fails)} {'finding fails' if len(fails) == 1 else 'findings fail'} the run"
    reported = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    return words.plain(f"{said[0].upper()}{said[1:]}{f'; reported: {reported}' if reported else ''}.")


def _about(scenario: str) -> str:
    """What the scenario says of itself; empty where it says nothing or cannot be read."""
    import yaml
    try:
        parsed = yaml.safe_load(scenario)
    except yaml.YAMLError:
        return ""
    about = parsed.get("about") if isinstance(parsed, dict) else None
    return words.plain(" ".join(about.split()), 1000) if isinstance(about, str) else ""


def _places(history: History, shown: View) -> list[dict[str, Any]]:
    """Where each finding is on the time axis, in seconds, and its ops."""
    return [{"number": f.number, "title": words.plain(f.kind + (f", {f.level}" if f.level else ""), 60),
             "start": None if f.start is None else f.start / 1e9, "end": None if f.end is None else f.end / 1e9,
             "ops": [[int(history.time[i]) / 1e9, i] for i in f.ops[:OPS]]} for f in shown.findings]


def _part(name: str) -> str:
    return (files("diarchy.reports.html") / name).read_text(encoding="utf-8")
