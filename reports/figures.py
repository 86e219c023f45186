"""The statistics of a check as lines, groups and tables. Names that end in `_ns` are times, also for what lies within them."""
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from diarchy.reports import words


class Line(msgspec.Struct, frozen=True):
    """One figure. `none` says that it is nought, which a summary may leave out."""

    label: str
    text: str
    none: bool = False


class Group(msgspec.Struct, frozen=True):
    """Figures under one name."""

    label: str
    lines: tuple[Line, ...]


class Table(msgspec.Struct, frozen=True):
    """Rows of one shape under one name."""

    label: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def figures(stats: Mapping[str, Any]) -> Iterator[Line | Group | Table]:
    """What a check's `stats` say, in their order; absent values are left out."""
    for name, value in stats.items():
        match value:
            case None:
                continue
            case dict() if _is_spread(value):
                yield _spread(name, value)
            case dict():
                yield Group(label(name), tuple(_lines(value, unit(name))))
            case list() | tuple() if value and all(isinstance(row, dict) for row in value):
                yield _table(name, value)
            case list() | tuple():
                said = ", ".join(measure(name, each) for each in value)
                yield Line(label(name), said or "none", not value)
            case _:
                named = f"{label(name)}, time" if unit(name) and name.removesuffix("_ns") in stats else label(name)
                yield Line(named, measure(name, value), _nought(value))


def _lines(values: Mapping[str, Any], within: str, prefix: str = "") -> Iterator[Line]:
    for name, value in values.items():
        match value:
            case dict():
                yield from _lines(value, unit(name) or within, f"{prefix}{label(name)} ")
            case None:
                continue
            case _:
                yield Line(f"{prefix}{label(name)}", measure(name if unit(name) else name + within, value), _nought(value))


def _nought(value: object) -> bool:
    return value == 0 and not isinstance(value, bool)


def _is_spread(value: Mapping[str, Any]) -> bool:
    """Distributions by kind: `{"pause node": {"count": 2, "election_ns": {"p50": …, "max": …}}}`."""
    return bool(value) and all(isinstance(kind, dict) and any(isinstance(part, dict) and "p50" in part for part in kind.values())
                               for kind in value.values())


def _spread(name: str, value: Mapping[str, Mapping[str, Any]]) -> Table:
    """One row that names each kind and how often it came, then one for each of its parts."""
    head = ("", "p50", "p90", "max")
    rows: list[tuple[str, ...]] = []
    for kind, parts in value.items():
        count = f" ({measure('count', parts['count'])})" if parts.get("count") else ""
        rows.append((words.plain(kind, 80) + count, "", "", ""))
        rows += [(label(part), *(measure(part, quantiles.get(at)) for at in head[1:]))
                 for part, quantiles in parts.items() if isinstance(quantiles, dict)]
    return Table(label(name), head, tuple(rows))


def _table(name: str, records: Sequence[Mapping[str, Any]]) -> Table:
    head = tuple(dict.fromkeys(key for record in records for key in record))
    return Table(label(name), tuple(label(key) for key in head),
                 tuple(tuple(measure(key if unit(key) else key + unit(name), record.get(key)) for key in head) for record in records))


def unit(name: str) -> str:
    """`_ns` of a name that ends in it."""
    return "_ns" if name.endswith("_ns") else ""


def label(name: str) -> str:
    """The name of a statistic as one reads it."""
    return words.plain(name.removesuffix("_ns").replace("_", " "), 80)


def measure(name: str, value: Any) -> str:
    """A figure in the unit that its name ends in."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int() | float() if unit(name):
            return words.length(round(value))
        case float() if name.endswith("share"):
            return f"{value:.1%}"
        case float():
            return f"{value:.3g}"
        case int():
            return f"{value:,}"
        case _:
            return words.plain(str(value), 200)
