"""Everything that a scenario can name, from its one declaration: `diarchy list` and docs/catalog.md.

`python -m diarchy.harness.catalog > docs/catalog.md` writes the page anew.
"""
from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Iterator
from typing import Any, get_args

import msgspec
from msgspec import inspect as types

from diarchy.checkers.kinds import CheckOptions
from diarchy.clusters.kinds import ClusterOptions
from diarchy.clusters.simulated.services.kinds import ServiceOptions
from diarchy.harness.problems import least_of
from diarchy.harness.scenario import Expect, Scenario
from diarchy.history import units
from diarchy.history.units import Duration
from diarchy.nemeses.kinds import NemesisOptions
from diarchy.nemeses.schedule import Schedule
from diarchy.nemeses.targets import TARGETS
from diarchy.workloads.kinds import Workload

GROUPS: dict[str, Any] = {"clusters": ClusterOptions, "services": ServiceOptions, "workloads": Workload, "nemeses": NemesisOptions,
                          "checks": CheckOptions}

COMMAND = "python -m diarchy.harness.catalog > docs/catalog.md"


class Option(msgspec.Struct, frozen=True):
    """One key of a kind; of a mapping each of its keys, too, as `network.latency`.

    `default` is None where the key must be given; `bounds` is empty where there are none.
    """

    name: str
    type: str
    default: str | None
    bounds: str
    about: str


class Kind(msgspec.Struct, frozen=True):
    """One word that `kind:` can be. Of nemeses the options that all of them have (the schedule) are left out."""

    group: str
    name: str
    about: str
    options: tuple[Option, ...]


class TargetRow(msgspec.Struct, frozen=True):
    """One name by which a nemesis says whom it means."""

    name: str
    hosts: str
    about: str


def kinds() -> tuple[Kind, ...]:
    """Every kind of every group, in the order of the registries."""
    return tuple(Kind(group, str(one.__struct_config__.tag), inspect.getdoc(one) or "",
                      options(one, set(Schedule.__struct_encode_fields__) if group == "nemeses" else ()))
                 for group, union in GROUPS.items() for one in get_args(union) or (union,))


def targets() -> tuple[TargetRow, ...]:
    """The names of targets; `n1`, `c1` and so on are single hosts."""
    named = (TargetRow(target.name, target.hosts, target.about) for target in TARGETS)
    return (*named, TargetRow("n1, n2, …", "node", "that node"), TargetRow("c1, c2, …", "candidate", "that candidate"))


def options(struct: type[msgspec.Struct], without: Collection[str] = ()) -> tuple[Option, ...]:
    """The keys of an option struct, as declared."""
    info = types.type_info(struct)
    assert isinstance(info, types.StructType)
    return tuple(option for field in info.fields if field.encode_name not in without for option in _options(struct, field))


def catalog() -> str:
    """docs/catalog.md."""
    return "\n".join(_page()) + "\n"


def _page() -> Iterator[str]:
    yield "# What a scenario can name"
    yield ""
    yield f"Made from the declarations by `{COMMAND}`; `diarchy list` prints the same. How to write a scenario: [scenarios.md](scenarios.md)."
    yield ""
    yield "A duration is a number and a unit (`250ms`, `1.5s`, `2m`), more than nothing unless said otherwise, and at most `168h`."
    yield from ("", "## A scenario", "")
    yield from _table(options(Scenario))
    yield from ("", "Each entry of `expect`, by the name of the check:", "")
    yield from _table(options(Expect))
    every = kinds()
    for group in GROUPS:
        yield from ("", f"## {group.capitalize()}")
        if group == "services":
            yield from ("", "What candidates elect their leader on in the simulator: the `service` of a simulated cluster.")
        if group == "nemeses":
            yield from ("", "When, the same for all of them:", "")
            yield from _table(options(Schedule))
        for kind in (kind for kind in every if kind.group == group):
            yield from ("", f"### {kind.name}", "", kind.about)
            if kind.options:
                yield ""
                yield from _table(kind.options)
    yield from ("", "## Targets", "", "Looked up at the moment of injection, anew each time a nemesis comes back.", "")
    yield from ("| target | hosts | meaning |", "|---|---|---|")
    yield from (f"| `{row.name}` | {row.hosts} | {row.about} |" for row in targets())


def _table(rows: Iterable[Option]) -> Iterator[str]:
    yield "| option | type | default | meaning |"
    yield "|---|---|---|---|"
    for row in rows:
        default = "**required**" if row.default is None else f"`{row.default}`" if row.default else ""
        about = row.about + (f" ({row.bounds})" if row.bounds else "")
        yield f"| `{row.name}` | {row.type.replace('|', ' or ')} | {default} | {about} |"


def _options(struct: type[msgspec.Struct], field: types.Field) -> Iterator[Option]:
    inner, about = field.type, ""
    while isinstance(inner, types.Metadata):
        about = about or (inner.extra_json_schema or {}).get("description", "")
        inner = inner.type
    if isinstance(inner, types.StructType):
        yield Option(field.encode_name, "mapping", "", "", about)
        yield from (msgspec.structs.replace(option, name=f"{field.encode_name}.{option.name}") for option in options(inner.cls))
        return
    bounds = _bounds(inner)
    if isinstance(inner, types.CustomType) or _word(inner) == "duration":
        least = least_of(struct, field.name)
        bounds = "" if least == 1 else f"at least {least}"
    yield Option(field.encode_name, _word(inner), _default(field), bounds, about)


def _default(field: types.Field) -> str | None:
    if field.required:
        return None
    made = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    match made:
        case None | () | {} | "":
            return ""
        case Duration():
            return str(made)
        case (msgspec.Struct(), *_):
            return ", ".join(str(one.__struct_config__.tag) for one in made)
        case _:
            text = msgspec.json.encode(made, enc_hook=units.encode).decode()
            return text.strip('"').replace('"', "").replace(",", ", ")


def _word(type_: types.Type) -> str:
    match type_:
        case types.Metadata():
            return _word(type_.type)
        case types.CustomType():
            return "duration"
        case types.UnionType():
            words = dict.fromkeys(_word(t) for t in type_.types if not isinstance(t, types.NoneType))
            return "a kind" if any(isinstance(t, types.StructType) for t in type_.types) else "|".join(words)
        case types.LiteralType():
            return "|".join(f"`{value}`" for value in type_.values)
        case types.VarTupleType():
            return f"list of {_word(type_.item_type)}".replace("a kind", "kinds")
        case types.DictType():
            return "mapping"
        case types.IntType() | types.FloatType():
            return "number"
        case types.BoolType():
            return "true or false"
        case _:
            return "text"


def _bounds(type_: types.Type) -> str:
    match type_:
        case types.Metadata():
            return _bounds(type_.type)
        case types.UnionType():
            return next((text for t in type_.types if (text := _bounds(t))), "")
        case types.IntType(ge=least, le=most) | types.FloatType(ge=least, le=most) if least is not None:
            return f"at least {least}" if most is None else f"{least} to {most}"
    return ""


if __name__ == "__main__":
    print(catalog(), end="")
