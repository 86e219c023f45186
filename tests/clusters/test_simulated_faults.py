"""Every fault of the simulated cluster bites, and heals."""
import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from diarchy.clusters import virtual
from diarchy.clusters.simulated.cluster import SimulatedCluster
from diarchy.clusters.simulated.network import Network
from diarchy.clusters.simulated.options import Simulated
from diarchy.history.faults import Cut, Fault, Kill, Pause, Reset, Skew, Slow, Stall
from diarchy.history.units import Duration

MS, S = 10**6, 10**9
THERE = (("n1", "n2"),)


def on(scene: Callable[[SimulatedCluster], Awaitable[None]], network: Network = Network(), seed: int = 1) -> None:
    """Play a scene on three nodes without a service."""
    cluster = SimulatedCluster(Simulated(nodes=3, network=network), seed)

    async def play() -> None:
        await scene(cluster)
    virtual.run(cluster.loop, play())


async def heard(cluster: SimulatedCluster, source: str = "n1", target: str = "n2", count: int = 1) -> list[int]:
    """How long each of so many messages took that arrived within a second, ns."""
    arrived: list[int] = []
    sent = cluster.loop.now
    for _ in range(count):
        cluster.world.send(source, target, lambda: arrived.append(cluster.loop.now - sent))
    await asyncio.sleep(1)
    return arrived


@pytest.mark.parametrize("fault", [Cut(THERE), Cut(THERE, "packets"), Reset(THERE)])
def test_a_cut_link_loses_what_is_sent_in_its_direction_until_it_is_healed(fault: Fault) -> None:
    async def scene(cluster: SimulatedCluster) -> None:
        assert (await cluster.apply(fault)).bit
        assert await heard(cluster) == []
        assert len(await heard(cluster, "n2", "n1")) == len(await heard(cluster, "n1", "n3")) == 1
        await cluster.lift(fault)
        assert len(await heard(cluster)) == 1
    on(scene)


def test_two_cuts_of_one_link_are_healed_by_both_being_lifted() -> None:
    async def scene(cluster: SimulatedCluster) -> None:
        await cluster.apply(Cut(THERE))
        await cluster.apply(Cut((("n1", "n2"), ("n1", "n3"))))
        await cluster.lift(Cut(THERE))
        assert await heard(cluster) == []
        await cluster.lift(Cut((("n1", "n2"), ("n1", "n3"))))
        assert len(await heard(cluster)) == 1
    on(scene)


def test_a_stalled_link_delivers_late_what_it_has_held() -> None:
    async def scene(cluster: SimulatedCluster) -> None:
        await cluster.apply(Stall(THERE))
        arrived: list[int] = []
        cluster.world.send("n1", "n2", lambda: arrived.append(cluster.loop.now))
        await asyncio.sleep(5)
        assert arrived == []
        await cluster.lift(Stall(THERE))
        await asyncio.sleep(0.01)
        assert 5 * S <= arrived[0] <= 5 * S + 3 * MS
    on(scene)


def test_a_slowed_link_takes_its_time_in_that_direction_alone() -> None:
    async def scene(cluster: SimulatedCluster) -> None:
        slow = Slow(THERE, latency=300 * MS, jitter=100 * MS)
        await cluster.apply(slow)
        times = await heard(cluster, count=200)
        assert min(times) >= 200 * MS
        assert max(times) <= 402 * MS
        assert max(times) - min(times) > 190 * MS
        assert max(await heard(cluster, "n2", "n1")) <= 2 * MS
        await cluster.lift(slow)
        assert max(await heard(cluster)) <= 2 * MS
    on(scene)


def test_bandwidth_is_a_delay_of_each_message() -> None:
    async def scene(cluster: SimulatedCluster) -> None:
        await cluster.apply(Slow(THERE, bandwidth=4))
        assert 250 * MS < (await heard(cluster))[0] <= 252 * MS
    on(scene)


def test_what_reaches_a_paused_host_waits_and_its_clock_goes_on() -> None:
    async def scene(cluster: SimulatedCluster) -> None:
        host, rang = cluster.world.host("n2"), list[int]()
        host.after(S, lambda: rang.append(cluster.loop.now))
        assert (await cluster.apply(Pause("n2"))).host == "n2#1"
        arrived = await heard(cluster)
        await asyncio.sleep(2)
        assert (arrived, rang) == ([], [])
        assert host.now() == cluster.loop.now == 3 * S
        await cluster.lift(Pause("n2"))
        await asyncio.sleep(0.001)
        assert (arrived, rang) == ([3 * S], [3 * S])
        assert host.claimant == "n2#1"
    on(scene)


def test_what_reaches_a_dead_host_is_lost_and_a_start_is_another_boot() -> None:
    async def scene(cluster: SimulatedCluster) -> None:
        host, told = cluster.world.host("n2"), list[str]()
        host.killed.append(lambda: told.append("killed"))
        host.started.append(lambda: told.append("started"))
        host.after(S, lambda: told.append("rang"))
        await cluster.apply(Kill("n2"))
        arrived = await heard(cluster)
        realised = await cluster.lift(Kill("n2"))
        await asyncio.sleep(2)
        assert (arrived, told, realised.host, realised.bit) == ([], ["killed", "started"], "n2#2", True)
        assert len(await heard(cluster)) == 1
    on(scene)


