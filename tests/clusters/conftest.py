"""A real cluster shared by the tests of one module, with a resource to write to and questions to ask."""
import asyncio
import base64
import os
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import aiohttp
import msgspec
import pytest
from aiohttp import web
from etcd_server import OPEN

from diarchy.clusters.cluster import Cluster
from diarchy.clusters.docker.owner import RUN
from diarchy.clusters.etcd.options import Etcd

T = TypeVar("T")

CANDIDATES = ("c1", "c2")


def quiet(_: str) -> None:
    """Progress that nobody reads."""


class Backend(msgspec.Struct, frozen=True):
    """What the conformance suite needs to know of a backend: how to make it, write a key to and read one from `host:port`."""

    build: Callable[[str], Any]
    client_port: int
    write: Callable[["Real", str, str], Coroutine[Any, Any, None]]
    read: Callable[["Real", str, str], Coroutine[Any, Any, bool]]


class Resource:
    """Stands for the resource: remembers which writes arrived, and when."""

    def __init__(self) -> None:
        self.arrived: dict[str, float] = {}

    async def serve(self, host: str) -> str:
        app = web.Application()
        app.router.add_get("/state", self._state)
        app.router.add_post("/write", self._write)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, 0)
        await site.start()
        return f"{host}:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[union-attr]

    async def close(self) -> None:
        await self._runner.cleanup()

    async def _state(self, _: web.Request) -> web.Response:
        return web.json_response({"order": len(self.arrived)})

    async def _write(self, request: web.Request) -> web.Response:
        self.arrived[(await request.json())["id"]] = asyncio.get_running_loop().time()
        return web.json_response({"order": len(self.arrived)})


class Real:
    """A started cluster with candidates linked, and an event loop to ask it questions in."""

    def __init__(self, backend: Backend, run: str) -> None:
        self.backend, self.run_id = backend, run
        self.runner = asyncio.Runner()
        self.cluster: Any = backend.build(run)
        self.resource = Resource()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)

    async def start(self) -> None:
        cluster: Cluster = self.cluster
        await cluster.prepare(quiet)
        await cluster.start(quiet)
        await cluster.link(CANDIDATES, await self.resource.serve(cluster.resource_host))

    async def stop(self) -> None:
        await self.cluster.stop()
        await self.resource.close()

    def node(self, name: str) -> str:
        """The node's own client address, not through the mesh."""
        return f"{self.cluster._deployment.address(name)}:{self.backend.client_port}"

    def container(self, name: str) -> dict[str, Any]:
        """The engine's description of the node's container."""
        deployment = self.cluster._deployment
        return dict(deployment.client.api.inspect_container(deployment.containers[name]))

    async def leader(self) -> str:
        """The node that leads, once one does."""
        return await self.eventually(lambda: self.leads(*self.cluster.nodes), 10)

    async def leads(self, *nodes: str) -> str | None:
        """Which of these nodes says that it leads."""
        for node in nodes:
            try:
                if (await self.cluster.observe(node)).leads:
                    return node
            except (aiohttp.ClientError, TimeoutError):
                continue
        return None

    async def eventually(self, question: Callable[[], Coroutine[Any, Any, T | None]], within_s: float) -> T:
        """The first answer that is not None or False."""
        async with asyncio.timeout(within_s):
            while not (answer := await question()):
                await asyncio.sleep(0.03)
            return answer

    async def silent(self, coroutine: Coroutine[Any, Any, Any]) -> bool:
        """Whether the request got no answer within its time."""
        try:
            await coroutine
        except TimeoutError:
            return True
        return False

    async def post(self, address: str, path: str, body: Any, headers: dict[str, str] | None = None) -> Any:
        """By a connection of its own, which neither side closes before the time is up."""
        async with (aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=1.0)) as session,
                    session.post(f"http://{address}{path}", json=body, headers=headers, raise_for_status=True) as response):
            return await response.json()


def _text(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


async def _etcd_write(real: Real, address: str, key: str) -> None:
    await real.post(address, "/v3/kv/put", {"key": _text(key), "value": _text(key)})


async def _etcd_read(real: Real, address: str, key: str) -> bool:
    return "kvs" in await real.post(address, "/v3/kv/range", {"key": _text(key), "serializable": True})


BACKENDS = {"etcd": Backend(lambda run: Etcd().build(run, 1), 2379, _etcd_write, _etcd_read)}


@pytest.fixture(scope="session")
def engine() -> Iterator[Any]:
    """A client of the engine; nothing of this session's runs may be left on it in the end."""
    from diarchy.clusters.docker.images import connect

    client = connect()
    yield client
    left = [c["Names"] for c in client.api.containers(all=True, filters={"label": RUN})
            if c["Labels"].get(f"{RUN}.pid") == str(os.getpid()) and c["Labels"][RUN] not in OPEN]
    client.close()
    assert left == []


@pytest.fixture(scope="module", params=BACKENDS)
def real(request: pytest.FixtureRequest, engine: Any) -> Iterator[Real]:
    """One cluster for the whole module. Each test leaves it as it found it."""
    shared = Real(BACKENDS[request.param], f"test-{os.getpid()}-{request.param}")
    try:
        shared.run(shared.start())
        yield shared
    finally:
        shared.run(shared.stop())
        shared.runner.close()


@pytest.fixture
def healed(real: Real) -> Iterator[Real]:
    """The shared cluster; faults that a failed test left in force are lifted."""
    yield real
    for fault in reversed(real.cluster._deployment.ledger.active):
        real.run(real.cluster.lift(fault))
