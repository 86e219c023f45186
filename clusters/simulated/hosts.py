"""A simulated host: it can be stopped, killed and started again, and has clocks of its own."""
import asyncio
from collections import deque
from collections.abc import Callable
from itertools import chain
from typing import Any

from diarchy.clusters.simulated.clock import Clock
from diarchy.clusters.virtual import VirtualLoop
from diarchy.history.faults import Realised


class Boot:
    """One boot of a host, for the tasks that run on it: they end with it, and no later boot wakes them."""

    def __init__(self, host: "SimulatedHost") -> None:
        self.name, self._host, self._number = host.claimant, host, host.boot

    @property
    def awake(self) -> bool:
        return self._host.awake and self._host.boot == self._number

    def local(self, true: int) -> int:
        return self._host.clock.local(true)

    def true(self, local: int) -> int:
        return self._host.clock.true(local)

    def park(self, handle: asyncio.Handle) -> None:
        if self._host.boot == self._number and not self._host.dead:
            self._host.park(handle)


class SimulatedHost:
    """One node, candidate or resource over all its boots. What reaches it while it is stopped waits; while it is dead, is lost.

    `killed` and `started` are told when it dies, and when it comes back as the next boot; `changed` when it is no longer awake, is
    awake again, or has its clocks set.
    """

    def __init__(self, name: str, loop: VirtualLoop, clock: Clock) -> None:
        self.name, self.clock = name, clock
        self.boot, self.claimant = 1, f"{name}#1"
        self.awake, self.dead = True, False
        self.killed: list[Callable[[], object]] = []
        self.started: list[Callable[[], object]] = []
        self.changed: list[Callable[[], object]] = []
        self._loop = loop
        self._offset, self._rate = clock.offset, clock.rate
        self._parked: deque[asyncio.Handle | tuple[Callable[..., object], tuple[Any, ...]]] = deque()

    @property
    def pids(self) -> tuple[int, ...]:
        return ()

    def now(self) -> int:
        """Its monotonic clock now, ns."""
        return self.clock.local(self._loop.now)

    def wall(self) -> int:
        """Its wall clock now, ns."""
        return self.clock.wall(self._loop.now)

    def skew(self, offset: int, drift: float) -> None:
        """From now on its wall clock is `offset` ns off, and both its clocks run by `drift` too fast, beside what they always were."""
        self.clock.set(self._loop.now, self._offset + offset, self._rate * (1 + drift))
        _tell(self.changed)

    def take(self, act: Callable[..., object], args: tuple[Any, ...]) -> None:
        """Run it here: at once, when the host goes on, or never."""
        if self.awake:
            act(*args)
        elif not self.dead:
            self._parked.append((act, args))

    def after(self, delay: int, act: Callable[..., object], *args: Any) -> None:
        """Run it here after so long by its own clock, ns; never if it has died by then. A start does not bring it back."""
        boot = self.boot
        self._loop.push(self.clock.true(self.now() + delay), self._ring, boot, (act, args))

    def _ring(self, boot: int, call: tuple[Callable[..., object], tuple[Any, ...]]) -> None:
        if boot == self.boot:
            self.take(*call)

    def park(self, handle: asyncio.Handle) -> None:
        """A callback of one of its tasks, until it goes on."""
        self._parked.append(handle)

    async def pause(self) -> Realised:
        self.awake = False
        _tell(self.changed)
        return Realised(host=self.claimant, bit=not self.dead, evidence="it is dead" if self.dead else "it is stopped")

    async def resume(self) -> Realised:
        if self.dead:
            return Realised(host=self.claimant, bit=False, evidence="it is dead")
        self.awake = True
        _tell(self.changed)
        parked, self._parked = self._parked, deque()
        for item in parked:
            match item:
                case asyncio.Handle():
                    self._loop.ready(item)
                case (act, args):
                    self._loop.push(self._loop.now, self.take, act, args)
        return Realised(host=self.claimant, evidence=f"it runs; {len(parked)} events had waited")

    async def kill(self) -> Realised:
        if self.dead:
            return Realised(host=self.claimant, bit=False, evidence="it was dead already")
        self.awake, self.dead = False, True
        self._parked.clear()
        _tell(self.changed, self.killed)
        return Realised(host=self.claimant, evidence="it is dead")

    async def start(self) -> Realised:
        if not self.dead:
            return Realised(host=self.claimant, bit=False, evidence="it has not ended: nothing to start")
        self.awake, self.dead = True, False
        self.boot += 1
        self.claimant = f"{self.name}#{self.boot}"
        _tell(self.started, self.changed)
        return Realised(host=self.claimant, evidence="it runs")


def _tell(*listeners: list[Callable[[], object]]) -> None:
    for tell in chain(*listeners):
        tell()
