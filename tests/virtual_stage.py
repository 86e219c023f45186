"""A stage for simulated services: their nodes, clients on hosts of their own, and faults, all in virtual time."""
import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine
from functools import cache
from itertools import permutations
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, TypeVar

from diarchy.checkers.verdict import Verdict
from diarchy.clusters import virtual
from diarchy.clusters.simulated.cluster import SimulatedCluster
from diarchy.clusters.simulated.hosts import Boot
from diarchy.clusters.simulated.network import Network
from diarchy.clusters.simulated.options import Simulated
from diarchy.clusters.simulated.rpc import Caller, Service
from diarchy.clusters.simulated.services.kinds import ServiceOptions
from diarchy.clusters.stores import LeaseStore, Refused, Unreachable
from diarchy.harness.scenario import Scenario, load
from diarchy.harness.seeds import once
from diarchy.history.faults import Cut, Fault
from diarchy.history.units import Duration

T = TypeVar("T")
MS, S = 10**6, 10**9
TTL = 2 * S
KEY = "lock"
PATIENCE_S = 0.5
"""A request that is not answered within this is taken for one that never will be."""


class Stage:
    """A cluster with a service that has started."""

    def __init__(self, options: Simulated, seed: int) -> None:
        self.cluster = SimulatedCluster(options, seed)
        self.nodes, self.world = self.cluster.nodes, self.cluster.world
        assert self.cluster.service is not None
        self.service: Service = self.cluster.service

    @property
    def now(self) -> int:
        """True virtual time, ns."""
        return self.cluster.loop.now

    @property
    def leaders(self) -> list[str]:
        """The nodes that say that they lead."""
        return [node for node in self.nodes if self.world.host(node).awake and self.service.observe(node).leads]

    def store(self, client: str, node: str = "n1") -> LeaseStore:
        """A client on a host of its own, which asks this node first."""
        caller = Caller(self.world, self.world.host(client), self.nodes, self.service)
        return self.service.store(caller, self.nodes.index(node))

    def begin(self, client: str, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Run it on that client's host: by its clock, and only while it runs."""
        task: asyncio.Task[Any] = self.cluster.loop.spawn(Boot(self.world.host(client)), work, client)
        return task

    async def on(self, client: str, work: Coroutine[Any, Any, T], within_s: float = PATIENCE_S) -> T:
        """The same, waited for; raises TimeoutError where no answer comes."""
        async with asyncio.timeout(within_s):
            return await self.begin(client, work)

    def keep(self, client: str, store: LeaseStore, lease: str, every_s: float = 0.3) -> "asyncio.Task[None]":
        """Keep a lease alive until it is lost or the task is cancelled; answers that do not come are not waited for long."""
        async def keeping() -> None:
            while True:
                await asyncio.sleep(every_s)
                try:
                    async with asyncio.timeout(every_s):
                        await store.keepalive(lease)
                except (TimeoutError, ConnectionError, Unreachable):
                    store.rotate()
        return self.begin(client, keeping())

    async def faulted(self, fault: Fault, for_s: float) -> None:
        """A fault for so long."""
        await self.cluster.apply(fault)
        await asyncio.sleep(for_s)
        await self.cluster.lift(fault)

    async def until(self, true: Callable[[], Awaitable[object] | object], within_s: float = 20.0) -> int:
        """When it is true, looked at every 10 ms; ns."""
        deadline = self.now + round(within_s * S)
        while True:
            value = true()
            if await value if isinstance(value, Awaitable) else value:
                return self.now
            assert self.now < deadline, f"not true within {within_s} s"
            await asyncio.sleep(0.01)


Scene = Callable[[Stage], Coroutine[Any, Any, None]]


def play(scene: Scene, service: ServiceOptions, *, nodes: int = 3, seed: int = 1, network: Network = Network(),
         drift: float = 0.0, offset: int = 0) -> None:
    """Play a scene on a cluster with this service."""
    stage = Stage(Simulated(nodes=nodes, service=service, network=network, drift=drift, offset=Duration(offset)), seed)

    async def played() -> None:
        await stage.cluster.start(lambda _: None)
        await scene(stage)
    virtual.run(stage.cluster.loop, played())


async def held(stage: Stage, client: str = "c1", node: str = "n1", ttl: int = TTL) -> tuple[str, int]:
    """A client takes the key; its lease and its token."""
    store = stage.store(client, node)
    grant = await stage.on(client, store.grant(ttl))
    token = await stage.on(client, store.create(KEY, client, grant.lease))
    assert token is not None
    return grant.lease, token


async def holder(stage: Stage, node: str = "n1") -> str | None:
    """Who has the key; None also where nobody answers."""
    try:
        place = await stage.on("reader", stage.store("reader", node).holder(KEY))
    except TimeoutError:
        return None
    return place and place.value


async def ended(stage: Stage, node: str = "n1", within_s: float = 20.0) -> int:
    """When nobody has the key any more, by an answer of this node."""
    async def free() -> bool:
        try:
            return await stage.on("reader", stage.store("reader", node).holder(KEY)) is None
        except (TimeoutError, ConnectionError, Refused):
            return False
    return await stage.until(free, within_s)


def between(some: Collection[str], others: Collection[str]) -> Cut:
    """Nothing passes between the ones and the others."""
    pairs = permutations((*some, *others), 2)
    return Cut(tuple((a, b) for a, b in pairs if (a in some) != (b in some)))


@cache
def scenario(text: str) -> Scenario:
    """A scenario from its YAML."""
    with NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        return load(Path(file.name))


def failing(text: str, seed: int) -> list[str]:
    """What a run of the scenario finds that fails, as `check: kind`, and the checks that cannot say."""
    verdict: Verdict = once(scenario(text), seed)
    unsure = [f"{check.check}: inconclusive" for check in verdict.checks if check.verdict == "inconclusive"]
    return unsure + [f"{check.check}: {finding.kind}" for check in verdict.checks for finding in check.findings if finding.fails]
