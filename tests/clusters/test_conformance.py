"""What every real cluster promises: a fault bites as asked, in the direction asked, is verified, and is undone."""
import asyncio
import random
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from diarchy.clusters.cluster import ClusterError
from diarchy.clusters.docker.probe import http_get
from diarchy.history.faults import Cut, Fault, Kill, Pause, Realised, Reset, Slow, Stall

pytestmark = pytest.mark.docker

MS = 1_000_000


def both(a: str, b: str) -> tuple[tuple[str, str], ...]:
    return (a, b), (b, a)


def around(node: str, others: Any) -> tuple[tuple[str, str], ...]:
    return tuple(link for other in others if other != node for link in both(node, other))


async def apply(real: Any, fault: Fault) -> Realised:
    realised: Realised = await real.cluster.apply(fault)
    assert realised.bit, realised.evidence
    return realised


async def lift(real: Any, fault: Fault) -> Realised:
    realised: Realised = await real.cluster.lift(fault)
    assert realised.bit, realised.evidence
    return realised


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]


def test_a_cut_of_both_directions_is_silent_and_heals(healed: Any) -> None:
    async def check() -> None:
        address, fault = healed.cluster.endpoints("c1").nodes["n1"], Cut(both("c1", "n1"))
        await healed.backend.write(healed, address, "before")
        assert "silent" in (await apply(healed, fault)).evidence
        assert await healed.silent(healed.backend.write(healed, address, "during"))
        await healed.backend.write(healed, healed.cluster.endpoints("c2").nodes["n1"], "other-candidate")
        await healed.backend.write(healed, healed.cluster.endpoints("c1").nodes["n2"], "other-node")
        assert "no toxic read back" in (await lift(healed, fault)).evidence
        await healed.backend.write(healed, address, "after")
        assert not await healed.backend.read(healed, healed.node("n1"), "during")

    healed.run(check())


@pytest.mark.parametrize(("link", "arrives"), [(("c1", "n1"), False), (("n1", "c1"), True)])
def test_a_one_way_cut_is_one_way(healed: Any, link: tuple[str, str], arrives: bool) -> None:
    """Cut towards the node, the request is lost; cut from the node, it is done and only its answer is lost."""

    async def check() -> None:
        key = f"one-way-{arrives}"
        await apply(healed, Cut((link,)))
        assert await healed.silent(healed.backend.write(healed, healed.cluster.endpoints("c1").nodes["n1"], key))
        assert await healed.backend.read(healed, healed.node("n1"), key) is arrives
        await lift(healed, Cut((link,)))

    healed.run(check())


@pytest.mark.parametrize(("link", "arrives"), [(("n1", "n2"), False), (("n2", "n1"), True)])
def test_a_one_way_cut_between_nodes_is_one_way(healed: Any, link: tuple[str, str], arrives: bool) -> None:
    """A message from n1's side with a cluster id of its own: n2 complains of it in its log if, and only if, it arrives."""

    async def check() -> None:
        deployment = healed.cluster._deployment
        probe = deployment.mesh._routes["n1-n2-2380"].probe
        mark = "ab12" if arrives else "cd34"
        await apply(healed, Cut((link,)))
        headers = {"X-Etcd-Cluster-ID": mark, "X-Server-From": mark}
        assert await healed.silent(healed.post(probe, "/raft", {}, headers))
        logged = deployment.client.api.logs(deployment.containers["n2"]).decode()
        assert (f'"{mark}"' in logged) is arrives
        await lift(healed, Cut((link,)))

    healed.run(check())


def test_a_stall_delivers_late(healed: Any) -> None:
    async def check() -> None:
        fault = Stall((("c1", "resource"),))
        address = healed.cluster.endpoints("c1").resource
        await healed.post(address, "/write", {"id": "prompt"})
        await apply(healed, fault)
        assert await healed.silent(healed.post(address, "/write", {"id": "late"}))
        assert "late" not in healed.resource.arrived
        lifted = asyncio.get_running_loop().time()
        await lift(healed, fault)

        async def arrived() -> bool:
            return "late" in healed.resource.arrived

        await healed.eventually(arrived, 2)
        assert healed.resource.arrived["late"] >= lifted

    healed.run(check())


def test_what_a_stall_held_is_lost_when_a_cut_outlives_it(healed: Any) -> None:
    """A cut must not let go of the bytes held, neither when it comes nor when the stall before it ends."""

    async def check() -> None:
        link = (("c1", "resource"),)
        address = healed.cluster.endpoints("c1").resource
        await apply(healed, Stall(link))
        assert await healed.silent(healed.post(address, "/write", {"id": "held"}))
        await apply(healed, Cut(link))
        await lift(healed, Stall(link))
        assert await healed.silent(healed.post(address, "/write", {"id": "cut"}))
        await lift(healed, Cut(link))
        await healed.post(address, "/write", {"id": "healed"})
        assert not {"held", "cut"} & set(healed.resource.arrived)

    healed.run(check())


