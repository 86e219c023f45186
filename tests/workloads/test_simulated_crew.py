"""Candidates as tasks, algorithms as nodes, and the resource, on simulated hosts."""
import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diarchy.clusters import virtual
from diarchy.clusters.simulated.cluster import SimulatedCluster
from diarchy.clusters.simulated.options import Simulated
from diarchy.clusters.simulated.services.lease import Lease
from diarchy.history.faults import Cut, Kill, Pause, Skew
from diarchy.history.op import Op, Recorder
from diarchy.history.units import Duration
from diarchy.workloads.lock import Lock
from diarchy.workloads.memory import MemoryFence
from diarchy.workloads.raft import Raft
from diarchy.workloads.resource import Fence, Write
from diarchy.workloads.simulated import SimulatedCrew

S = 10**9
LOCK = Lock(ttl=Duration(2 * S), renew_every=Duration(S // 2), write_every=Duration(S // 10))
Scene = Callable[[SimulatedCluster, list[Op]], Awaitable[None]]


def play(scene: Scene, workload: Lock | Raft = LOCK, nodes: int = 3, seed: int = 1, drift: float = 0.0) -> list[Op]:
    """The ops of a crew of three candidates, or of an algorithm on the nodes, while a scene is played and after it was stopped."""
    service = Lease() if isinstance(workload, Lock) else None
    cluster = SimulatedCluster(Simulated(nodes=nodes, service=service, drift=drift), seed)
    ops: list[Op] = []
    failures: list[Exception] = []
    recorder = Recorder(lambda: cluster.loop.now)
    recorder.listeners.append(ops.append)

    async def whole() -> None:
        crew = SimulatedCrew(cluster, recorder, failures.append)
        await cluster.start(lambda _: None)
        await crew.resource("resource", Path(), True)
        await crew.spawn(("c1", "c2", "c3") if service else (), workload, "simulated")
        await crew.introduce(cluster.endpoints, "lock")
        crew.go()
        await scene(cluster, ops)
        await crew.stop(3)
    virtual.run(cluster.loop, whole())
    assert failures == []
    return ops


def leader(ops: list[Op]) -> str:
    """Who was elected last."""
    return [op.claimant or "" for op in ops if (op.f, op.type) == ("acquire", "ok")][-1]


def of(ops: list[Op], *f: str, type: str = "ok") -> list[Op]:
    return [op for op in ops if op.f in f and op.type == type]


@pytest.mark.parametrize("workload", [LOCK, Raft()])
def test_one_leader_writes_and_resigns_when_it_is_asked_to_stop(workload: Lock | Raft) -> None:
    async def scene(cluster: SimulatedCluster, ops: list[Op]) -> None:
        await asyncio.sleep(10)
    ops = play(scene, workload)
    (won,), (left,) = of(ops, "acquire"), of(ops, "step-down")
    assert won.claimant == left.claimant
    assert left.value == {"why": "resigned"}
    assert len([op for op in of(ops, "write") if op.process == "resource"]) >= 40
    assert len(of(ops, "exit")) == len(of(ops, "ready")) == 3
    assert all((op.seen or 0) >= op.time for op in ops)


@pytest.mark.parametrize("workload", [LOCK, Raft()])
def test_a_killed_leader_says_nothing_more_and_its_next_boot_is_another_claimant(workload: Lock | Raft) -> None:
    dead: list[tuple[str, int]] = []

    async def scene(cluster: SimulatedCluster, ops: list[Op]) -> None:
        await asyncio.sleep(5)
        who = leader(ops)
        await cluster.apply(Kill(who.partition("#")[0]))
        dead.append((who, len(ops)))
        await asyncio.sleep(5)
        assert leader(ops) != who
        await cluster.lift(Kill(who.partition("#")[0]))
        await asyncio.sleep(5)
    ops = play(scene, workload)
    [(who, count)] = dead
    assert [op for op in ops[count:] if op.claimant == who] == []
    name = who.partition("#")[0]
    assert [op.claimant for op in of(ops, "ready") if op.process == name] == [f"{name}#1", f"{name}#2"]


@pytest.mark.parametrize("workload", [LOCK, Raft()])
def test_a_paused_leader_is_silent_and_steps_down_before_it_writes_again(workload: Lock | Raft) -> None:
    pause: list[int] = []

    async def scene(cluster: SimulatedCluster, ops: list[Op]) -> None:
        await asyncio.sleep(5)
        name = leader(ops).partition("#")[0]
        pause.append(cluster.loop.now)
        await cluster.apply(Pause(name))
        await asyncio.sleep(6)
        pause.append(cluster.loop.now)
        await cluster.lift(Pause(name))
        await asyncio.sleep(5)
    ops = play(scene, workload)
    first, second = of(ops, "acquire")[:2]
    start, end = pause
    own = [op for op in ops if op.claimant == first.claimant]
    assert [op for op in own if start < op.time < end] == []
    left = next(op for op in own if op.f == "step-down")
    assert end <= left.time < end + 10**8
    assert [op for op in own if op.f == "write" and op.type == "invoke" and op.time >= end] == []
    assert second.claimant != first.claimant


def test_a_candidate_by_a_slow_clock_stays_too_long_in_true_time_and_the_history_says_so() -> None:
    async def scene(cluster: SimulatedCluster, ops: list[Op]) -> None:
        await asyncio.sleep(3.2)
        name = leader(ops).partition("#")[0]
        await cluster.apply(Skew(name, drift=-0.5))
        await asyncio.sleep(3)
        await cluster.apply(Cut(tuple((a, b) for n in (*cluster.nodes, "resource") for a, b in ((name, n), (n, name)))))
        await asyncio.sleep(6)
    ops = play(scene)
    won, left = of(ops, "acquire")[0], of(ops, "step-down")[0]
    until = max(op.until or 0 for op in of(ops, "acquire", "renew") if op.claimant == won.claimant)
    assert left.time > until + S
    assert all(op.until == (op.sent or 0) + (op.ttl or 0) for op in of(ops, "acquire", "renew"))
    assert all((op.seen or 0) >= op.time for op in ops)


def test_a_lost_write_is_of_unknown_outcome_and_the_leader_writes_on_as_another_process() -> None:
    async def scene(cluster: SimulatedCluster, ops: list[Op]) -> None:
        await asyncio.sleep(3)
        name = leader(ops).partition("#")[0]
        cut = Cut((("resource", name),))
        await cluster.apply(cut)
        await asyncio.sleep(1.5)
        await cluster.lift(cut)
        await asyncio.sleep(2)
    ops = play(scene, Raft())
    lost = of(ops, "write", type="info")
    assert lost
    assert {op.process for op in ops if op.f == "write" and op.process != "resource"} == {
        f"{lost[0].process.partition('/')[0]}/write" + (f".{number}" if number else "") for number in range(len(lost) + 1)}
    assert [op.id for op in of(ops, "write") if op.id == lost[0].id and op.process == "resource"] == [lost[0].id]


writes = st.lists(st.tuples(st.integers(0, 12), st.none() | st.integers(0, 6)), max_size=30)


@given(writes, st.booleans())
@settings(max_examples=150, deadline=None)
def test_the_resource_in_memory_decides_as_the_one_on_disk(asked: list[tuple[int, int | None]], fenced: bool) -> None:
    disk, memory = Fence(":memory:", fenced), MemoryFence(fenced)
    for id, token in asked:
        write = Write(str(id), token, Random(id).random())
        assert memory.write(write) == disk.write(write)
    assert {"order": memory.order, "fence": memory.fence, "epoch": memory.epoch, "value": memory.value} == disk.state()
    disk.close()
