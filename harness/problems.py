"""What is wrong with a scenario that no schema can say: names that do not exist, times that contradict each other."""
from __future__ import annotations

import copy
import difflib
from collections.abc import Collection, Iterator
from typing import Any, get_type_hints

import msgspec

from diarchy.checkers.assumptions import Assumptions
from diarchy.checkers.kinds import CheckOptions
from diarchy.clusters.simulated.options import Simulated
from diarchy.clusters.simulated.services.kinds import ServiceOptions
from diarchy.harness.mistakes import mistakes
from diarchy.harness.places import Document, Trail
from diarchy.harness.scenario import Expect, Scenario, schema, world
from diarchy.history import units
from diarchy.history.units import Duration
from diarchy.nemeses.kinds import NemesisOptions
from diarchy.nemeses.plan import World
from diarchy.nemeses.schedule import Schedule
from diarchy.nemeses.targets import meant
from diarchy.workloads.lock import Lock
from diarchy.workloads.peer_options import Peers

LONGEST = Duration.parse("168h")
WHEN = frozenset(Schedule.__struct_encode_fields__)
ALWAYS = "assumptions"
"""The check that is made whether a scenario lists it or not."""

FILLED: dict[str, Any] = {"name": "x", "duration": str(LONGEST), "cluster": {"kind": "simulated", "nodes": 15, "service": {"kind": "lease"}},
                          "workload": {"kind": "lock", "candidates": 50}}
"""What stands in for a part that is wrong, so that the others can be looked at: nothing that is said of those is then false."""
MOST = {"etcd": {"nodes": 7}, "simulated": {"nodes": 15}, "lock": {"candidates": 50}}
"""The same for what other parts depend on, by the kind that it belongs to."""

Problem = tuple[Trail, str] | tuple[Trail, str, bool]
"""The trail of the value to blame, what is wrong with it, and whether the key itself is meant."""


def problems(scenario: Scenario) -> Iterator[Problem]:
    """Every problem of a scenario that fits the schema. Of a duration that is out of bounds nothing else is said."""
    lengths = dict(_lengths(scenario, ()))
    yield from lengths.items()
    yield from (problem for problem in _others(scenario) if problem[0] not in lengths)


def _others(scenario: Scenario) -> Iterator[Problem]:
    here = world(scenario)
    yield from ((("cluster", *key.split(".")), text) for key, text in scenario.cluster.problems())
    yield from ((("workload", key), text) for key, text in scenario.workload.problems())
    yield from _together(scenario)
    for i, nemesis in enumerate(scenario.nemeses):
        yield from ((("nemeses", i, key), text) for key, text in _nemesis(nemesis, here, scenario.cluster.supports))
    yield from _checks(scenario)


def _nemesis(nemesis: NemesisOptions, here: World, supports: Collection[type]) -> Iterator[tuple[str, str]]:
    for fault in sorted(fault.__name__.lower() for fault in nemesis.faults() - set(supports)):
        yield "kind", f"this cluster cannot do {fault}; it can do {', '.join(sorted(known.__name__.lower() for known in supports))}"
    yield from nemesis.problems(here)


def _together(scenario: Scenario) -> Iterator[Problem]:
    """What cluster and workload say of each other."""
    match scenario.workload, scenario.cluster:
        case Peers(), Simulated(service=None):
            pass
        case Peers(), Simulated():
            yield ("cluster", "service"), "the nodes of this workload elect their leader among themselves; leave the service out"
        case Peers(), _:
            yield ("workload", "kind"), "only the nodes of a simulated cluster run this; real servers elect by their own algorithm"
        case Lock(), Simulated(service=None):
            yield ("cluster",), "the key 'service' is missing: what the candidates elect their leader on, such as {kind: lease}"
        case Lock() as lock, cluster:
            if isinstance(cluster, Simulated):
                yield from _simulated(lock, cluster.service)
            if text := cluster.lease_problem(lock.ttl):
                yield ("workload", "ttl"), text


def _simulated(lock: Lock, service: ServiceOptions | None) -> Iterator[Problem]:
    if lock.command:
        yield ("workload", "command"), "a program of your own runs in real time; it needs a real cluster"
    if lock.wait == "predecessor" and not getattr(service, "queues", True):
        yield ("workload", "wait"), "this service keeps no queue, so that nobody has a predecessor; give `holder`"


def _checks(scenario: Scenario) -> Iterator[Problem]:
    kinds: dict[str, CheckOptions] = {}
    for i, check in enumerate(scenario.checks):
        if (kind := str(check.__struct_config__.tag)) in kinds:
            yield ("checks", i), f"{kind} is listed twice; its options go into one"
        kinds[kind] = check
    kinds.setdefault(ALWAYS, Assumptions())
    for name, expected in scenario.expect.items():
        if name not in kinds:
            yield ("expect", name), f"{name} is not among the checks of this scenario" + meant(name, kinds), True
            continue
        for key, said, known in (("kinds", expected.kinds, kinds[name].kinds), ("levels", expected.levels, kinds[name].levels)):
            yield from ((("expect", name, key, i), f"{name} has no {key.removesuffix('s')} {word!r}" + meant(word, known))
                        for i, word in enumerate(said) if word not in known)


