"""ZooKeeper: when sessions end, what a stale server may show, and that no place in the queue is told to lead too early."""
import asyncio
from contextlib import suppress
from functools import partial
from itertools import pairwise
from random import Random

import pytest
from virtual_stage import KEY, MS, TTL, S, Stage, between, ended, failing, held, holder, play

from diarchy.clusters.simulated.services.zookeeper import ZooKeeper
from diarchy.clusters.stores import LeaseStore, Lost, Place, Refused, Unreachable
from diarchy.history.faults import Cut, Fault, Kill, Pause, Skew, Slow
from diarchy.history.units import Duration

TICK, SYNC = 250 * MS, S
SLACK = TICK + TICK // 2 + 50 * MS
"""A session ends at a tick, seen at the next beat of the leader."""
THIRD = between(["n3"], ["n1", "n2"])
on_zookeeper = partial(play, service=ZooKeeper())


@pytest.mark.parametrize("seed", range(20))
def test_one_of_many_wins(seed: int) -> None:
    async def scene(stage: Stage) -> None:
        async def race(client: str, node: str) -> int | None:
            store = stage.store(client, node)
            grant = await store.grant(TTL)
            try:
                return await store.create(KEY, client, grant.lease)
            except Refused:
                return None
        racers = [(f"c{i}", stage.nodes[i % 3]) for i in range(9)]
        tokens = await asyncio.gather(*(stage.on(client, race(client, node)) for client, node in racers))
        winners = [client for (client, _), token in zip(racers, tokens, strict=True) if token is not None]
        await asyncio.sleep(0.05)
        assert [await holder(stage, node) for node in stage.nodes] == winners * 3
    on_zookeeper(scene, seed=seed)


@pytest.mark.parametrize(("asked", "granted"), [(100 * MS, 500 * MS), (TTL, TTL), (60 * S, 5 * S)])
def test_the_time_of_a_session_is_negotiated(asked: int, granted: int) -> None:
    async def scene(stage: Stage) -> None:
        store = stage.store("c1")
        grant = await stage.on("c1", store.grant(asked))
        assert grant.ttl == granted == await stage.on("c1", store.keepalive(grant.lease))
    on_zookeeper(scene)


def test_a_time_that_would_not_be_granted_is_refused_beforehand() -> None:
    assert ZooKeeper().lease_problem(5 * S) is None
    assert "500ms to 5s" in (ZooKeeper().lease_problem(6 * S) or "")
    assert ZooKeeper(max_session=Duration(6 * S)).lease_problem(6 * S) is None
    assert "500ms to 5s" in (ZooKeeper().lease_problem(499 * MS) or "")
    assert not list(ZooKeeper().problems(3))
    assert [key for key, _ in ZooKeeper(min_session=Duration(6 * S)).problems(3)] == ["min_session"]
    assert [key for key, _ in ZooKeeper(max_session=Duration(100 * MS)).problems(3)] == ["max_session"]


def test_a_session_ends_after_its_time_and_not_before() -> None:
    async def scene(stage: Stage) -> None:
        sent = stage.now
        await held(stage, node="n3")
        assert sent + TTL <= await ended(stage) <= sent + TTL + SLACK
    on_zookeeper(scene)


def test_a_ping_gives_the_whole_time_anew_at_every_server() -> None:
    async def scene(stage: Stage) -> None:
        lease, _ = await held(stage)
        store = stage.store("c1")
        for _ in range(6):
            await asyncio.sleep(1.5)
            sent = stage.now
            assert await stage.on("c1", store.keepalive(lease)) == TTL
            store.rotate()
        assert sent + TTL <= await ended(stage) <= sent + TTL + SLACK
        with pytest.raises(Lost):
            await stage.on("c1", store.keepalive(lease))
    on_zookeeper(scene)


def test_a_closed_session_is_gone_with_its_nodes() -> None:
    async def scene(stage: Stage) -> None:
        lease, _ = await held(stage)
        store = stage.store("c1")
        place = await stage.on("c1", store.enqueue("queue", "c1", lease))
        await stage.on("c1", store.revoke(lease))
        assert await holder(stage) is None
        assert place not in await stage.on("c1", store.queue("queue"))
        for work in (store.revoke(lease), store.keepalive(lease), store.create(KEY, "c1", lease), store.enqueue(KEY, "c1", lease)):
            with pytest.raises(Lost):
                await stage.on("c1", work)
    on_zookeeper(scene)


SILENT: list[Fault] = [Kill("c1"), Pause("c1"), between(["c1"], ["n1", "n2", "n3"])]


