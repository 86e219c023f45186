"""When a fault begins, how long it lasts and how often it comes back: the same for every nemesis."""
from collections.abc import Callable, Generator, Iterator
from typing import Annotated

import msgspec

from diarchy.history.faults import Fault
from diarchy.history.units import Duration, default
from diarchy.nemeses.plan import Elected, Find, Keep, Lift, Plan, Until, Wait, World

Once = Generator[Find, tuple[str, ...], tuple[Fault, ...]]
"""One injection: looks targets up, returns the faults to apply."""


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """When: fields only, shared by every nemesis."""

    at: Annotated[Duration | None, msgspec.Meta(extra={"least": "0s"}, description=(
        "when it begins, counted from the moment at which the candidates begin to campaign"))] = None
    after: Annotated[Duration | None, msgspec.Meta(extra={"least": "0s"}, description=(
        "when it begins, counted from the first leader's taking office; with neither `at` nor `after`: at once when there is a leader"))] = None
    for_: Annotated[Duration | None, msgspec.Meta(description=(
        "how long it lasts; default: to the end of the run (what was killed is then never started again)"))] = msgspec.field(name="for", default=None)
    every: Annotated[Duration | None, msgspec.Meta(description=(
        "comes back so long after it began, with its targets looked up anew; default: it comes once"))] = None
    times: Annotated[Annotated[int, msgspec.Meta(ge=1, le=10_000)] | None, msgspec.Meta(description=(
        "how often it comes in all; default, where `every` is given: until the run ends"))] = None
    within: Annotated[Duration, msgspec.Meta(description=(
        "how long to wait for a target to exist; past that the nemesis gives up, and the history says so"))] = default("10s")


def scheduled(when: Schedule, world: World, once: Callable[[], Once], stays: bool = False) -> Plan:
    """The plan that makes `once` happen as scheduled, and lifts what it applied, the last first.

    Without `for` the faults last until the end of the run; with `stays` they are then kept for good. The time that look-ups take comes
    on top of `every`.
    """
    yield from _begin(when)
    count = 0
    while True:
        faults = yield from once()
        for fault in faults:  # not `yield from`: the driver sends to every step, and a tuple takes nothing
            yield fault
        keeps = stays and when.for_ is None
        if not keeps:
            yield Until(world.duration) if when.for_ is None else Wait(int(when.for_))
        for fault in reversed(faults):
            yield Keep(fault) if keeps else Lift(fault)
        count += 1
        if when.every is None or count == when.times:
            return
        if (rest := when.every - (when.for_ or 0)) > 0:
            yield Wait(rest)


def _begin(when: Schedule) -> Plan:
    if when.at is not None:
        yield Until(int(when.at))
        return
    yield Elected()
    if when.after:
        yield Wait(int(when.after))


def contradictions(when: Schedule, world: World, stays: bool = False) -> Iterator[tuple[str, str]]:
    """Times that cannot all be meant."""
    if when.at is not None and when.after is not None:
        yield "after", "given together with `at`; give one of them: `at` counts from the start, `after` from the first leader"
    for key, begin in (("at", when.at), ("after", when.after)):
        if begin is not None and begin >= world.duration:
            yield key, f"{begin} is past the run's end ({Duration(world.duration)}): nothing would happen"
    begin = when.at if when.at is not None else when.after or Duration(0)
    if when.for_ is not None and begin < world.duration < begin + when.for_:
        yield "for", (f"{when.for_} from {begin} on goes past the run's end ({Duration(world.duration)}); "
                      "leave `for` out to let it last to the end")
    if when.times is not None and when.every is None:
        yield "times", "needs `every`: how long from one to the next"
    if when.every is not None and when.times is not None and begin + when.every * (when.times - 1) >= world.duration > begin:
        fit = -(-(world.duration - begin) // when.every)
        yield "times", f"only {fit} of {when.times} begin before the run ends ({Duration(world.duration)})"
    if when.every is not None and when.for_ is not None and when.for_ >= when.every:
        yield "for", f"{when.for_} is not shorter than `every` ({when.every}): it would begin again before it ends"
    if when.every is not None and when.for_ is None and not stays:
        yield "every", "needs `for`: without it the fault lasts to the end of the run and cannot come back"
