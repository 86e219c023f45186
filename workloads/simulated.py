"""The crew of a simulated run: candidates as tasks on simulated hosts, or election algorithms on the nodes themselves."""
import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec

from diarchy.clusters.cluster import Endpoints, Host
from diarchy.clusters.simulated.cluster import SimulatedCluster
from diarchy.clusters.simulated.hosts import Boot
from diarchy.clusters.virtual import on
from diarchy.history.op import Recorder
from diarchy.history.transcript import Line, Transcript
from diarchy.workloads.lock import Lock
from diarchy.workloads.memory import DirectWriter, LinkedWriter, SimulatedResource
from diarchy.workloads.peer_options import Peers
from diarchy.workloads.peers import Peer
from diarchy.workloads.recipe import Recipe
from diarchy.workloads.session import Session

TICK = 1_000_000_000


class SimulatedCrew:
    """As launch.Crew, in virtual time: there is nothing to end, and all clocks agree."""

    tolerance = 0

    def __init__(self, cluster: SimulatedCluster, recorder: Recorder, failed: Callable[[Exception], object]) -> None:
        self._cluster, self._world, self._recorder, self._failed = cluster, cluster.world, recorder, failed
        self._resource: SimulatedResource | None = None
        self._members: list[Member | Peer] = []
        self.hosts: dict[str, Host] = {}
        self.problems: list[str] = []

    async def resource(self, host: str, database: Path, fence: bool) -> str:
        """Make the resource; nothing is written to the database."""
        self._resource = SimulatedResource(self._world, self._recorder, fence)
        self.hosts[host] = self._resource.host
        return host

    async def spawn(self, names: Sequence[str], options: Lock | Peers, store: str) -> None:
        """Make the candidates, or the algorithm's nodes; nothing runs yet."""
        assert self._resource is not None
        if isinstance(options, Lock):
            self._members = [Member(self._cluster, name, options, self._recorder, self._resource, self._failed) for name in names]
        else:
            nodes = self._cluster.nodes
            peers = {name: Peer(self._world, name, nodes, options, self._recorder, self._resource) for name in nodes}
            for peer in peers.values():
                peer.meet(peers)
            self._members = list(peers.values())
        self.hosts |= {member.name: member.host for member in self._members}

    async def introduce(self, endpoints: Callable[[str], Endpoints], key: str) -> None:
        """Tell the candidates which lock is meant."""
        for member in self._members:
            if isinstance(member, Member):
                member.key = key

    def go(self) -> None:
        """All begin to campaign."""
        for member in self._members:
            member.begin()
        self._world.loop.every(TICK, self._tick)

    def _tick(self) -> None:
        for member in self._members:
            member.tick()

    def writer(self) -> DirectWriter:
        """The harness's own way to the resource."""
        assert self._resource is not None
        return DirectWriter(self._resource)

    async def stop(self, within_s: float) -> None:
        """Ask the candidates to step down, and wait for those that take their time."""
        for member in self._members:
            member.stop()
        waits = [member.task for member in self._members if isinstance(member, Member) and member.task is not None]
        if waits:
            await asyncio.wait(waits, timeout=within_s)

    def kill(self) -> None:
        """Nothing runs outside of this process."""

    async def close(self) -> None:
        """Nothing is left to close."""


class Member:
    """A candidate over all boots of its host: the recipe that a process would run, as a task."""

    def __init__(self, cluster: SimulatedCluster, name: str, options: Lock, recorder: Recorder, resource: SimulatedResource,
                 failed: Callable[[Exception], object]) -> None:
        self.name, self.host, self.key = name, cluster.world.host(name), ""
        self.task: asyncio.Task[object] | None = None
        self._cluster, self._options, self._recorder, self._resource, self._failed = cluster, options, recorder, resource, failed
        self._recipe: Recipe | None = None
        self.host.started.append(self.begin)

    def begin(self) -> None:
        """The host's present boot campaigns."""
        claimant, clock = self.host.claimant, self.host.clock
        transcript = Transcript(self._recorder, self.name, claimant)

        def say(line: Line) -> None:
            transcript.line(line if clock.plain else _true(line, lambda local: min(clock.true(local), self._recorder.now())))

        self._recorder.append(self.name, "ok", "ready", claimant=claimant)
        session = Session(claimant, say, self.host.now)
        writer = LinkedWriter(self._cluster.world, self.host, self._resource)
        boot = Boot(self.host)
        with on(boot):
            self._recipe = Recipe(self._options, self.key, session, self._cluster.store(self.name), writer)
        self.task = self._cluster.loop.spawn(boot, self._recipe.run(), claimant)
        self.task.add_done_callback(partial(self._ended, claimant))

    def stop(self) -> None:
        """Ask it to step down and end."""
        if self._recipe is not None and self.host.awake:
            with on(Boot(self.host)):
                self._recipe.stop()

    def tick(self) -> None:
        """A sign of life, if it lives."""
        if self.host.awake and self.task is not None and not self.task.done():
            self._recorder.append(f"{self.name}/tick", "ok", "tick", claimant=self.host.claimant)

    def _ended(self, claimant: str, task: "asyncio.Task[object]") -> None:
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            self._failed(error)
            return
        self._recorder.append(self.name, "ok", "exit", claimant=claimant, value={"status": 0})


def _true(line: Line, true: Callable[[int], int]) -> Line:
    """A line by true time: what a candidate says is stamped by its own clock, which may be wrong."""
    sent = None if line.sent is None else true(line.sent)
    until = None if sent is None or line.ttl is None else sent + line.ttl
    return msgspec.structs.replace(line, time=true(line.time), sent=sent, until=until)
