"""The consistent lease store: who wins, when leases end, and what faults of its nodes may and may not do."""
import asyncio
from functools import partial
from itertools import pairwise

import pytest
from virtual_stage import KEY, MS, TTL, S, Stage, between, ended, failing, held, holder, play

from diarchy.clusters.simulated.network import Network
from diarchy.clusters.simulated.services.lease import Lease
from diarchy.clusters.stores import Lost, Place, Refused
from diarchy.history.faults import Cut, Kill, Pause, Skew

on_lease = partial(play, service=Lease())


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
        assert len(winners) == 1
        assert await holder(stage) == winners[0]
    on_lease(scene, seed=seed)


def test_a_lease_ends_after_its_ttl_and_not_before() -> None:
    async def scene(stage: Stage) -> None:
        sent = stage.now
        await held(stage)
        assert sent + TTL <= await ended(stage) <= sent + TTL + 50 * MS
    on_lease(scene)


def test_a_keepalive_gives_the_whole_ttl_anew() -> None:
    async def scene(stage: Stage) -> None:
        lease, _ = await held(stage)
        store = stage.store("c1", "n3")
        for _ in range(4):
            await asyncio.sleep(1.5)
            sent = stage.now
            assert await stage.on("c1", store.keepalive(lease)) == TTL
        assert sent + TTL <= await ended(stage) <= sent + TTL + 50 * MS
        with pytest.raises(Lost):
            await stage.on("c1", store.keepalive(lease))
    on_lease(scene)


def test_a_revoked_lease_is_gone_at_once_with_its_key() -> None:
    async def scene(stage: Stage) -> None:
        lease, _ = await held(stage)
        store = stage.store("c1")
        await stage.on("c1", store.revoke(lease))
        assert await holder(stage) is None
        for work in (store.revoke(lease), store.keepalive(lease), store.create(KEY, "c1", lease)):
            with pytest.raises(Lost):
                await stage.on("c1", work)
    on_lease(scene)


@pytest.mark.parametrize("fault", [Kill("c1"), Pause("c1"), Cut(tuple(("c1", f"n{i}") for i in (1, 2, 3)))], ids=["killed", "paused", "cut off"])
def test_the_lease_of_a_client_that_falls_silent_ends(fault: Kill | Pause | Cut) -> None:
    async def scene(stage: Stage) -> None:
        lease, _ = await held(stage)
        stage.keep("c1", stage.store("c1", "n2"), lease)
        await asyncio.sleep(5)
        assert await holder(stage) == "c1"
        since = stage.now
        await stage.cluster.apply(fault)
        assert TTL - 350 * MS <= await ended(stage) - since <= TTL + 100 * MS
    on_lease(scene)


FAULTS = [Kill("n1"), Pause("n1"), Kill("n2"), Pause("n3"), between(["n1"], ["n2", "n3"]), between(["n2"], ["n1", "n3"])]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_minority_that_fails_loses_nothing(fault: Kill | Pause | Cut) -> None:
    """The key stays with a client that keeps its lease alive, whichever node fails, during the fault and after it."""
    async def scene(stage: Stage) -> None:
        lease, token = await held(stage)
        keeping = stage.keep("c1", stage.store("c1"), lease)
        await asyncio.sleep(1)
        await stage.cluster.apply(fault)
        await asyncio.sleep(1.5)
        for _ in range(30):
            assert not keeping.done()
            places = [await stage.on("r", stage.store("r", node).holder(KEY)) for node in stage.nodes if answers(stage, node, fault)]
            assert places
            assert {place and place.token for place in places} == {token}
            await asyncio.sleep(0.1)
        await stage.cluster.lift(fault)
        await asyncio.sleep(1.5)
        assert [await holder(stage, node) for node in stage.nodes] == ["c1"] * 3
    on_lease(scene)


def answers(stage: Stage, node: str, fault: Kill | Pause | Cut) -> bool:
    """Whether a node can be asked under this fault of one node."""
    alone = fault.links[0][0] if isinstance(fault, Cut) else fault.host
    return node != alone


def test_without_a_quorum_nothing_is_granted_and_with_it_again_all_goes_on() -> None:
    async def scene(stage: Stage) -> None:
        lease, _ = await held(stage)
        keeping = stage.keep("c1", stage.store("c1"), lease)
        apart = [Cut(((a, b),)) for a in stage.nodes for b in stage.nodes if a != b]
        for cut in apart:
            await stage.cluster.apply(cut)
        for node in stage.nodes:
            store = stage.store("c2", node)
            for work in (store.grant(TTL), store.create(KEY, "c2", lease), store.holder(KEY), store.keepalive(lease)):
                with pytest.raises(TimeoutError):
                    await stage.on("c2", work)
        for cut in apart:
            await stage.cluster.lift(cut)
        await asyncio.sleep(1)
        assert await holder(stage) == "c1"  # elected anew after so long, the leader gave every lease its whole time
        keeping.cancel()
        await ended(stage)
    on_lease(scene)


def test_a_leader_that_is_cut_off_is_replaced_after_the_election_time_and_claims_on_until_it_hears_of_it() -> None:
    async def scene(stage: Stage) -> None:
        cut = between(["n1"], ["n2", "n3"])
        await stage.cluster.apply(cut)
        since = stage.now
        assert S <= await stage.until(lambda: len(stage.leaders) == 2) - since <= S + 250 * MS
        assert stage.service.observe("n2").term == 2
        assert stage.service.observe("n1").term == 1
        await stage.cluster.lift(cut)
        await stage.until(lambda: stage.leaders == ["n2"], within_s=0.3)
    on_lease(scene)