@pytest.mark.parametrize("fault", SILENT, ids=["killed", "paused", "cut off"])
def test_the_session_of_a_client_that_falls_silent_ends(fault: Fault) -> None:
    async def scene(stage: Stage) -> None:
        lease, _ = await held(stage)
        stage.keep("c1", stage.store("c1", "n2"), lease)
        await asyncio.sleep(5)
        assert await holder(stage) == "c1"
        since = stage.now
        await stage.cluster.apply(fault)
        assert TTL - 350 * MS <= await ended(stage) - since <= TTL + SLACK
    on_zookeeper(scene)


MINORITY = {"killed leader": (Kill("n1"), "n1"), "paused leader": (Pause("n1"), "n1"), "killed follower": (Kill("n2"), "n2"),
            "paused follower": (Pause("n3"), "n3"), "leader cut off": (between(["n1"], ["n2", "n3"]), "n1"), "follower cut off": (THIRD, "n3")}


@pytest.mark.parametrize(("fault", "alone"), MINORITY.values(), ids=MINORITY)
def test_a_minority_that_fails_loses_nothing_and_falls_silent(fault: Fault, alone: str) -> None:
    async def scene(stage: Stage) -> None:
        lease, token = await held(stage)
        stage.keep("c1", stage.store("c1"), lease)
        await asyncio.sleep(1)
        await stage.cluster.apply(fault)
        await asyncio.sleep(2.2)
        assert alone not in stage.leaders
        with pytest.raises((TimeoutError, Unreachable)):
            await stage.on("r", stage.store("r", alone).holder(KEY))
        for _ in range(30):
            for node in stage.nodes:
                if node != alone:
                    assert await stage.on("r", stage.store("r", node).holder(KEY)) == Place(KEY, "c1", token)
            await asyncio.sleep(0.1)
        await stage.cluster.lift(fault)
        await asyncio.sleep(1.5)
        assert [await holder(stage, node) for node in stage.nodes] == ["c1"] * 3
    on_zookeeper(scene)


def test_without_a_quorum_nothing_is_answered_and_with_it_again_all_goes_on() -> None:
    async def scene(stage: Stage) -> None:
        lease, _ = await held(stage)
        keeping = stage.keep("c1", stage.store("c1"), lease)
        apart = [Cut(((a, b),)) for a in stage.nodes for b in stage.nodes if a != b]
        for cut in apart:
            await stage.cluster.apply(cut)
        await asyncio.sleep(2 * SYNC / S + 0.1)  # a follower may have heard of a majority at the very end of the leader's patience
        for node in stage.nodes:
            assert stage.service.observe(node).role == "looking"
            store = stage.store("c2", node)
            for work in (store.grant(TTL), store.create(KEY, "c2", lease), store.holder(KEY), store.queue(KEY), store.keepalive(lease)):
                with pytest.raises(TimeoutError):
                    await stage.on("c2", work)
        for cut in apart:
            await stage.cluster.lift(cut)
        await asyncio.sleep(1)
        assert await holder(stage) == "c1"  # elected anew after so long, the leader gave every session its whole time
        keeping.cancel()
        await ended(stage)
    on_zookeeper(scene)


def test_a_server_that_is_cut_off_shows_what_was_until_it_notices() -> None:
    async def scene(stage: Stage) -> None:
        lease, _ = await held(stage)
        await asyncio.sleep(0.3)
        await stage.cluster.apply(THIRD)
        await stage.on("c1", stage.store("c1").revoke(lease))
        await held(stage, "c2", "n2")
        assert [await holder(stage, node) for node in stage.nodes] == ["c2", "c2", "c1"]
        await asyncio.sleep(SYNC / S)
        assert await holder(stage, "n3") is None
        await stage.cluster.lift(THIRD)
        await stage.until(lambda: stage.service.observe("n3").role == "follower", within_s=0.2)
        assert await holder(stage, "n3") == "c2"
    on_zookeeper(scene)


def test_a_client_never_goes_back_in_time() -> None:
    async def scene(stage: Stage) -> None:
        store = stage.store("c1", "n1")
        await asyncio.sleep(0.3)
        await stage.cluster.apply(THIRD)
        grant = await stage.on("c1", store.grant(TTL))
        store.rotate()
        store.rotate()
        assert store.node == "n3"
        for work in (store.holder(KEY), store.queue(KEY), store.keepalive(grant.lease)):
            with pytest.raises(Unreachable, match="behind"):
                await stage.on("c1", work)
        assert await stage.on("c2", stage.store("c2", "n3").holder(KEY)) is None
    on_zookeeper(scene)


def test_a_write_is_answered_after_the_asked_server_has_applied_it() -> None:
    async def scene(stage: Stage) -> None:
        await stage.cluster.apply(Slow((("n1", "n3"),), latency=200 * MS, jitter=150 * MS))
        for i in range(20):
            client, store = f"c{i}", stage.store(f"c{i}", "n3")
            grant = await stage.on(client, store.grant(TTL), within_s=2)
            own = await stage.on(client, store.enqueue(KEY, client, grant.lease), within_s=2)
            assert (await stage.on(client, store.queue(KEY)))[-1] == own
    on_zookeeper(scene)