def test_a_stall_held_through_a_cut_still_delivers(healed: Any) -> None:
    async def check() -> None:
        link = (("c1", "resource"),)
        address = healed.cluster.endpoints("c1").resource
        await apply(healed, Slow(link, latency=20 * MS))
        await apply(healed, Stall(link))
        assert await healed.silent(healed.post(address, "/write", {"id": "through"}))
        await apply(healed, Cut(link))
        await lift(healed, Cut(link))
        await lift(healed, Slow(link, latency=20 * MS))
        assert "through" not in healed.resource.arrived
        await lift(healed, Stall(link))

        async def arrived() -> bool:
            return "through" in healed.resource.arrived

        await healed.eventually(arrived, 2)

    healed.run(check())


def test_a_stall_between_nodes_longer_than_their_patience_is_lifted_at_once(healed: Any) -> None:
    """etcd gives a silent stream up after 5 s; bytes held for a connection that is gone must not hold up the lift."""

    async def check() -> None:
        leader = await healed.leader()
        fault = Stall(around(leader, healed.cluster.nodes))
        await apply(healed, fault)
        await asyncio.sleep(7)
        began = asyncio.get_running_loop().time()
        await lift(healed, fault)
        assert asyncio.get_running_loop().time() - began < 3
        await healed.leader()

    healed.run(check())


@pytest.mark.parametrize("links", [(("c1", "n1"),), (("n1", "c1"),), both("c1", "n1")])
def test_a_slow_link_is_slow_by_as_much_as_asked(healed: Any, links: tuple[tuple[str, str], ...]) -> None:
    async def check() -> None:
        loop = asyncio.get_running_loop()
        fault = Slow(links, latency=150 * MS)
        await apply(healed, fault)
        began = loop.time()
        await healed.backend.write(healed, healed.cluster.endpoints("c1").nodes["n1"], "slow")
        took = loop.time() - began
        assert 0.149 * len(links) <= took < 0.149 * len(links) + 0.3
        await lift(healed, fault)

    healed.run(check())


def test_latencies_of_two_owners_add_up(healed: Any) -> None:
    async def check() -> None:
        one, other = Slow(both("n1", "n2"), latency=40 * MS), Slow((("n1", "n2"),), latency=60 * MS, jitter=10 * MS)
        await apply(healed, one)
        realised = await apply(healed, other)
        assert "at least 130 ms asked" in realised.evidence
        await lift(healed, one)
        assert "at least 50 ms asked" in (await healed.cluster._deployment.mesh.verify(other.links)).evidence
        await lift(healed, other)

    healed.run(check())


def test_a_limit_of_bandwidth_holds(healed: Any) -> None:
    async def check() -> None:
        fault = Slow((("c1", "resource"),), bandwidth=50)
        await apply(healed, fault)
        began = asyncio.get_running_loop().time()
        await healed.post(healed.cluster.endpoints("c1").resource, "/write", {"id": "wide", "value": "x" * 30_000})
        assert asyncio.get_running_loop().time() - began >= 0.5
        await lift(healed, fault)

    healed.run(check())


