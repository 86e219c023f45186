"""One run: cluster, candidates, observers and nemeses side by side until the deadline; then heal, settle, smoke alarm, tear-down."""
import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from diarchy.clusters.cluster import Cluster, ClusterError
from diarchy.clusters.simulated.cluster import SimulatedCluster
from diarchy.clusters.virtual import looking_on
from diarchy.harness.drive import Driver
from diarchy.harness.observe import observe
from diarchy.harness.rules import rules_of
from diarchy.harness.scenario import Scenario
from diarchy.harness.statuses import complain
from diarchy.harness.store import CannotWrite, Folder, Lines
from diarchy.harness.world import Now
from diarchy.history import units
from diarchy.history.columns import Columns
from diarchy.history.op import Op, Recorder
from diarchy.history.setup import Setup, grace_ns
from diarchy.nemeses.plan import World
from diarchy.reports.live import Live
from diarchy.workloads.child import CandidateError
from diarchy.workloads.hosts import ResourceError
from diarchy.workloads.smoke import final_read, smoke

if TYPE_CHECKING:
    from diarchy.workloads.launch import Crew
    from diarchy.workloads.simulated import SimulatedCrew
    Troop = Crew | SimulatedCrew

INTERRUPTED = "interrupted: cleaning up (once more to stop at once)"
STOP_WITHIN_S = 3.0
LOGS_WITHIN_S = 10.0
ABORT_WITHIN_S = 10
KEY = "diarchy/leader"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Run:
    """What a run is made of. `conduct` does it once; `abort` ends it at once, from a signal handler.

    `begun`: its set-up is in the history, so that there is something to judge. What went wrong on the way is in `problems`, the
    gravest first; what is merely lacking, in `warnings`. With `columns` the history is kept there, and no file is written.
    """

    def __init__(self, scenario: Scenario, seed: int, id: str, folder: Folder, live: Live, version: str,
                 columns: Columns | None = None) -> None:
        self.scenario, self.seed, self.folder, self.live, self.version = scenario, seed, folder, live, version
        self.columns = columns
        self.candidates = tuple(f"c{i + 1}" for i in range(scenario.workload.candidates))
        self.cluster: Cluster = scenario.cluster.build(id, seed)
        self.now = Now(self.cluster.nodes, self.candidates)
        self.accepted = _Tokens()
        self.crew: Troop | None = None
        self.begun = self.ending = self.interrupted = False
        self.problems: list[Exception] = []
        self.warnings: list[str] = []
        self._fault: Exception | None = None
        self._task: asyncio.Task[None] | None = None

    async def conduct(self) -> None:
        """Raises NoEngine, ClusterError, CandidateError or CannotWrite; whatever happens, nothing of the run is left running.

        What goes wrong in the tear-down is no error: it is in `problems`.
        """
        self._task = asyncio.current_task()
        lines = Lines(self.folder.history, self.fail) if self.columns is None else None
        try:
            await self._conduct(lines)
        except (asyncio.CancelledError, Exception):
            if self._fault is None:
                raise
        finally:
            if lines is not None:
                lines.close()
        if self._fault is not None:
            raise self._fault

    def fail(self, error: Exception) -> None:
        """It cannot go on, whatever is under way: end it in order. The first to say so is what `conduct` raises."""
        self._fault = self._fault or error
        if self._task is not None and not self.ending:
            self._task.cancel()

    async def _conduct(self, lines: Lines | None) -> None:
        recorder, crew = self._assemble(lines)
        recorder.listeners += [self.now.see, self.accepted.see, *([self.live.see] if self.columns is None else [])]
        self.crew = crew
        async with self._torn_down(crew):
            resource = await self._start(crew)
            await self._begin(crew, recorder, resource)
            async with self._faults_and_observers(crew, recorder):
                crew.go()
                self.live.phase("running")
                with looking_on():
                    await asyncio.sleep(self.scenario.duration.s)
                recorder.append("harness", "ok", "deadline")
                self.live.phase("healing")
            await self._end(crew, recorder)

    def _assemble(self, lines: Lines | None) -> "tuple[Recorder, Troop]":
        """The clock and the candidates of the world that the cluster is in: this is where the two worlds part."""
        write, keep = None if lines is None else lines.write, None if self.columns is None else self.columns.add
        match self.cluster:
            case SimulatedCluster() as cluster:
                from diarchy.workloads.simulated import SimulatedCrew
                recorder = Recorder(lambda: cluster.loop.now, write, keep)
                cluster.loop.stuck = self.fail
                self.live.by(lambda: cluster.loop.now / 1e9)
                return recorder, SimulatedCrew(cluster, recorder, self.fail)
            case _:
                from diarchy.workloads.launch import Crew
                epoch = time.monotonic_ns()
                recorder = Recorder(lambda: time.monotonic_ns() - epoch, write, keep)
                return recorder, Crew(recorder, self.folder.logs, epoch, self.fail)

    async def _start(self, crew: "Troop") -> str:
        s = self.scenario
        self.live.phase("preparing")
        await self.cluster.prepare(self.live.phase)
        async with asyncio.TaskGroup() as group:
            group.create_task(self.cluster.start(self.live.phase))
            resource = group.create_task(crew.resource(self.cluster.resource_host, self.folder.database, rules_of(s).fence))
            group.create_task(crew.spawn(self.candidates, s.workload, s.cluster.store))
        return resource.result()

    async def _begin(self, crew: "Troop", recorder: Recorder, resource: str) -> None:
        for name, host in crew.hosts.items():
            self.cluster.adopt(name, host)
        self.live.phase("introducing the candidates")
        await self.cluster.link(self.candidates, resource)
        await crew.introduce(self.cluster.endpoints, KEY)
        setup = msgspec.to_builtins(await self._setup(crew))
        if recorder.count:
            raise CandidateError(f"the resource ended before the run began: {self.folder.logs / 'resource.log'} may say why")
        recorder.append("harness", "ok", "setup", value=setup)
        self.begun = True
        for problem in crew.problems:
            recorder.append("harness", "info", "clock", error=problem)

    async def _setup(self, crew: "Troop") -> Setup:
        s, rules = self.scenario, rules_of(self.scenario)

        def plain(value: object) -> Any:
            return msgspec.to_builtins(value, enc_hook=units.encode)

        return Setup(version=self.version, scenario=s.name, seed=self.seed, cluster=str(s.cluster.__struct_config__.tag),
                     nodes=self.cluster.nodes, candidates=self.candidates, quorum=rules.quorum or self.cluster.quorum, ttl=rules.ttl,
                     fence=rules.fence, tokens=rules.tokens, authority=rules.authority, real=s.cluster.real,
                     tolerance=max(crew.tolerance, rules.tolerance), grace=grace_ns(rules.ttl, s.cluster.real), handover=rules.handover, nemeses=len(s.nemeses),
                     checks=tuple(plain(check) for check in s.checks), expect=plain(s.expect),
                     versions=await self.cluster.versions())

    @asynccontextmanager
    async def _faults_and_observers(self, crew: "Troop", recorder: Recorder) -> AsyncIterator[None]:
        """Observers, and one driver for each nemesis, beside the body. They end after it, the drivers when all faults are lifted."""
        closing, world = asyncio.Event(), World(self.cluster.nodes, self.candidates, int(self.scenario.duration))
        def claimant(name: str) -> str:
            return crew.hosts[name].claimant if name in crew.hosts else name

        async with asyncio.TaskGroup() as group:
            with looking_on():
                for node in self.cluster.observed:
                    group.create_task(observe(node, self.cluster, recorder, closing))
            for number, nemesis in enumerate(self.scenario.nemeses, 1):
                name = f"nemesis/{number}-{nemesis.__struct_config__.tag}"
                dice = Random(f"{self.seed}/{name}")
                driver = Driver(name, self.now, self.cluster, recorder, dice, closing, claimant)
                group.create_task(driver.run(nemesis.plan(world, dice)))
            try:
                yield
            finally:
                closing.set()

    async def _end(self, crew: "Troop", recorder: Recorder) -> None:
        self.live.phase("settling")
        with looking_on():
            await asyncio.sleep(self.scenario.settle.s)
        self.live.phase("stopping the candidates")
        await crew.stop(STOP_WITHIN_S)
        if (token := self.accepted.stale()) is not None:
            await smoke(crew.writer(), recorder, token)
        await final_read(crew.writer(), recorder)
        recorder.append("harness", "ok", "end")

    @asynccontextmanager
    async def _torn_down(self, crew: "Troop") -> AsyncIterator[None]:
        try:
            yield
        finally:
            self.ending = True
            self.live.phase(INTERRUPTED if self.interrupted else "tearing down")
            for step in (crew.close, self._logs, self.cluster.stop):
                try:
                    await step()
                except Exception as error:
                    self.problems.append(error)

    async def _logs(self) -> None:
        try:
            async with asyncio.timeout(LOGS_WITHIN_S):
                await self.cluster.logs(self.folder.logs)
        except TimeoutError:
            self.warnings.append(f"not all logs are in {self.folder.logs}: the engine did not give them within {LOGS_WITHIN_S:g} s")
        except ClusterError as error:
            self.warnings.append(f"not all logs are in {self.folder.logs}: {error}")
        except OSError as error:
            raise CannotWrite(Path(error.filename or self.folder.logs), error) from error

    def abort(self) -> None:
        """At once: kill every child and remove every container of the run, without asyncio."""
        if self.crew is not None:
            self.crew.kill()
        self.cluster.stop_now()


