"""What every lease store promises to the recipes, tried by the same bodies on a real server and on each simulated service."""
import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import cache
from itertools import count
from typing import Any

import msgspec
import pytest
from etcd_server import etcd_server

from diarchy.clusters import virtual
from diarchy.clusters.etcd.store import EtcdStore
from diarchy.clusters.simulated.cluster import SimulatedCluster
from diarchy.clusters.simulated.options import Simulated
from diarchy.clusters.simulated.services.kubernetes import Kubernetes
from diarchy.clusters.simulated.services.lease import Lease
from diarchy.clusters.simulated.services.redis import Redis
from diarchy.clusters.simulated.services.redlock import Redlock
from diarchy.clusters.simulated.services.zookeeper import ZooKeeper
from diarchy.clusters.stores import Grant, LeaseStore, Lost, Place, Refused

S = 10**9
TTL = 2 * S
NUMBER = count(1).__next__


class Arm(msgspec.Struct, frozen=True):
    """A world in which stores live. `decides`: of several who ask at once somebody gets the key."""

    name: str
    service: Any = None
    nodes: int = 3
    tokens: bool = True
    queues: bool = True
    decides: bool = True


ARMS = (Arm("etcd"), Arm("lease", Lease()), Arm("zookeeper", ZooKeeper()), Arm("kubernetes", Kubernetes(), queues=False),
        Arm("redis", Redis(token="incr"), queues=False), Arm("redis-alone", Redis(), 1, tokens=False, queues=False),
        Arm("redlock", Redlock(), 5, tokens=False, queues=False, decides=False))
Stores = Callable[[str], LeaseStore]
Body = Callable[[Arm, Stores, str], Awaitable[None]]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with etcd_server() as address:
        yield address


@pytest.fixture(params=[pytest.param(arm, marks=pytest.mark.docker if arm.service is None else ()) for arm in ARMS], ids=lambda arm: arm.name)
def play(request: pytest.FixtureRequest) -> Callable[[Body], None]:
    """Runs a body in one world; clients are named, and each has a store of its own."""
    arm: Arm = request.param

    def real(body: Body) -> None:
        address = request.getfixturevalue("address")

        async def whole() -> None:
            async with asyncio.timeout(60):
                await body(arm, cache(lambda _: EtcdStore({"n1": address})), f"lock-{NUMBER()}")
        asyncio.run(whole())

    def simulated(body: Body) -> None:
        cluster = SimulatedCluster(Simulated(nodes=arm.nodes, service=arm.service), 1)

        async def whole() -> None:
            await cluster.start(lambda _: None)
            await body(arm, cache(cluster.store), "lock")
        virtual.run(cluster.loop, whole())
    return real if arm.service is None else simulated


def now() -> float:
    return asyncio.get_running_loop().time()


async def taken(store: LeaseStore, key: str, who: str) -> tuple[Grant, int | None]:
    grant = await store.grant(TTL)
    return grant, await store.create(key, who, grant.lease)


def by(held: Place | None) -> str | None:
    """Whose it is; some stores put the claimant and the number of the grant into the value."""
    return None if held is None else held.value.partition("#")[0]


async def kept(store: LeaseStore, lease: str) -> None:
    """Keep a lease alive for good."""
    while True:
        await asyncio.sleep(TTL / 4e9)
        await store.keepalive(lease)


def test_of_many_who_ask_at_once_one_gets_the_key(play: Callable[[Body], None]) -> None:
    async def body(arm: Arm, stores: Stores, key: str) -> None:
        names = [f"c{number}" for number in range(1, 6)]
        results = await asyncio.gather(*(taken(stores(name), key, name) for name in names), return_exceptions=True)
        won = [name for name, result in zip(names, results, strict=True) if not isinstance(result, BaseException)]
        assert len(won) == 1 if arm.decides else len(won) <= 1
        assert not arm.decides or all(isinstance(result, tuple | Refused) for result in results)
        held = await stores("c9").holder(key)
        assert not arm.decides or by(held) == won[0]
    play(body)


def test_a_key_goes_with_its_lease_and_not_before(play: Callable[[Body], None]) -> None:
    async def body(arm: Arm, stores: Stores, key: str) -> None:
        await taken(stores("c1"), key, "c1")
        since, other = now(), stores("c2")
        held = await other.holder(key)
        assert held is not None
        assert by(held) == "c1"
        await other.gone(held)
        assert TTL / S - 0.1 <= now() - since <= 2.5 * TTL / S
        assert await other.holder(key) is None
    play(body)


def test_a_lease_that_is_kept_alive_lasts_and_nobody_else_gets_the_key(play: Callable[[Body], None]) -> None:
    async def body(arm: Arm, stores: Stores, key: str) -> None:
        holder, other = stores("c1"), stores("c2")
        grant, _ = await taken(holder, key, "c1")
        keeping = asyncio.create_task(kept(holder, grant.lease))
        for _ in range(5):
            await asyncio.sleep(TTL / 2e9)
            with pytest.raises(Refused):
                await taken(other, key, "c2")
        assert not keeping.done()
        keeping.cancel()
    play(body)


def test_a_key_that_is_given_back_is_free_and_whoever_waits_hears_of_it(play: Callable[[Body], None]) -> None:
    async def body(arm: Arm, stores: Stores, key: str) -> None:
        holder, other = stores("c1"), stores("c2")
        grant, _ = await taken(holder, key, "c1")
        held = await other.holder(key)
        assert held is not None
        waiting = asyncio.create_task(other.gone(held))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        since = now()
        await holder.revoke(grant.lease)
        await waiting
        assert now() - since < TTL / 2e9
        await taken(other, key, "c2")
    play(body)


def test_a_lease_that_is_over_cannot_be_kept_alive(play: Callable[[Body], None]) -> None:
    async def body(arm: Arm, stores: Stores, key: str) -> None:
        holder, other = stores("c1"), stores("c2")
        grant, _ = await taken(holder, key, "c1")
        held = await other.holder(key)
        assert held is not None
        await other.gone(held)
        await taken(other, key, "c2")
        with pytest.raises(Lost):
            await holder.keepalive(grant.lease)
        with suppress(Refused):
            await holder.revoke(grant.lease)
        assert by(await other.holder(key)) == "c2"
    play(body)


def test_tokens_rise_from_holder_to_holder(play: Callable[[Body], None]) -> None:
    async def body(arm: Arm, stores: Stores, key: str) -> None:
        tokens = []
        for name in ("c1", "c2", "c1", "c3"):
            grant, token = await taken(stores(name), key, name)
            tokens.append(token)
            await stores(name).revoke(grant.lease)
        numbers = [token for token in tokens if token is not None]
        assert len(numbers) == (4 if arm.tokens else 0)
        assert numbers == sorted(set(numbers))
    play(body)


def test_a_queue_is_served_first_come_first(play: Callable[[Body], None]) -> None:
    async def body(arm: Arm, stores: Stores, key: str) -> None:
        places: list[Place] = []
        for name in ("c2", "c1", "c3"):
            store = stores(name)
            grant = await store.grant(TTL)
            if not arm.queues:
                with pytest.raises(Refused):
                    await store.enqueue(key, name, grant.lease)
                return
            places.append(await store.enqueue(key, name, grant.lease))
        assert [place.value for place in await stores("c9").queue(key)] == ["c2", "c1", "c3"]
        assert [place.token or 0 for place in places] == sorted(place.token or 0 for place in places)
        await stores("c9").gone(places[0])
        assert "c2" not in [place.value for place in await stores("c9").queue(key)]
    play(body)
