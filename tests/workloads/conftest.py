"""Scenes are played over a store in this process and over etcd."""
import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from etcd_server import etcd_server
from recipe_stage import Memory, MemoryStore, Scene, Stage

from diarchy.clusters.etcd.store import EtcdStore
from diarchy.clusters.http import Http


@pytest.fixture(scope="session")
def etcd() -> Iterator[str]:
    with etcd_server() as address:
        yield address


async def _etcd_leases(http: Http) -> int:
    _, body = await http.post("/v3/lease/leases", b"{}")
    return len(msgspec.json.decode(body).get("leases", []))


async def _clean(http: Http) -> None:
    """Revoke every lease of an earlier test."""
    _, body = await http.post("/v3/lease/leases", b"{}")
    for lease in msgspec.json.decode(body).get("leases", []):
        await http.post("/v3/lease/revoke", msgspec.json.encode(lease))


@pytest.fixture(params=["memory", pytest.param("etcd", marks=pytest.mark.docker)])
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Scene], None]:
    """Play a scene over each kind of store; whatever happens, its candidates are stopped."""
    async def on_memory(scene: Scene) -> None:
        memory = Memory()

        async def leases() -> int:
            memory.expire()
            return len(memory.leases)

        await act(scene, Stage(lambda: MemoryStore(memory), leases, tmp_path / "resource.db"))

    async def on_etcd(scene: Scene) -> None:
        address = request.getfixturevalue("etcd")
        http = Http(address)
        await _clean(http)
        stage = Stage(lambda: EtcdStore({"n1": address, "n2": address}), lambda: _etcd_leases(http), tmp_path / "resource.db")
        try:
            await act(scene, stage)
        finally:
            http.close()

    async def act(scene: Scene, stage: Stage) -> None:
        try:
            await scene(stage)
        finally:
            await stage.close()

    chosen = on_memory if request.param == "memory" else on_etcd
    if request.param == "etcd":
        request.getfixturevalue("etcd")
    return lambda scene: asyncio.run(chosen(scene))