class _Tokens:
    """The tokens that the resource accepted, for the smoke alarm."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def see(self, op: Op) -> None:
        if op.process == "resource" and op.f == "write" and op.type == "ok" and op.token is not None:
            self._seen.add(op.token)

    def stale(self) -> int | None:
        """A token strictly below the highest accepted: the newest real one, else one that nobody held."""
        tokens = sorted(self._seen)[-2:]
        match tokens:
            case [older, _]:
                return older
            case [only]:
                return only - 1
            case _:
                return None


async def interruptible(run: Run) -> int:
    """Conduct the run; the first SIGINT, SIGTERM or SIGHUP ends it in order, the second at once, the third drops everything.

    0, or the status of the signal that ended it; errors are in the run's `problems`.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(run.conduct())
    heard: list[int] = []

    def hear(number: int) -> None:
        heard.append(number)
        if len(heard) > 1:
            _at_once(run, 128 + heard[0])
        run.interrupted = True
        run.live.phase(INTERRUPTED)
        if not run.ending:
            task.cancel()

    # Explicit handlers: a background job of a non-interactive shell has SIGINT ignored, and Python would leave it so. A hang-up
    # that is ignored already is nohup's doing, and is meant.
    numbers = [number for number in SIGNALS if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]
    former = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        loop.add_signal_handler(number, hear, number)
    try:
        await task
    except asyncio.CancelledError as error:
        if not heard:
            run.problems.insert(0, RuntimeError("the run was cancelled from within").with_traceback(error.__traceback__))
    except Exception as error:
        # An error beside an interruption is most likely its consequence; a file that cannot be written is not.
        if not heard or isinstance(error, CannotWrite | ResourceError):
            run.problems.insert(0, error)
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
            signal.signal(number, former[number])
    return 128 + heard[0] if heard else 0


def _at_once(run: Run, status: int) -> NoReturn:
    """Kill and remove everything, and exit. An engine that hangs is not waited for longer than ABORT_WITHIN_S, nor against a
    further signal; what it then still has is left to `diarchy clean`."""
    def leave(*_: object) -> NoReturn:
        complain("what the engine still has of this run is removed by `diarchy clean`")
        os._exit(status)

    for number in (*SIGNALS, signal.SIGALRM):
        signal.signal(number, leave)
    signal.alarm(ABORT_WITHIN_S)
    try:
        run.live.__exit__(None, None, None)
        run.abort()
    except Exception as error:
        complain(str(error))
    finally:
        os._exit(status)
