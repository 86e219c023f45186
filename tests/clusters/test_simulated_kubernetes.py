"""Kubernetes' Lease: compare-and-swap, and what clients make of a record that nobody ends for them."""
import asyncio
from functools import partial
from itertools import pairwise

import pytest
from virtual_stage import KEY, MS, TTL, S, Stage, between, failing, held, play, scenario

from diarchy.clusters.simulated.network import Network
from diarchy.clusters.simulated.services.kubernetes import ABSENT, Conflict, Get, Kubernetes, Put, Record
from diarchy.clusters.stores import LeaseStore, Lost, Place, Refused
from diarchy.harness.places import BadScenario
from diarchy.history.faults import Cut, Fault, Kill, Pause, Skew
from diarchy.history.units import Duration

on_kubernetes = partial(play, service=Kubernetes())
on_wall = partial(play, service=Kubernetes(judge="wall"))
SLOWLY = Duration.parse("5ms")
SKEWED = Skew("c2", 5 * S)


async def taken(stage: Stage, client: str, node: str = "n1", within_s: float = 20.0) -> int:
    """When a client that tries again and again has the lease."""
    store = stage.store(client, node)

    async def take() -> None:
        while True:
            try:
                async with asyncio.timeout(0.3):
                    grant = await store.grant(TTL)
                    await store.create(KEY, client, grant.lease)
                    return
            except (Refused, TimeoutError):
                await asyncio.sleep(0.02)
    await stage.on(client, take(), within_s)
    return stage.now


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
        winners = [(client, token) for (client, _), token in zip(racers, tokens, strict=True) if token is not None]
        assert len(winners) == 1
        place = await stage.on("r", stage.store("r", "n2").holder(KEY))
        assert place == Place(KEY, *winners[0])
    on_kubernetes(scene, seed=seed)


def test_a_put_needs_the_version_that_is_there() -> None:
    async def scene(stage: Stage) -> None:
        record = Record("c1", TTL, 0, 1)

        async def ask(request: Get | Put) -> object:
            answered: asyncio.Future[object] = asyncio.get_running_loop().create_future()
            stage.service.serve("n2", request, answered.set_result)
            return await answered
        assert await stage.on("c1", ask(Get(KEY))) == ABSENT
        there = await stage.on("c1", ask(Put(KEY, record, 0)))
        assert isinstance(await stage.on("c1", ask(Put(KEY, record, 0))), Conflict)
        assert await stage.on("c1", ask(Get(KEY))) == there
        assert not isinstance(await stage.on("c1", ask(Put(KEY, record, 1))), Exception)
    on_kubernetes(scene)


@pytest.mark.parametrize("offset", [-3600 * S, 0, 3600 * S])
def test_a_lease_is_over_when_its_record_stood_still_for_its_duration_whatever_the_time_of_day(offset: int) -> None:
    async def scene(stage: Stage) -> None:
        await stage.cluster.apply(Skew("c2", offset))
        await held(stage)
        await asyncio.sleep(1.5)
        first = stage.now
        assert first + TTL <= await taken(stage, "c2", "n3") <= first + TTL + 100 * MS
    on_kubernetes(scene)


def test_by_the_wall_a_lease_is_over_by_what_is_written_in_it() -> None:
    async def scene(stage: Stage) -> None:
        sent = stage.now
        await held(stage)
        await asyncio.sleep(1.5)
        assert sent + TTL <= await taken(stage, "c2", "n3") <= sent + TTL + 100 * MS
    on_wall(scene)


@pytest.mark.parametrize("play_on", [on_kubernetes, on_wall], ids=["observed", "wall"])
def test_a_lease_that_is_renewed_is_not_taken(play_on: "partial[None]") -> None:
    async def scene(stage: Stage) -> None:
        await taken_and_kept(stage)
        with pytest.raises(TimeoutError):
            await taken(stage, "c2", within_s=10)
    play_on(scene)


async def taken_and_kept(stage: Stage) -> LeaseStore:
    """By c1, on its own client from then on."""
    store = stage.store("c1")
    grant = await stage.on("c1", store.grant(TTL))
    await stage.on("c1", store.create(KEY, "c1", grant.lease))
    stage.keep("c1", store, grant.lease)
    return store