def test_a_host_that_was_paused_and_killed_comes_back_paused_until_both_are_lifted() -> None:
    async def scene(cluster: SimulatedCluster) -> None:
        host = cluster.world.host("n2")
        for fault in (Pause("n2"), Kill("n2")):
            await cluster.apply(fault)
        await cluster.lift(Kill("n2"))
        assert (host.awake, host.dead, host.boot) == (False, False, 2)
        await cluster.lift(Pause("n2"))
        assert host.awake
    on(scene)


def test_a_wall_clock_jumps_and_comes_back_the_monotonic_one_does_not() -> None:
    async def scene(cluster: SimulatedCluster) -> None:
        host = cluster.world.host("n2")
        await asyncio.sleep(1)
        realised = await cluster.apply(Skew("n2", offset=10 * S))
        assert (host.wall(), host.now(), realised.offset) == (11 * S, S, 10 * S)
        await cluster.lift(Skew("n2", offset=10 * S))
        assert (host.wall(), host.now()) == (S, S)
    on(scene)


def test_a_fast_clock_runs_fast_from_the_skew_to_its_lifting_and_keeps_what_it_gained() -> None:
    async def scene(cluster: SimulatedCluster) -> None:
        host = cluster.world.host("n2")
        await asyncio.sleep(1)
        await cluster.apply(Skew("n2", drift=0.5))
        rang: list[int] = []
        host.after(3 * S, lambda: rang.append(cluster.loop.now))
        await asyncio.sleep(2)
        assert (host.now(), rang) == (4 * S, [3 * S])
        assert host.clock.true(4 * S) == 3 * S
        await cluster.lift(Skew("n2", drift=0.5))
        await asyncio.sleep(1)
        assert host.now() == 5 * S
    on(scene)


def test_clocks_are_off_by_dice_within_what_the_scenario_says() -> None:
    cluster = SimulatedCluster(Simulated(nodes=15, drift=0.01, offset=Duration.parse("2s")), 3)
    rates = [cluster.world.host(node).clock.rate for node in cluster.nodes]
    offsets = [cluster.world.host(node).clock.offset for node in cluster.nodes]
    assert len(set(rates)) == len(set(offsets)) == 15
    assert 0.99 <= min(rates) < 1 < max(rates) <= 1.01
    assert -2 * S <= min(offsets) < 0 < max(offsets) <= 2 * S


@pytest.mark.parametrize(("network", "least", "most"), [(Network(loss=0.3), 550, 850), (Network(duplicate=0.3), 1150, 1450), (Network(), 1000, 1000)])
def test_messages_are_lost_and_doubled_as_often_as_the_scenario_says(network: Network, least: int, most: int) -> None:
    async def scene(cluster: SimulatedCluster) -> None:
        assert least <= len(await heard(cluster, count=1000)) <= most
    on(scene, network)


def test_messages_that_are_held_back_are_overtaken() -> None:
    async def order(cluster: SimulatedCluster) -> list[int]:
        arrived: list[int] = []
        for number in range(100):
            cluster.world.send("n1", "n2", arrived.append, number)
            await asyncio.sleep(0.002)
        await asyncio.sleep(1)
        return arrived

    async def even(cluster: SimulatedCluster) -> None:
        assert await order(cluster) == list(range(100))

    async def uneven(cluster: SimulatedCluster) -> None:
        arrived = await order(cluster)
        assert sorted(arrived) == list(range(100))
        assert arrived != list(range(100))
    on(even, Network(latency=Duration(MS), jitter=Duration(MS)))
    on(uneven, Network(latency=Duration(MS), jitter=Duration(MS), reorder=0.2))


@pytest.mark.parametrize(("distribution", "longest"), [("uniform", 11 * MS), ("exponential", 200 * MS)])
def test_delays_are_spread_as_the_scenario_says(distribution: Any, longest: int) -> None:
    async def scene(cluster: SimulatedCluster) -> None:
        times = await heard(cluster, count=5000)
        mean = sum(times) / len(times) - MS
        assert MS <= min(times) < 1.1 * MS
        assert max(times) <= longest
        assert (4.7 * MS < mean < 5.3 * MS) if distribution == "uniform" else (9.4 * MS < mean < 10.6 * MS and max(times) > 50 * MS)
    on(scene, Network(latency=Duration(MS), jitter=Duration(10 * MS), distribution=distribution))


def test_what_other_links_carry_does_not_change_a_link_s_dice() -> None:
    delays: list[list[int]] = []

    async def alone(cluster: SimulatedCluster) -> None:
        delays.append(await heard(cluster, "n1", "n2", 50))

    async def beside_others(cluster: SimulatedCluster) -> None:
        await heard(cluster, "n3", "n1", 70)
        delays.append(await heard(cluster, "n1", "n2", 50))
        delays.append(await heard(cluster, "n2", "n1", 50))
    on(alone)
    on(beside_others)
    assert delays[0] == delays[1] != delays[2]