def test_a_leader_that_was_restarted_is_elected_anew_before_it_leads() -> None:
    async def scene(stage: Stage) -> None:
        lease, token = await held(stage, node="n2")
        await stage.faulted(Kill("n1"), 0.3)
        assert stage.leaders == []
        await stage.until(lambda: stage.leaders == ["n1"], within_s=0.3)
        assert stage.service.observe("n1").term == 2
        began, store = stage.now, stage.store("c1", "n2")
        assert await stage.on("c1", store.holder(KEY)) == Place(KEY, "c1", token)
        assert began + TTL - 50 * MS <= await ended(stage, "n2") <= began + TTL + 100 * MS
        with pytest.raises(Lost):
            await stage.on("c1", store.keepalive(lease))
    on_lease(scene)


def test_a_node_that_was_restarted_without_a_majority_does_not_lead() -> None:
    async def scene(stage: Stage) -> None:
        for node in stage.nodes:
            await stage.cluster.apply(Kill(node))
        await stage.cluster.lift(Kill("n1"))
        await asyncio.sleep(5)
        assert stage.leaders == []
        await stage.cluster.lift(Kill("n2"))
        await stage.until(lambda: stage.leaders, within_s=0.3)
    on_lease(scene)


def test_a_new_leader_gives_every_lease_its_whole_time_anew() -> None:
    async def scene(stage: Stage) -> None:
        await held(stage)
        await stage.cluster.apply(Kill("n1"))
        elected = await stage.until(lambda: stage.leaders)
        assert elected + TTL - 10 * MS <= await ended(stage, "n2") <= elected + TTL + 50 * MS
    on_lease(scene)


def test_an_old_leader_that_wakes_up_ends_nothing() -> None:
    async def scene(stage: Stage) -> None:
        lease, _ = await held(stage, node="n2")
        stage.keep("c1", stage.store("c1", "n2"), lease)
        for _ in range(3):
            await stage.faulted(Pause("n1"), 5)
            for _ in range(30):
                assert await holder(stage, "n2") == "c1"
                await asyncio.sleep(0.1)
    on_lease(scene)


def test_tokens_rise_over_holders_leaders_and_restarts() -> None:
    async def scene(stage: Stage) -> None:
        tokens = []
        for node in ("n1", "n2", "n3", "n1"):
            lease, token = await held(stage, node=node)
            tokens.append(token)
            await stage.on("c1", stage.store("c1", node).revoke(lease))
            await stage.faulted(Kill(stage.leaders[0]), 2)
            await stage.until(lambda: stage.leaders)
        assert all(a < b for a, b in pairwise(tokens))
    on_lease(scene)


def test_the_queue_is_in_the_order_of_arrival_and_closes_up() -> None:
    async def scene(stage: Stage) -> None:
        leases, places = [], []
        for i in range(5):
            store = stage.store(f"c{i}", stage.nodes[i % 3])
            grant = await stage.on(f"c{i}", store.grant(60 * S))
            leases.append(grant.lease)
            places.append(await stage.on(f"c{i}", store.enqueue(KEY, f"c{i}", grant.lease)))
        reader = stage.store("r", "n2")
        assert list(await stage.on("r", reader.queue(KEY))) == places
        assert all(a.token < b.token for a, b in pairwise(places) if a.token and b.token)
        await stage.on("c2", stage.store("c2").revoke(leases[2]))
        assert list(await stage.on("r", reader.queue(KEY))) == [*places[:2], *places[3:]]
        assert await stage.on("r", reader.holder(KEY)) is None
    on_lease(scene)


def test_a_watch_tells_of_the_end_of_that_very_key() -> None:
    async def scene(stage: Stage) -> None:
        lease, token = await held(stage)
        place = Place(KEY, "c1", token)
        watching = [stage.begin(f"w{i}", stage.store(f"w{i}", node).gone(place)) for i, node in enumerate(stage.nodes)]
        again = [stage.begin("w0", stage.store("w0").gone(place)) for _ in range(3)]
        await asyncio.sleep(1)
        assert not any(task.done() for task in watching)
        await stage.on("c1", stage.store("c1").revoke(lease))
        await asyncio.sleep(0.02)
        assert [task.done() for task in watching] == [False, True, True]
        assert [task.done() for task in again] == [False, False, True]  # the newest of a client's equal watches
        await held(stage, "c2")
        await stage.on("w9", stage.store("w9").gone(place))
    on_lease(scene)


@pytest.mark.parametrize("seed", range(10))
def test_what_a_link_doubles_is_done_once(seed: int) -> None:
    """An answer that says `refused` to the one who has it would be a lie in the history."""
    async def scene(stage: Stage) -> None:
        for i in range(20):
            lease, _ = await held(stage, f"c{i}", stage.nodes[i % 3])
            await stage.on(f"c{i}", stage.store(f"c{i}").revoke(lease))
    on_lease(scene, seed=seed, network=Network(duplicate=0.5, reorder=0.5))


@pytest.mark.parametrize("drift", [0.05, -0.05])
def test_leases_end_by_the_leaders_clock(drift: float) -> None:
    async def scene(stage: Stage) -> None:
        await stage.cluster.apply(Skew("n1", 3600 * S, drift))
        sent = stage.now
        await held(stage)
        assert abs(await ended(stage) - sent - TTL / (1 + drift)) < 50 * MS
    on_lease(scene)


CALM = """
name: storm
cluster: {{kind: simulated, nodes: 3, service: {{kind: lease}}, offset: 5s, network: {network}}}
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
    text = CALM.format(wait="holder", network="{}") + f"  - {{kind: skew, target: nodes, at: 0s, drift: {drift}}}\n"
    assert {seed: found for seed in range(15) if (found := failing(text, seed))} == {}
