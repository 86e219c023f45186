"""Does what a nemesis plan asks, step by step, and records it as asked and as realised."""
import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random

import msgspec

from diarchy.clusters.cluster import Cluster, ClusterError
from diarchy.clusters.virtual import looking_on
from diarchy.harness.world import Now
from diarchy.history.faults import APPLIED, LIFTED, Fault, Realised, asked
from diarchy.history.op import Recorder
from diarchy.nemeses.plan import Elected, Find, Keep, Lift, Plan, Step, Until, Wait
from diarchy.nemeses.targets import resolve

POLL_S = 0.01


class _NoTarget(Exception):
    """The plan cannot go on: its target was not found in time."""


class Driver:
    """One nemesis under way; its times count from here. When `closing` is set its waits end, and what is still active is lifted,
    the last first."""

    def __init__(self, process: str, now: Now, cluster: Cluster, recorder: Recorder, dice: Random,
                 closing: asyncio.Event, claimant: Callable[[str], str]) -> None:
        self.process = process
        self._now, self._cluster, self._recorder, self._dice = now, cluster, recorder, dice
        self._closing, self._claimant = closing, claimant
        self._active: list[tuple[Fault, int]] = []
        self._began = self._mark = recorder.now()

    async def run(self, plan: Plan) -> None:
        """Walk the plan to its end, or to the closing; then lift what it left active."""
        try:
            step = next(plan)
            while not self._closing.is_set():
                step = plan.send(await self._do(step))
        except (StopIteration, _NoTarget):
            pass
        plan.close()
        for fault, index in reversed(self._active[:]):
            await self._lift(fault, index)

    async def _do(self, step: Step) -> tuple[str, ...]:
        match step:
            case Until(time):
                self._mark = self._began + time
                await self._wait((self._mark - self._recorder.now()) / 1e9)
            case Wait(time):
                self._mark += time
                await self._wait((self._mark - self._recorder.now()) / 1e9)
            case Elected():
                while not self._now.leaders() and not self._closing.is_set():
                    await self._look_again()
                self._mark = self._recorder.now()
            case Find(target, within):
                return await self._find(target, within)
            case Lift(fault):
                await self._lift(fault, self._newest(fault))
            case Keep(fault):
                self._active.remove((fault, self._newest(fault)))
            case fault:
                await self._apply(fault)
        return ()

    def _newest(self, fault: Fault) -> int:
        return next(index for active, index in reversed(self._active) if active == fault)

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, 0)):
                await self._closing.wait()

    async def _look_again(self) -> None:
        with looking_on():
            await self._wait(POLL_S)

    async def _find(self, target: str, within: int) -> tuple[str, ...]:
        deadline = self._recorder.now() + within
        while not (names := resolve(target, self._now, self._dice)):
            if self._recorder.now() >= deadline or self._closing.is_set():
                self._recorder.append(self.process, "fail", "find", value={"target": target},
                                      error=f"no {target} was found within {within / 1e9:g} s")
                raise _NoTarget
            await self._look_again()
        return names

    async def _apply(self, fault: Fault) -> None:
        self._mark = self._recorder.now()
        ask = asked(fault)
        if ask.host is not None:
            ask = msgspec.structs.replace(ask, host=self._claimant(ask.host))
        index = self._recorder.append(self.process, "invoke", APPLIED[type(fault)], value=msgspec.to_builtins(ask)).index
        self._active.append((fault, index))
        await self._complete(APPLIED[type(fault)], self._cluster.apply(fault), None)

    async def _lift(self, fault: Fault, index: int) -> None:
        self._mark = self._recorder.now()
        self._active.remove((fault, index))
        ask = msgspec.structs.replace(asked(fault), lifts=index)
        if ask.host is not None:
            ask = msgspec.structs.replace(ask, host=self._claimant(ask.host))
        self._recorder.append(self.process, "invoke", LIFTED[type(fault)], value=msgspec.to_builtins(ask))
        await self._complete(LIFTED[type(fault)], self._cluster.lift(fault), index)

    async def _complete(self, f: str, doing: Awaitable[Realised], lifts: int | None) -> None:
        try:
            realised = await doing
        except ClusterError as error:
            self._recorder.append(self.process, "info", f, error=str(error))
            return
        realised = msgspec.structs.replace(realised, lifts=lifts)
        self._recorder.append(self.process, "ok", f, value=msgspec.to_builtins(realised))
