"""EtcdStore against a real etcd server."""
import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from etcd_server import etcd_server

from diarchy.clusters.etcd.store import EtcdError, EtcdStore
from diarchy.clusters.stores import Lost, Place, Refused, Unreachable

pytestmark = pytest.mark.docker
S = 10**9
Scene = Callable[[EtcdStore, str], Coroutine[Any, Any, None]]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with etcd_server() as address:
        yield address


def play(address: str, scene: Scene) -> None:
    async def act() -> None:
        store = EtcdStore({"n1": address})
        try:
            await asyncio.wait_for(scene(store, f"lock-{uuid4()}"), 20)
        finally:
            await store.close()

    asyncio.run(act())


def test_the_ttl_is_the_granted_one(address: str) -> None:
    async def scene(store: EtcdStore, key: str) -> None:
        asked = {1: 1 * S, 1_500_000_000: 2 * S, 3 * S: 3 * S}
        for ttl, granted in asked.items():
            grant = await store.grant(ttl)
            assert grant.ttl == granted
            assert await store.keepalive(grant.lease) == granted
            await store.revoke(grant.lease)

    play(address, scene)


def test_tokens_grow_with_each_holder(address: str) -> None:
    async def scene(store: EtcdStore, key: str) -> None:
        tokens = []
        for i in range(3):
            grant = await store.grant(5 * S)
            tokens.append(await store.create(key, f"c{i}", grant.lease))
            held = await store.holder(key)
            assert held is not None
            assert (held.key, held.value, held.token) == (key, f"c{i}", tokens[-1])
            await store.revoke(grant.lease)
            assert await store.holder(key) is None
        assert tokens == sorted(set(tokens))

    play(address, scene)


def test_refusals_are_definite(address: str) -> None:
    async def scene(store: EtcdStore, key: str) -> None:
        grant = await store.grant(5 * S)
        await store.create(key, "c1#1", grant.lease)
        with pytest.raises(Refused, match="c1#1 holds it"):
            await store.create(key, "c2#1", grant.lease)
        await store.revoke(grant.lease)
        for call in (store.keepalive(grant.lease), store.revoke(grant.lease), store.create(key, "c1#1", grant.lease)):
            with pytest.raises(Lost):
                await call
        assert await store.holder(key) is None

    play(address, scene)


def test_other_errors_are_unknown(address: str) -> None:
    async def scene(store: EtcdStore, key: str) -> None:
        with pytest.raises(EtcdError, match="400"):
            await store.revoke("no number")

    play(address, scene)


def test_nobody_there_is_unreachable_and_the_next_node_is_asked_only_on_demand(address: str) -> None:
    async def scene(_: EtcdStore, key: str) -> None:
        store = EtcdStore({"n1": "127.0.0.1:1", "n2": address}, first=2)
        assert store.node == "n1"
        with pytest.raises(Unreachable):
            await store.grant(S)
        assert store.node == "n1"
        store.rotate()
        assert store.node == "n2"
        await store.revoke((await store.grant(S)).lease)
        store.rotate()
        assert store.node == "n1"
        await store.close()

    play(address, scene)


def test_an_expired_lease_takes_its_key_along_and_the_watch_tells(address: str) -> None:
    async def scene(store: EtcdStore, key: str) -> None:
        grant = await store.grant(S)
        token = await store.create(key, "c1", grant.lease)
        began = time.monotonic()
        await store.gone(Place(key, "", token))
        assert 0.9 < time.monotonic() - began < 4
        assert await store.holder(key) is None

    play(address, scene)


def test_gone_tells_at_once_of_what_is_gone_already(address: str) -> None:
    async def scene(store: EtcdStore, key: str) -> None:
        await store.gone(Place(key, "", 1))
        first = await store.grant(5 * S)
        token = await store.create(key, "c1", first.lease)
        await store.revoke(first.lease)
        second = await store.grant(5 * S)
        await store.create(key, "c2", second.lease)
        await store.gone(Place(key, "", token))
        await store.revoke(second.lease)

    play(address, scene)