def test_a_watch_is_told_once_by_the_server_that_was_asked() -> None:
    async def scene(stage: Stage) -> None:
        lease, token = await held(stage)
        place = Place(KEY, "c1", token)
        await asyncio.sleep(0.3)
        watching = [stage.begin(f"w{node}", stage.store(f"w{node}", node).gone(place)) for node in stage.nodes]
        await asyncio.sleep(0.3)
        await stage.cluster.apply(THIRD)
        await stage.on("c1", stage.store("c1").revoke(lease))
        await asyncio.sleep(0.05)
        assert [task.done() for task in watching] == [True, True, False]
        await stage.cluster.lift(THIRD)
        await asyncio.sleep(0.2)
        assert watching[2].done()
        await held(stage, "c2")
        await stage.on("w9", stage.store("w9").gone(place))
    on_zookeeper(scene)


@pytest.mark.parametrize("fault", [Cut((("n2", "w"),)), Kill("n2")], ids=str)
def test_a_watch_can_be_lost_and_a_new_one_finds_the_node_gone(fault: Fault) -> None:
    async def scene(stage: Stage) -> None:
        lease, token = await held(stage)
        store, place = stage.store("w", "n2"), Place(KEY, "c1", token)
        watching = stage.begin("w", store.gone(place))
        await asyncio.sleep(0.1)
        await stage.cluster.apply(fault)
        await stage.on("c1", stage.store("c1").revoke(lease))
        await asyncio.sleep(0.1)
        await stage.cluster.lift(fault)
        await asyncio.sleep(1)
        assert not watching.done()
        await stage.on("w", store.gone(place))
    on_zookeeper(scene)


def test_all_watch_the_holder_but_only_the_next_in_the_queue_its_predecessor() -> None:
    async def scene(stage: Stage) -> None:
        lease, token = await held(stage)
        herd = [stage.begin(f"c{i}", stage.store(f"c{i}").gone(Place(KEY, "c1", token))) for i in range(2, 9)]
        queue, leases, tasks = [], [], []
        for i in range(5):
            store = stage.store(f"q{i}", stage.nodes[i % 3])
            grant = await stage.on(f"q{i}", store.grant(5 * S))
            leases.append(grant.lease)
            queue.append(await stage.on(f"q{i}", store.enqueue("queue", f"q{i}", grant.lease)))
            tasks += [stage.begin(f"q{i}", store.gone(queue[-2]))] if i else []
        assert all(a.token < b.token and a.key < b.key for a, b in pairwise(queue) if a.token and b.token)
        await stage.on("c1", stage.store("c1").revoke(lease))
        await stage.on("q1", stage.store("q1").revoke(leases[1]))
        await asyncio.sleep(0.1)
        assert all(task.done() for task in herd)
        assert [task.done() for task in tasks] == [False, True, False, False]
        assert list(await stage.on("r", stage.store("r", "n3").queue("queue"))) == [queue[0], *queue[2:]]
    on_zookeeper(scene)


@pytest.mark.parametrize("seed", range(60))
def test_no_place_is_told_to_lead_while_one_before_it_is_there(seed: int) -> None:
    """Servers lag, links to them come and go, clients change servers all the time: whoever reads itself first is first."""
    dice = Random(f"{seed}/queue")
    served: list[int | None] = []

    async def serve(client: str, store: LeaseStore) -> None:
        await asyncio.sleep(dice.random())
        try:
            async with asyncio.timeout(1.5):
                grant = await store.grant(5 * S)
                own = await store.enqueue(KEY, client, grant.lease)
        except TimeoutError:  # a proposal was lost; should there be a place, it goes with its session
            return await serve(client, store)
        queue: tuple[Place, ...] = ()
        while queue[:1] != (own,):
            await asyncio.sleep(dice.uniform(0, 0.1))
            store.rotate()
            try:
                async with asyncio.timeout(0.4):
                    queue = await store.queue(KEY)
                    await store.keepalive(grant.lease)
            except (TimeoutError, Unreachable):
                continue
            assert own in queue
        served.append(own.token)
        while store.node != "n1":
            store.rotate()
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                await store.revoke(grant.lease)

    async def scene(stage: Stage) -> None:
        for node in ("n2", "n3"):
            await stage.cluster.apply(Slow((("n1", node),), latency=dice.randrange(50, 200) * MS, jitter=50 * MS))
        tasks = [stage.begin(f"c{i}", serve(f"c{i}", stage.store(f"c{i}"))) for i in range(6)]
        while not all(task.done() for task in tasks):
            assert stage.now < 120 * S
            lone = dice.choice(["n2", "n3"])
            await stage.faulted(between([lone], [node for node in stage.nodes if node != lone]), dice.uniform(0.2, 0.9))
            await asyncio.sleep(dice.uniform(0, 0.5))
        await asyncio.gather(*tasks)
        assert served == sorted(served, key=lambda token: token or 0)
        assert len(served) == 6

    on_zookeeper(scene, seed=seed)


