"""Plans: generators of waits, look-ups and faults. No clock, no await, no cluster: a test is a list of the steps.

The driver (harness) does every step and sends back what a look-up found. Whatever is active when the run ends is lifted.
"""
from collections.abc import Generator, Iterator
from random import Random
from typing import Protocol

import msgspec

from diarchy.history.faults import Fault


class Until(msgspec.Struct, frozen=True):
    """Wait until this time of the scenario's `duration`: ns since the candidates were let go."""

    time: int


class Elected(msgspec.Struct, frozen=True):
    """Wait until the first leader of the run is in office."""


class Wait(msgspec.Struct, frozen=True):
    """Wait this long, in ns, counted from when the last fault or lift was begun (what its verification takes does not prolong
    it), else from the end of the last wait."""

    time: int


class Find(msgspec.Struct, frozen=True):
    """Look up a target now, or wait for it up to `within` ns. Sends back its names, never an empty tuple; the driver gives
    up on the plan (and says so in the history) when the deadline passes."""

    target: str
    within: int


class Lift(msgspec.Struct, frozen=True):
    """Undo a fault that this plan applied."""

    fault: Fault


class Keep(msgspec.Struct, frozen=True):
    """A fault that this plan applied is never to be undone, not even when the run ends."""

    fault: Fault


Step = Until | Elected | Wait | Find | Fault | Lift | Keep
Plan = Generator[Step, tuple[str, ...], None]


class World(msgspec.Struct, frozen=True):
    """What a plan knows from the start: all names, and whether one of the nodes ever leads the others. `duration` in ns."""

    nodes: tuple[str, ...]
    candidates: tuple[str, ...]
    duration: int
    led: bool = True


class Nemesis(Protocol):
    """An option struct (frozen, tagged by `kind`) that makes a plan. `faults` are the types it may ask for.

    `problems` says what its types cannot: pairs of a key of the struct and what is wrong with it in this world.
    """

    def faults(self) -> frozenset[type]: ...
    def problems(self, world: World) -> Iterator[tuple[str, str]]: ...
    def plan(self, world: World, dice: Random) -> Plan: ...
