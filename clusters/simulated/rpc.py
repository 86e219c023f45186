"""Requests over simulated links, with answers or without."""
import asyncio
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from diarchy.clusters.cluster import Observation
from diarchy.clusters.simulated.hosts import SimulatedHost
from diarchy.clusters.simulated.world import World
from diarchy.clusters.stores import LeaseStore, Unreachable

T = TypeVar("T")
Answer = Callable[[Any], None]
"""Takes the result of a request, or the exception that the caller is to raise; may be called later, or never."""


class Service(Protocol):
    """An election service on all its nodes: plain calls on the heap, no coroutines, its time from the nodes' own clocks.

    `start` is called once, before anything else. A node that is stopped is served nothing until it goes on; `World.host(node).killed` and
    `.started` tell of the rest. What a kill loses is up to the service.
    """

    quorum: int

    def start(self) -> None: ...
    def serve(self, node: str, request: Any, answer: Answer) -> None:
        """A request has reached a node that runs."""
        ...
    def observe(self, node: str) -> Observation:
        """What this node, which runs, says of itself."""
        ...
    def store(self, caller: "Caller", first: int) -> LeaseStore:
        """A candidate's client; it asks the node of number `first` first."""
        ...


class Caller:
    """A host that asks nodes. One call is one request and at most one answer: nothing is retried."""

    def __init__(self, world: World, host: SimulatedHost, nodes: tuple[str, ...], service: Service) -> None:
        self.world, self.host, self.nodes = world, host, nodes
        self._service = service

    def now(self) -> int:
        """The host's monotonic clock, ns."""
        return self.host.now()

    def wall(self) -> int:
        """The host's wall clock, ns."""
        return self.host.wall()

    async def call(self, node: str, request: Any) -> Any:
        """The answer. Raises what the service answered with, and Unreachable where nobody listens; waits for ever where nothing
        comes back. A link whose connections are reset raises ConnectionResetError on the way back: then nobody knows."""
        future = self.world.loop.create_future()
        there, back = self.world.link(self.host.name, node), self.world.link(node, self.host.name)
        if there.refuses:
            raise Unreachable(f"the connection to {node} was reset")
        target = self.world.host(node)

        def deliver(result: Any, _: None) -> None:
            self.host.take(settle, (future, result))

        def answer(result: Any) -> None:
            if target.awake and back.refuses:
                deliver(ConnectionResetError(f"the connection to {node} was reset"), None)
            elif target.awake:
                back.send(deliver, result, None)

        def arrive(_: None, __: None) -> None:
            if target.dead:
                back.send(deliver, Unreachable(f"nobody listens on {node}"), None)
            else:
                target.take(self._service.serve, (node, request, answer))

        there.send(once(arrive), None, None)
        return await future


def settle(future: "asyncio.Future[Any]", result: Any) -> None:
    """The result, or the exception, for whoever still waits for it."""
    if future.done():
        return
    if isinstance(result, BaseException):
        future.set_exception(result)
    else:
        future.set_result(result)


def once(act: Callable[..., object]) -> Callable[..., object]:
    """The same, done once: a connection gives a message that arrives twice to its reader once."""
    left = [act]

    def first(*args: Any) -> None:
        if left:
            left.pop()(*args)
    return first


class Rotating:
    """What stores have in common: the node asked last, and the next one. A store that needs no close."""

    def __init__(self, caller: Caller, first: int) -> None:
        self._caller = caller
        self._at = first % len(caller.nodes)

    @property
    def node(self) -> str:
        return self._caller.nodes[self._at]

    def rotate(self) -> None:
        self._at = (self._at + 1) % len(self._caller.nodes)

    async def close(self) -> None:
        pass

    async def _call(self, request: Any) -> Any:
        return await self._caller.call(self.node, request)