def test_tokens_rise_over_holders_leaders_and_restarts() -> None:
    async def scene(stage: Stage) -> None:
        tokens = []
        for node in ("n1", "n2", "n3", "n1"):
            lease, token = await held(stage, node=node)
            tokens.append(token)
            await stage.on("c1", stage.store("c1", node).revoke(lease))
            await stage.faulted(Kill(stage.leaders[0]), 2)
            await stage.until(lambda: stage.leaders)
            await asyncio.sleep(0.3)
        assert all(a < b for a, b in pairwise(tokens))
    on_zookeeper(scene)


def test_a_new_leader_gives_every_session_its_whole_time_anew_and_the_old_one_ends_none() -> None:
    async def scene(stage: Stage) -> None:
        lease, _ = await held(stage)
        await stage.cluster.apply(Pause("n1"))
        elected = await stage.until(lambda: stage.leaders == ["n2"])
        assert elected + TTL - 10 * MS <= await ended(stage, "n2") <= elected + TTL + SLACK
        lease, _ = await held(stage, node="n2")
        stage.keep("c1", stage.store("c1", "n2"), lease)
        await stage.cluster.lift(Pause("n1"))
        for _ in range(50):
            assert await holder(stage, "n2") == "c1"
            await asyncio.sleep(0.1)
        assert await holder(stage, "n1") == "c1"
    on_zookeeper(scene)


@pytest.mark.parametrize("drift", [0.05, -0.05])
def test_sessions_end_by_the_leaders_clock(drift: float) -> None:
    async def scene(stage: Stage) -> None:
        await stage.cluster.apply(Skew("n1", 3600 * S, drift))
        sent = stage.now
        await held(stage)
        assert TTL <= (await ended(stage) - sent) * (1 + drift) <= TTL + 1.05 * SLACK
    on_zookeeper(scene)


@pytest.mark.parametrize("pings", ["leader", "server"])
def test_a_ping_that_the_leader_never_heard_of_proves_nothing(pings: str) -> None:
    """A client and its server are cut off together: the server answers on, while the leader lets the session end."""
    async def scene(stage: Stage) -> None:
        lease, _ = await held(stage, node="n3")
        await asyncio.sleep(0.5)
        store = stage.store("c1", "n3")
        await stage.on("c1", store.keepalive(lease))
        await stage.cluster.apply(between(["n3", "c1"], ["n1", "n2"]))
        await asyncio.sleep(0.8)
        sent = stage.now
        if pings == "leader":
            with pytest.raises(TimeoutError):
                await stage.on("c1", store.keepalive(lease))
        else:
            until = sent + await stage.on("c1", store.keepalive(lease))
            assert await ended(stage) < until
    play(scene, ZooKeeper(pings="leader" if pings == "leader" else "server"))


CALM = """
name: storm
cluster: {{kind: simulated, nodes: 3, service: {{kind: zookeeper}}, offset: 5s, network: {network}}}
workload: {{kind: lock, recipe: careful, wait: {wait}, candidates: 4, ttl: 2s, renew_every: 500ms, write_every: 500ms}}
duration: 40s
nemeses:
  - {{kind: kill, target: any, after: 1s, for: 2s, every: 7s}}
  - {{kind: partition, target: leader, after: 5s, for: 3s, every: 9s}}
  - {{kind: pause, target: any, after: 2s, for: 2500ms, every: 13s}}
  - {{kind: partition, target: "candidate:leader", after: 7s, for: 3s, every: 12s}}
"""
STORM = CALM + """
  - {{kind: pause, target: "candidate:leader", after: 3s, for: 4s, every: 11s}}
"""
ROUGH = "{loss: 0.01, duplicate: 0.1, reorder: 0.1}"


@pytest.mark.parametrize("network", ["{}", ROUGH], ids=["plain", "rough"])
@pytest.mark.parametrize("wait", ["holder", "predecessor"])
@pytest.mark.storm
def test_no_two_lead_whatever_goes_wrong(wait: str, network: str) -> None:
    text = STORM.format(wait=wait, network=network)
    assert {seed: found for seed in range(15) if (found := failing(text, seed))} == {}


@pytest.mark.parametrize("drift", [0.04, -0.04])
@pytest.mark.storm
def test_clocks_that_drift_less_than_a_careful_leader_allows_for_do_no_harm(drift: float) -> None:
    text = CALM.format(wait="predecessor", network="{}") + f"  - {{kind: skew, target: nodes, at: 0s, drift: {drift}}}\n"
    assert {seed: found for seed in range(15) if (found := failing(text, seed))} == {}