def _lengths(value: Any, trail: Trail) -> Iterator[tuple[Trail, str]]:
    """Durations out of bounds, wherever they are: more than nothing unless `least` says otherwise, and less than a week."""
    match value:
        case Duration():
            if value > LONGEST:
                yield trail, f"{value} is longer than {LONGEST}"
        case tuple():
            for i, item in enumerate(value):
                yield from _lengths(item, (*trail, i))
        case msgspec.Struct():
            for field, key in zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True):
                here, inner = (*trail, key), getattr(value, field)
                if isinstance(inner, Duration) and inner < (least := least_of(type(value), field)):
                    yield here, f"{inner} is too short; it must be at least {least}" if least > 1 else "must be more than nothing"
                else:
                    yield from _lengths(inner, here)


def least_of(struct: type, field: str) -> Duration:
    """The least value of a duration: the `least` of its declaration, else anything above nothing."""
    hint = get_type_hints(struct, include_extras=True)[field]
    extras = (meta.extra for meta in getattr(hint, "__metadata__", ()) if meta.extra)
    return next((Duration.parse(extra["least"]) for extra in extras if "least" in extra), Duration(1))


def explained(document: Document, fallback: str) -> str:
    """Everything that is wrong with a document that does not fit the schema, one mistake per line.

    Where a part does not fit, nothing is said of what depends on it; of the others all is said.
    """
    found = list(mistakes(document, schema()))
    told = {(m.file, m.line, m.column) for m in document.mistakes if m.line}
    wrong = {m for _, m in found if (m.file, m.line, m.column) not in told} | set(document.mistakes)
    bad = [trail for trail, _ in found]
    if (mended := _mended(document.data, bad)) is not None:
        scenario, numbers = mended
        for trail, text, *of_key in problems(scenario):
            where = (trail[0], numbers[trail[0]][int(trail[1])], *trail[2:]) if trail[0] in numbers else trail
            if not any(_depends(where, other) for other in bad):
                wrong.add(document.mistake(where, text, *of_key))
    return "\n".join(map(str, sorted(wrong))) or f"{document.path}: {fallback}"


def _depends(trail: Trail, bad: Trail) -> bool:
    """Whether something said of `trail` may be due to the mistake at `bad` alone."""
    match trail, bad:
        case ("nemeses", i, key, *_), ("nemeses", j, other, *_) if i == j:
            return (key in WHEN) == (other in WHEN or bool(difflib.get_close_matches(str(other), WHEN)))
        case ("nemeses", _, "target" | "peers", *_) | ("cluster",) | ("cluster", "service"), ("workload",) | ("workload", "kind"):
            return True
        case ("workload", *_), ("cluster" | "workload", *_):
            return True
        case ("expect", *_), ("checks", *_):
            return True
        case ("cluster" | "checks" | "expect", *_), _:
            return trail[:1] == bad[:1]
    return trail == bad


def _mended(data: Any, bad: list[Trail]) -> tuple[Scenario, dict[str | int, list[int]]] | None:
    """The scenario without what is wrong with it, and for its lists the numbers that their entries have in the file."""
    if not isinstance(data, dict):
        return None
    data = copy.deepcopy(data)
    for trail in bad:
        _drop(data, trail[:-1] if trail[1:] and trail[-1] == "kind" else trail)
    data = FILLED | data
    for key in ("cluster", "workload"):
        data[key] = data[key] | {option: most for option, most in MOST.get(data[key].get("kind"), {}).items() if (key, option) in bad}
    numbers: dict[str | int, list[int]] = {}
    for key, type_ in (("nemeses", NemesisOptions), ("checks", CheckOptions)):
        if key in data:
            numbers[key] = [i for i, entry in enumerate(data[key]) if _fits(entry, type_)]
            data[key] = [data[key][i] for i in numbers[key]]
    if "expect" in data:
        data["expect"] = {name: entry for name, entry in data["expect"].items() if _fits(entry, Expect)}
    try:
        return msgspec.convert(data, Scenario, dec_hook=units.decode), numbers
    except msgspec.ValidationError:
        return None


def _drop(data: Any, trail: Trail) -> None:
    *above, last = trail or ("",)
    for step in above:
        match data:
            case dict() if step in data:
                data = data[step]
            case list() if isinstance(step, int):
                data = data[step]
            case _:
                return
    match data:
        case dict():
            data.pop(last, None)
        case list() if isinstance(last, int):
            data[last] = None


def _fits(entry: Any, type_: Any) -> bool:
    try:
        msgspec.convert(entry, type_, dec_hook=units.decode)
    except msgspec.ValidationError:
        return False
    return True