def test_no_deletion_falls_between_the_read_and_the_watch(address: str) -> None:
    """Deleted as early as possible, again and again."""
    async def scene(store: EtcdStore, key: str) -> None:
        for i in range(30):
            grant = await store.grant(60 * S)
            token = await store.create(key, "c1", grant.lease)
            waiting = asyncio.create_task(store.gone(Place(key, "", token)))
            await asyncio.sleep(i * 0.0002)
            await store.revoke(grant.lease)
            await asyncio.wait_for(waiting, 2)

    play(address, scene)


class Cutter:
    """Forwards to etcd; can drop all connections."""

    def __init__(self, address: str) -> None:
        self._to = address.split(":")
        self._writers: list[asyncio.StreamWriter] = []
        self.asked: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection(self._to[0], int(self._to[1]))
        self._writers += [writer, forth]
        await asyncio.gather(self._pump(reader, forth, True), self._pump(back, writer, False))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, up: bool) -> None:
        try:
            while data := await reader.read(2**16):
                if up:
                    self.asked.append(data.split(b" ")[1])
                writer.write(data)
        except OSError:
            pass
        writer.close()

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


def test_a_dropped_watch_falls_back_to_reading(address: str) -> None:
    async def scene(direct: EtcdStore, key: str) -> None:
        cutter = Cutter(address)
        async with await asyncio.start_server(cutter.serve, "127.0.0.1", 0) as server:
            store = EtcdStore({"n1": f"127.0.0.1:{server.sockets[0].getsockname()[1]}"})
            grant = await direct.grant(60 * S)
            token = await direct.create(key, "c1", grant.lease)
            waiting = asyncio.create_task(store.gone(Place(key, "", token)))
            for watches in (1, 2):
                while cutter.asked.count(b"/v3/watch") < watches:
                    await asyncio.sleep(0.005)
                cutter.cut()
            await direct.revoke(grant.lease)
            await asyncio.wait_for(waiting, 2)
            assert cutter.asked.count(b"/v3/kv/range") >= 2
            await store.close()
            cutter.cut()

    play(address, scene)


def test_the_queue_is_in_the_order_of_arrival_and_its_own(address: str) -> None:
    async def scene(store: EtcdStore, key: str) -> None:
        grants = [await store.grant(60 * S) for _ in range(3)]
        places = [await store.enqueue(key, f"c{i}", grant.lease) for i, grant in reversed(list(enumerate(grants)))]
        other = await store.enqueue(f"{key}0", "elsewhere", grants[0].lease)
        assert await store.queue(key) == tuple(places)
        assert other not in await store.queue(key)
        assert [place.token for place in places] == sorted(place.token for place in places)
        with pytest.raises(Refused):
            await store.enqueue(key, "twice", grants[0].lease)
        waiting = asyncio.create_task(store.gone(places[0]))
        await store.revoke(grants[2].lease)
        await asyncio.wait_for(waiting, 2)
        assert await store.queue(key) == tuple(places[1:])

    play(address, scene)


def test_one_call_is_one_request(address: str) -> None:
    async def scene(_: EtcdStore, key: str) -> None:
        cutter = Cutter(address)
        async with await asyncio.start_server(cutter.serve, "127.0.0.1", 0) as server:
            store = EtcdStore({"n1": f"127.0.0.1:{server.sockets[0].getsockname()[1]}"})
            grant = await store.grant(60 * S)
            await store.create(key, "c1", grant.lease)
            await store.holder(key)
            await store.enqueue(key, "c1", grant.lease)
            await store.queue(key)
            await store.keepalive(grant.lease)
            await store.revoke(grant.lease)
            assert cutter.asked == [b"/v3/lease/grant", b"/v3/kv/txn", b"/v3/kv/range", b"/v3/kv/txn", b"/v3/kv/range",
                                    b"/v3/lease/keepalive", b"/v3/lease/revoke"]
            await store.close()
            cutter.cut()

    play(address, scene)


def test_names_and_values_may_hold_anything(address: str) -> None:
    async def scene(store: EtcdStore, key: str) -> None:
        grant = await store.grant(60 * S)
        odd = f"{key}/ü \n\"'"
        await store.create(odd, "c1#1 ☃", grant.lease)
        held = await store.holder(odd)
        assert held is not None
        assert msgspec.structs.astuple(held)[:2] == (odd, "c1#1 ☃")
        await store.revoke(grant.lease)

    play(address, scene)