def test_a_clock_that_is_five_seconds_ahead_takes_a_live_lease_by_the_wall() -> None:
    async def scene(stage: Stage) -> None:
        await stage.cluster.apply(SKEWED)
        await taken_and_kept(stage)
        assert await taken(stage, "c2", within_s=0.1)
    on_wall(scene)


def test_a_renewal_finds_out_that_another_has_taken_it_and_one_whose_answer_was_lost_that_it_has_not() -> None:
    async def scene(stage: Stage) -> None:
        store = stage.store("c1")
        grant = await stage.on("c1", store.grant(TTL))
        token = await stage.on("c1", store.create(KEY, "c1", grant.lease))
        await stage.cluster.apply(Cut((("n1", "c1"),)))
        with pytest.raises(TimeoutError):
            await stage.on("c1", store.keepalive(grant.lease))
        await stage.cluster.lift(Cut((("n1", "c1"),)))
        assert await stage.on("c1", store.keepalive(grant.lease)) == TTL
        assert await stage.on("c2", stage.store("c2").holder(KEY)) == Place(KEY, "c1", token)
        await taken(stage, "c2")
        for work in (store.keepalive(grant.lease), store.keepalive(grant.lease), store.revoke(grant.lease)):
            with pytest.raises(Lost):
                await stage.on("c1", work)
    on_kubernetes(scene)


def test_a_lease_that_is_given_back_is_free_at_once_and_never_taken_from_the_next() -> None:
    async def scene(stage: Stage) -> None:
        store = stage.store("c1")
        grant = await stage.on("c1", store.grant(TTL))
        await stage.on("c1", store.create(KEY, "c1", grant.lease))
        await stage.on("c1", store.revoke(grant.lease))
        assert await stage.on("r", stage.store("r").holder(KEY)) is None
        await taken(stage, "c2", within_s=0.1)
        with pytest.raises(Lost):
            await stage.on("c1", store.revoke(grant.lease))
        unused = await stage.on("c1", store.grant(TTL))
        await stage.on("c1", store.revoke(unused.lease))
        assert (await stage.on("r", stage.store("r").holder(KEY))) == Place(KEY, "c2", 2)
    on_kubernetes(scene)


def test_a_create_whose_answer_was_lost_can_be_given_back() -> None:
    async def scene(stage: Stage) -> None:
        store = stage.store("c1")
        grant = await stage.on("c1", store.grant(TTL))
        creating = stage.begin("c1", store.create(KEY, "c1", grant.lease))
        reader = stage.store("r")
        await stage.until(lambda: stage.on("r", reader.holder(KEY)), within_s=0.1)
        creating.cancel()
        await stage.on("c1", store.revoke(grant.lease))
        assert await stage.on("r", reader.holder(KEY)) is None
    on_kubernetes(scene, network=Network(latency=SLOWLY))


SILENT: list[Fault] = [Kill("c1"), Pause("c1"), between(["c1"], ["n1", "n2", "n3"])]


@pytest.mark.parametrize("fault", SILENT, ids=["killed", "paused", "cut off"])
def test_the_lease_of_a_client_that_falls_silent_is_taken(fault: Fault) -> None:
    async def scene(stage: Stage) -> None:
        await taken_and_kept(stage)
        other = stage.store("c2", "n2")
        place = await stage.on("c2", other.holder(KEY))
        assert place is not None
        waiting = stage.begin("c2", other.gone(place))
        await asyncio.sleep(5)
        assert not waiting.done()
        since = stage.now
        await stage.cluster.apply(fault)
        gone = await stage.until(waiting.done)
        assert TTL - 350 * MS <= gone - since <= TTL + TTL // 10 * 2 + 50 * MS  # seen at one poll, judged at another
    on_kubernetes(scene)


MINORITY = {"killed leader": (Kill("n1"), "n1"), "paused leader": (Pause("n1"), "n1"), "killed follower": (Kill("n2"), "n2"),
            "paused follower": (Pause("n3"), "n3"), "leader cut off": (between(["n1"], ["n2", "n3"]), "n1")}


@pytest.mark.parametrize(("fault", "alone"), MINORITY.values(), ids=MINORITY)
def test_a_minority_that_fails_loses_nothing(fault: Fault, alone: str) -> None:
    async def scene(stage: Stage) -> None:
        await taken_and_kept(stage)
        await asyncio.sleep(1)
        await stage.cluster.apply(fault)
        await asyncio.sleep(2)
        for _ in range(20):
            for node in stage.nodes:
                if node != alone:
                    assert await stage.on("r", stage.store("r", node).holder(KEY)) == Place(KEY, "c1", 1)
            await asyncio.sleep(0.1)
    on_kubernetes(scene)


