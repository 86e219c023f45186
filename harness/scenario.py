"""A scenario: what is run, what goes wrong, what is checked, and what is expected to be found."""
import inspect
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import yaml

from diarchy.checkers.kinds import DEFAULTS, CheckOptions
from diarchy.checkers.verdict import Word
from diarchy.clusters.kinds import ClusterOptions
from diarchy.harness.places import BadScenario, Document
from diarchy.history import units
from diarchy.history.units import Duration, default
from diarchy.nemeses.kinds import NemesisOptions
from diarchy.nemeses.plan import World
from diarchy.workloads.kinds import Workload

__all__ = ["BadScenario", "Expect", "Scenario", "dump", "expand", "load", "schema", "world"]


class Expect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one check must say for the run to be as expected."""

    verdict: Annotated[Word, msgspec.Meta(description="what the check must say")]
    kinds: Annotated[tuple[str, ...], msgspec.Meta(description="kinds of finding that must be there, each of them")] = ()
    levels: Annotated[tuple[str, ...], msgspec.Meta(description="levels of finding that must be there, each of them")] = ()


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run, wholly described."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=100, description=(
        "small letters, digits, dots and dashes: runs are kept in a folder of that name"))]
    about: Annotated[str, msgspec.Meta(description="what it shows, for whoever reads the report")] = ""
    cluster: Annotated[ClusterOptions, msgspec.Meta(description="the system under test")]
    workload: Annotated[Workload, msgspec.Meta(description="who elects whom, and what the leader does")]
    duration: Annotated[Duration, msgspec.Meta(description="how long the candidates campaign, faults included")]
    settle: Annotated[Duration, msgspec.Meta(extra={"least": "0s"}, description=(
        "then all faults are lifted and the candidates go on for so long: late writes may arrive"))] = default("3s")
    nemeses: Annotated[tuple[NemesisOptions, ...], msgspec.Meta(description="what goes wrong; all of them side by side")] = ()
    checks: Annotated[tuple[CheckOptions, ...], msgspec.Meta(description="what is judged; default: every check")] = msgspec.field(
        default_factory=lambda: DEFAULTS)  # not a plain default: the schema would have to hold its durations
    expect: Annotated[dict[str, Expect], msgspec.Meta(description=(
        "what checks must say, by check; one that is not named must be valid"))] = {}
    seed: Annotated[Annotated[int, msgspec.Meta(ge=0)] | None, msgspec.Meta(description=(
        "of all dice; default: a new one for each run, written back"))] = None
    tags: Annotated[tuple[str, ...], msgspec.Meta(description="words to choose scenarios by, such as known-unsafe")] = ()


def load(path: Path, sets: Sequence[str] = ()) -> Scenario:
    """Read a scenario file; `sets` are `path=value` with a value in YAML, in place of what the file says.

    Raises BadScenario, whose text has everything that is wrong with the file.
    """
    document = Document(path, sets)
    try:
        scenario = msgspec.convert(document.data, Scenario, dec_hook=units.decode)
    except msgspec.ValidationError as error:
        from diarchy.harness.problems import explained
        raise BadScenario(explained(document, str(error))) from None
    from diarchy.harness.problems import problems
    wrong = sorted({*document.mistakes, *(document.mistake(*problem) for problem in problems(scenario))})
    if wrong:
        raise BadScenario("\n".join(map(str, wrong)))
    return scenario


def dump(scenario: Scenario) -> str:
    """The scenario as YAML, every default written out; it loads to an equal one."""
    plain = _without_none(msgspec.to_builtins(scenario, enc_hook=units.encode))
    return yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def world(scenario: Scenario) -> World:
    """The names that the scenario's targets are looked up among."""
    nodes = tuple(f"n{i + 1}" for i in range(scenario.cluster.nodes))
    candidates = tuple(f"c{i + 1}" for i in range(scenario.workload.candidates))
    return World(nodes, candidates, int(scenario.duration), scenario.cluster.led)


def expand(names: Iterable[Path | str]) -> list[Path]:
    """The scenario files that files, folders and glob patterns stand for, each once. Raises BadScenario where one stands for none."""
    found: dict[Path, None] = {}
    for name in map(Path, names):
        if name.is_dir():
            files = sorted(file for suffix in ("yaml", "yml") for file in name.rglob(f"*.{suffix}"))
            if not files:
                raise BadScenario(f"{name}: there is no *.yaml file in this folder")
        elif any(mark in str(name) for mark in "*?[") and not name.exists():
            files = sorted(Path(name.anchor).glob(str(name.relative_to(name.anchor))))
            if not files:
                raise BadScenario(f"{name}: no file has a name like this")
        else:
            files = [name]
        found |= dict.fromkeys(files)
    return list(found)


def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a scenario."""
    made = msgspec.json.schema(Scenario, schema_hook=units.schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_tidied(made)}


def _tidied(value: Any) -> Any:
    """Descriptions without their source's indentation."""
    match value:
        case {**pairs}:
            return {key: inspect.cleandoc(v) if key == "description" and isinstance(v, str) else _tidied(v) for key, v in pairs.items()}
        case list() | tuple():
            return [_tidied(item) for item in value]
        case _:
            return value


def _without_none(value: Any) -> Any:
    match value:
        case {**pairs}:
            return {key: _without_none(v) for key, v in pairs.items() if v is not None}
        case list() | tuple():
            return [_without_none(item) for item in value]
        case _:
            return value


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as they are read, not as one quoted line."""


_Dumper.add_representer(str, lambda dumper, text: dumper.represent_scalar(
    "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None))
