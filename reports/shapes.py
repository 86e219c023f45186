"""What a report shows of a run, as data: lanes on one time axis, and what lies in them. Times in ns, ops by index."""
from typing import Literal

import msgspec

LaneKind = Literal["findings", "gaps", "candidate", "resource", "node", "nemesis"]
BarKind = Literal[
    "certain", "claimed", "late-awake", "late-paused", "lease", "stopped", "stalled", "down", "leads", "silent",
    "asked", "fault", "missed", "gap", "long-gap", "excused", "fails", "reported", "accepted-many", "refused-many", "unknown-many"]
MarkKind = Literal["named", "accepted", "refused", "unknown", "deadline", "step-down", "start", "end", "note"]


class Lane(msgspec.Struct, frozen=True):
    """A row of the timeline. `rows` is how many bars lie one above the other in it."""

    name: str
    kind: LaneKind
    label: str
    rows: int = 1


class Bar(msgspec.Struct, frozen=True):
    """Something that lasted. `tip` says all of it in lines; `label` is what may stand on the bar, `short` if that is too long."""

    lane: str
    kind: BarKind
    start: int
    end: int
    tip: str
    label: str = ""
    short: str = ""
    row: int = 0


class Mark(msgspec.Struct, frozen=True):
    """Something that happened at one instant."""

    lane: str
    kind: MarkKind
    time: int
    tip: str


class Flight(msgspec.Struct, frozen=True):
    """A write that was long on its way: sent by a candidate, decided by the resource."""

    lane: str
    sent: int
    decided: int
    accepted: bool
    tip: str


class Band(msgspec.Struct, frozen=True):
    """A fault that took hold, as it lies over all lanes."""

    start: int
    end: int
    label: str


class Shown(msgspec.Struct, frozen=True):
    """A finding, with the place on the time axis where it is seen; None where nothing of it has a time."""

    number: int
    check: str
    kind: str
    level: str | None
    claimants: tuple[str, ...]
    fails: bool
    outcome: str
    text: str
    ops: tuple[int, ...]
    start: int | None
    end: int | None


class View(msgspec.Struct, frozen=True):
    """Everything that the drawing of one run needs. The axis goes from `start` to `end`."""

    start: int
    end: int
    lanes: tuple[Lane, ...]
    bars: tuple[Bar, ...]
    marks: tuple[Mark, ...]
    flights: tuple[Flight, ...]
    bands: tuple[Band, ...]
    findings: tuple[Shown, ...]