def test_without_a_quorum_nothing_is_granted_and_with_it_again_all_goes_on() -> None:
    async def scene(stage: Stage) -> None:
        await taken_and_kept(stage)
        apart = [Cut(((a, b),)) for a in stage.nodes for b in stage.nodes if a != b]
        for cut in apart:
            await stage.cluster.apply(cut)
        for node in stage.nodes:
            with pytest.raises(TimeoutError):
                await taken(stage, "c2", node, within_s=4)
        for cut in apart:
            await stage.cluster.lift(cut)
        await asyncio.sleep(1)
        assert await stage.on("r", stage.store("r").holder(KEY)) == Place(KEY, "c1", 1)
    on_kubernetes(scene)


def test_tokens_rise_over_holders_and_one_holders_takings() -> None:
    async def scene(stage: Stage) -> None:
        tokens = []
        for client in ("c1", "c1", "c2", "c1"):
            store = stage.store(client)
            grant = await stage.on(client, store.grant(TTL))
            tokens.append(await stage.on(client, store.create(KEY, client, grant.lease)))
            await stage.on(client, store.keepalive(grant.lease))
            await stage.on(client, store.revoke(grant.lease))
        assert all(a < b for a, b in pairwise(tokens))
    on_kubernetes(scene)


def test_durations_are_whole_seconds_and_there_is_no_queue() -> None:
    assert Kubernetes().lease_problem(2 * S) is None
    assert "whole number of seconds" in (Kubernetes().lease_problem(1500 * MS) or "")
    text = CALM.format(judge="observed", offset="0s", network="{}").replace("careful,", "careful, wait: predecessor,")
    with pytest.raises(BadScenario, match="keeps no queue"):
        scenario(text)


CALM = """
name: storm
cluster: {{kind: simulated, nodes: 3, service: {{kind: kubernetes, judge: {judge}}}, offset: {offset}, network: {network}}}
workload: {{kind: lock, recipe: careful, candidates: 4, ttl: 2s, renew_every: 500ms, write_every: 500ms}}
duration: 40s
nemeses:
  - {{kind: kill, target: any, after: 1s, for: 2s, every: 7s}}
  - {{kind: partition, target: leader, after: 5s, for: 3s, every: 9s}}
  - {{kind: pause, target: any, after: 2s, for: 2500ms, every: 13s}}
  - {{kind: partition, target: "candidate:leader", after: 7s, for: 3s, every: 12s}}
"""
STORM = CALM + """
  - {{kind: pause, target: "candidate:leader", after: 3s, for: 4s, every: 11s}}
  - {{kind: skew, target: "candidate:any", ahead: 5s, after: 4s, for: 5s, every: 9s}}
"""
ROUGH = "{loss: 0.01, duplicate: 0.1, reorder: 0.1}"


@pytest.mark.parametrize("network", ["{}", ROUGH], ids=["plain", "rough"])
@pytest.mark.storm
def test_no_two_lead_whatever_goes_wrong(network: str) -> None:
    text = STORM.format(judge="observed", offset="5s", network=network)
    assert {seed: found for seed in range(100) if (found := failing(text, seed))} == {}


@pytest.mark.storm
def test_clocks_that_drift_less_than_a_careful_leader_allows_for_do_no_harm() -> None:
    text = CALM.format(judge="observed", offset="5s, drift: 0.04", network="{}")
    assert {seed: found for seed in range(15) if (found := failing(text, seed))} == {}


@pytest.mark.parametrize(("judge", "found"), [("wall", "overlap: granted"), ("observed", "")])
def test_judging_by_the_wall_lets_two_hold_where_a_clock_is_wrong(judge: str, found: str) -> None:
    text = CALM[:CALM.index("nemeses:")].format(judge=judge, offset="0s", network="{}") + (
        "nemeses:\n  - {kind: skew, target: 'candidate:followers', ahead: 5s, after: 5s, for: 5s}\n")
    for seed in range(5):
        assert set(failing(text, seed)) == ({found} if found else set())