@pytest.mark.parametrize("link", [("c1", "resource"), ("resource", "c1")])
def test_a_reset_link_resets(healed: Any, link: tuple[str, str]) -> None:
    async def check() -> None:
        address = healed.cluster.endpoints("c1").resource
        reader, writer = await asyncio.open_connection(*address.split(":"))
        writer.write(http_get("/state"))
        assert await reader.readuntil(b"}")
        assert "closed" in (await apply(healed, Reset((link,)))).evidence
        writer.write(http_get("/state"))
        async with asyncio.timeout(1):
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await reader.readuntil(b"}")
        writer.transport.abort()
        with pytest.raises((aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
            await healed.post(address, "/write", {"id": "reset"})
        await lift(healed, Reset((link,)))
        await healed.post(address, "/write", {"id": "not-reset"})

    healed.run(check())


def test_a_paused_node_is_in_state_t_and_does_not_answer(healed: Any) -> None:
    async def check() -> None:
        pid = healed.container("n1")["State"]["Pid"]
        realised = await apply(healed, Pause("n1"))
        assert (realised.host, realised.pids) == ("n1", (pid,))
        assert state_of(pid) == "T"
        with pytest.raises(TimeoutError):
            await healed.cluster.observe("n1")
        cut = Cut(both("c1", "n1"))
        assert "does not answer without the link" in (await apply(healed, cut)).evidence
        await lift(healed, cut)
        await lift(healed, Pause("n1"))
        assert state_of(pid) != "T"
        await healed.cluster.observe("n1")

    healed.run(check())


def test_a_killed_node_is_dead_and_comes_back_with_its_data(healed: Any) -> None:
    async def check() -> None:
        await healed.backend.write(healed, healed.node("n2"), "durable")
        boot = int((await healed.cluster.observe("n2")).claimant.partition("#")[2])
        realised = await apply(healed, Kill("n2"))
        assert "status 137" in realised.evidence
        assert not Path(f"/proc/{realised.pids[0]}").exists()
        with pytest.raises((aiohttp.ClientError, TimeoutError)):
            await healed.cluster.observe("n2")
        cut = Cut(around("n2", healed.cluster.nodes))
        began = asyncio.get_running_loop().time()
        await apply(healed, cut)
        await lift(healed, cut)
        assert asyncio.get_running_loop().time() - began < 2
        await lift(healed, Kill("n2"))

        async def back() -> bool:
            try:
                return bool((await healed.cluster.observe("n2")).claimant == f"n2#{boot + 1}")
            except (aiohttp.ClientError, TimeoutError):
                return False

        await healed.eventually(back, 10)
        assert await healed.backend.read(healed, healed.node("n2"), "durable")
        await healed.backend.write(healed, healed.cluster.endpoints("c1").nodes["n2"], "through-the-link-again")

    healed.run(check())


def test_one_owners_healing_leaves_the_others_cut(healed: Any) -> None:
    async def check() -> None:
        address = healed.cluster.endpoints("c1").nodes["n1"]
        mine, theirs = Cut(both("c1", "n1")), Cut((("c1", "n1"), ("c1", "n2")))
        await apply(healed, mine)
        await apply(healed, theirs)
        await lift(healed, mine)
        assert await healed.silent(healed.backend.write(healed, address, "still-cut"))
        await lift(healed, theirs)
        await healed.backend.write(healed, address, "healed-twice")

    healed.run(check())


def test_pauses_count_and_a_kill_wins_over_them(healed: Any) -> None:
    async def check() -> None:
        await apply(healed, Pause("n3"))
        assert "already paused" in (await apply(healed, Pause("n3"))).evidence
        await apply(healed, Kill("n3"))
        assert not healed.container("n3")["State"]["Running"]
        assert "still dead" in (await lift(healed, Pause("n3"))).evidence
        realised = await lift(healed, Kill("n3"))
        assert state_of(healed.container("n3")["State"]["Pid"]) == "T", realised.evidence
        assert not (await healed.cluster.lift(Kill("n3"))).pids
        await lift(healed, Pause("n3"))
        await healed.eventually(answers, 20)

    async def answers() -> bool:
        """It was stopped while it started, and has that to finish first."""
        try:
            await healed.cluster.observe("n3")
        except (OSError, TimeoutError, aiohttp.ClientError):
            return False
        return True

    healed.run(check())


@pytest.mark.parametrize("how", ["drop", "packets"])
def test_an_isolated_leader_is_replaced_by_the_others(healed: Any, how: str) -> None:
    async def check() -> None:
        leader = await healed.leader()
        others = [node for node in healed.cluster.nodes if node != leader]
        fault = Cut(around(leader, others), how)
        await apply(healed, fault)
        await healed.eventually(lambda: healed.leads(*others), 8)
        await lift(healed, fault)

        async def agreed() -> bool:
            found = [await healed.cluster.observe(node) for node in healed.cluster.nodes]
            return sum(one.leads for one in found) == 1 and len({one.term for one in found}) == 1

        await healed.eventually(agreed, 10)

    healed.run(check())


def test_dropped_packets_survive_a_restart_of_the_node(healed: Any) -> None:
    async def check() -> None:
        fault = Cut(around("n1", healed.cluster.nodes), "packets")
        await apply(healed, Kill("n1"))
        assert "n1 is dead" in (await apply(healed, fault)).evidence
        await lift(healed, fault)
        await apply(healed, fault)
        await lift(healed, Kill("n1"))
        seen = await healed.cluster._deployment.packets.verify(fault.links)
        assert seen.as_wanted, seen.evidence
        assert "no connection" in seen.evidence
        await lift(healed, fault)

    healed.run(check())


@pytest.mark.parametrize("fault", [
    Cut((("c1", "n1"),)), Stall((("n1", "n2"),)), Reset((("c1", "n1"),)), Slow((("n1", "c1"),), latency=100 * MS),
])
def test_a_fault_on_a_link_that_did_not_bite_says_so(healed: Any, fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Toxiproxy that takes orders and does nothing."""

    async def check() -> None:
        monkeypatch.setattr(healed.cluster._deployment.mesh.toxiproxy, "add", lambda *_: None)
        realised = await healed.cluster.apply(fault)
        assert not realised.bit
        assert "answered in" in realised.evidence
        assert "found no toxic" in realised.evidence
        monkeypatch.undo()
        await lift(healed, fault)

    healed.run(check())


def test_a_lift_that_left_a_toxic_says_so(healed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        fault = Cut(both("c1", "n1"))
        await apply(healed, fault)
        monkeypatch.setattr(healed.cluster._deployment.mesh.toxiproxy, "remove", lambda *_: None)
        realised = await healed.cluster.lift(fault)
        assert not realised.bit
        assert "silent" in realised.evidence
        monkeypatch.undo()
        toxiproxy = healed.cluster._deployment.mesh.toxiproxy
        for toxic in toxiproxy.read("c1-n1")[1]:
            toxiproxy.remove("c1-n1", toxic)
        await apply(healed, fault)
        await lift(healed, fault)

    healed.run(check())


def test_a_node_that_ended_by_itself_is_neither_paused_nor_resumed(healed: Any) -> None:
    async def check() -> None:
        deployment = healed.cluster._deployment
        deployment.client.api.kill(deployment.containers["n3"], signal="SIGKILL")
        realised = await healed.cluster.apply(Pause("n3"))
        assert (realised.bit, realised.pids) == (False, ())
        assert "exited, status 137" in realised.evidence
        assert "nothing to undo" in (await lift(healed, Pause("n3"))).evidence
        assert "was not running" in (await apply(healed, Kill("n3"))).evidence
        await lift(healed, Kill("n3"))
        seen = await deployment.mesh.verify([("n1", "n3"), ("n2", "n3"), ("c1", "n3")])
        assert seen.as_wanted, seen.evidence

    healed.run(check())


def test_faults_of_many_owners_at_once_end_clean(healed: Any) -> None:
    """Six owners apply and lift, each in its own order, on the same links and hosts: then nothing is left of it."""
    ab, ac, cr = both("n1", "n2"), both("c1", "n1"), both("c1", "resource")
    owners: list[list[Fault]] = [
        [Cut(ab), Slow(ac, latency=30 * MS), Pause("n2")], [Stall(ab), Cut(ac)], [Slow(ab, latency=20 * MS), Stall(cr), Kill("n2")],
        [Reset(ac), Cut(cr)], [Pause("n2"), Stall(ac)], [Cut(ab, "packets"), Slow(cr, bandwidth=100)],
    ]

    async def owner(number: int, faults: list[Fault]) -> None:
        dice = random.Random(number)
        for _ in range(2):
            in_force: list[Fault] = []
            for fault in faults:
                await healed.cluster.apply(fault)
                in_force.append(fault)
                await asyncio.sleep(dice.random() / 5)
            dice.shuffle(in_force)
            for fault in in_force:
                await healed.cluster.lift(fault)

    async def check() -> None:
        await asyncio.gather(*(owner(number, faults) for number, faults in enumerate(owners)))
        deployment = healed.cluster._deployment
        assert deployment.ledger.active == ()
        seen = await deployment.mesh.verify([*ab, *ac, *cr])
        assert seen.as_wanted, seen.evidence
        seen = await deployment.packets.verify(ab)
        assert seen.as_wanted, seen.evidence
        assert state_of(healed.container("n2")["State"]["Pid"]) != "T"
        await healed.leader()

    healed.run(check())


def test_what_cannot_be_done_is_refused_before_anything_is_done(healed: Any) -> None:
    async def check() -> None:
        refused = {
            Cut(both("c1", "n1"), "packets"): "iptables cannot tell",
            Cut((("c1", "c2"),)): "no link from c1 to c2",
            Cut((("n1", "n2"),), "scissors"): "`drop` or by `packets`",
            Pause("c1"): "nothing called c1",
        }
        for fault, text in refused.items():
            with pytest.raises(ClusterError, match=text):
                await healed.cluster.apply(fault)
        assert healed.cluster._deployment.ledger.active == ()
        assert "not in force" in (await healed.cluster.lift(Kill("n1"))).evidence

    healed.run(check())


def test_logs_and_versions(healed: Any, tmp_path: Path) -> None:
    versions = healed.run(healed.cluster.versions())
    assert set(versions) == {"etcd", "toxiproxy", "docker"}
    assert all(text[0].isdigit() for text in versions.values()), versions
    healed.run(healed.cluster.logs(tmp_path))
    for name in (*healed.cluster.nodes, "toxiproxy"):
        first = (tmp_path / f"{name}.log").read_text(encoding="utf-8").splitlines()[0]
        assert first.startswith("20"), first


def test_all_is_as_before(healed: Any) -> None:
    """Last: no toxic, no proxy that does not listen, one leader, and every link answers."""

    async def check() -> None:
        mesh = healed.cluster._deployment.mesh
        assert {mesh.toxiproxy.read(name) for name in mesh._routes} == {(True, frozenset())}
        seen = await mesh.verify([link for route in mesh._routes.values() for link in route.links()])
        assert seen.as_wanted, seen.evidence

    healed.run(check())
