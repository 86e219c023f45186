"""The lease lock over a store in memory and over etcd: the same scenes for both."""
import asyncio
import time
from collections import deque
from collections.abc import Callable
from itertools import count, pairwise

import pytest
from recipe_stage import MS, Faulty, Memory, MemoryStore, S, Scene, Stage

from diarchy.clusters.stores import Grant, Place
from diarchy.history.op import Op
from diarchy.history.units import Duration
from diarchy.workloads.office import Office, margin
from diarchy.workloads.resource import Write
from diarchy.workloads.session import Answer

Play = Callable[[Scene], None]
TTL = 1.0
LONG = Duration(10 * S)


def pause_of_the_process(seconds: float) -> None:
    """What SIGSTOP does to everything in this process."""
    time.sleep(seconds)


def test_the_first_thing_in_office_is_a_write_with_the_token(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.candidate("c1")
        stage.begin("c1")
        acquired = await stage.op("acquire", "ok")
        await stage.op("renew", "ok")
        invoke, after = stage.ops[acquired.of or 0], stage.ops[acquired.index + 1]
        assert (after.f, after.type, after.token, after.tenure) == ("write", "invoke", acquired.token, invoke.index)
        assert acquired.sent is not None
        assert acquired.ttl == S
        assert acquired.until == acquired.sent + S
        assert acquired.sent < invoke.time

    play(scene)


def test_renewals_carry_the_deadline_on(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.candidate("c1")
        stage.begin("c1")
        await stage.op("renew", "ok", number=6)
        renewed = stage.where("renew", "ok")
        assert not stage.where("step-down")
        assert [op.until for op in renewed] == [stage.ops[op.of or 0].time + S for op in renewed]
        assert all(op.tenure == stage.where("acquire", "invoke")[0].index for op in renewed)

    play(scene)


def test_the_loser_is_refused_and_keeps_no_lease(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        for name in ("c1", "c2", "c3"):
            stage.candidate(name, ttl=LONG)
        stage.begin("c1", "c2", "c3")
        await stage.op("acquire", "ok")
        await stage.op("acquire", "fail", number=2)
        assert len(stage.where("acquire", "ok")) == 1
        await until_leases(stage, 1)

    play(scene)


async def until_leases(stage: Stage, number: int) -> None:
    """Long before one of LONG would expire by itself."""
    deadline = time.monotonic() + 3
    while (left := await stage.leases()) != number:
        assert time.monotonic() < deadline, f"{left} leases"
        await asyncio.sleep(0.01)


def test_careful_sends_nothing_after_a_pause_of_three_ttls(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.candidate("c1")
        stage.begin("c1")
        await stage.op("renew", "ok")
        left = stage.writers["c1"].left
        pause_of_the_process(3 * TTL)
        woken, before = stage.recorder.now(), len(left)
        down = await stage.op("step-down", "ok")
        after = [op for op in stage.ops if op.f == "write" and op.type == "invoke" and op.tenure == down.tenure and op.time > woken]
        assert not after
        assert len(left) == before
        assert down.time < woken + 300 * MS

    play(scene)


def test_naive_writes_at_once_on_waking(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.candidate("c1", recipe="naive")
        stage.begin("c1")
        first = (await stage.op("acquire", "ok")).of
        await stage.op("renew", "ok")
        pause_of_the_process(3 * TTL)
        woken = stage.recorder.now()
        down = await stage.op("step-down", "ok")
        refused = await stage.op("renew", "fail")
        after = [op for op in stage.where("write", "invoke") if op.time > woken and op.tenure == first]
        assert after[0].time < min(down.time, refused.time)
        assert after[0].id in stage.writers["c1"].left

    play(scene)


def test_careful_leaves_before_its_deadline_when_renewals_are_not_answered(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.candidate("c1")
        stage.begin("c1")
        await stage.op("renew", "ok")
        stage.stores["c1"].block("keepalive", "revoke", "holder", "grant")
        down = await stage.op("step-down", "ok")
        until = max(op.until or 0 for op in stage.ops if op.index < down.index)
        writes = stage.where("write", "invoke")
        assert until - margin(S) <= down.time < until
        assert writes[-1].time < until - margin(S)
        assert len(stage.where("renew", "info")) >= 2
        assert len({op.process for op in stage.where("renew", "info")}) == len(stage.where("renew", "info"))

    play(scene)


@pytest.mark.parametrize("resigns", [False, True])
def test_a_deadline_that_nobody_heeds_does_not_stop_the_clock(play: Play, monkeypatch: pytest.MonkeyPatch, resigns: bool) -> None:
    """As after a change that breaks the check: the candidate goes on, and what it does wrong can be seen."""
    monkeypatch.setattr(Office, "still", counted(lambda office, now: office.open))

    async def scene(stage: Stage) -> None:
        stage.candidate("c1", timeout=Duration(990 * MS))
        stage.begin("c1")
        renewed = await stage.op("renew", "ok")
        stage.stores["c1"].block("keepalive")
        if resigns:
            stage.writers["c1"].hold.clear()
            await stage.op("write", "invoke", number=len(stage.where("write", "invoke")) + 1)
            stage.recipes["c1"].stop()
        limit = (renewed.until or 0) - margin(S)
        await stage.until(lambda: stage.recorder.now() > limit + 20 * MS)
        assert stage.where("step-down") == []
        stage.writers["c1"].hold.set()

    play(scene)


def test_a_lease_without_a_length_does_not_stop_the_clock(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Office, "still", counted(Office.still))

    async def scene(stage: Stage) -> None:
        stage.candidate("c1", recipe="naive")
        store = stage.stores["c1"]

        async def grant(ttl: int) -> Grant:
            return Grant((await store.store.grant(ttl)).lease, 0)

        store.grant = grant
        stage.begin("c1")
        await stage.op("write", "ok", number=3)

    play(scene)


def counted(still: Callable[[Office, int], bool]) -> Callable[[Office, int], bool]:
    """The same, failing once it is asked 50 times within 10 ms."""
    asked: deque[int] = deque(maxlen=50)

    def ask(office: Office, now: int) -> bool:
        asked.append(now)
        assert len(asked) < 50 or now - asked[0] > 10 * MS, "it does nothing but ask"
        return still(office, now)

    return ask


def test_pauses_and_requests_of_no_length_leave_time_for_others(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.candidate("c1", renew_every=Duration(0), write_every=Duration(0))
        writes, renewals = count(1), count(1)

        async def write(*_: object) -> Answer:
            if next(writes) == 3000:
                await asyncio.Event().wait()
            return Answer()

        async def keepalive(_: str) -> int:
            if next(renewals) == 3000:
                await asyncio.Event().wait()
            return S

        stage.writers["c1"].write, stage.stores["c1"].keepalive = write, keepalive  # type: ignore[assignment, method-assign]
        stage.begin("c1")
        acquired = await stage.op("acquire", "ok")
        await asyncio.sleep(0.2)
        passed = (stage.recorder.now() - acquired.time) / MS
        assert 3 < next(writes) <= passed + 2
        assert 3 < next(renewals) <= passed + 2

    play(scene)


def test_naive_stays_and_tries_again_soon_at_another_node(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.candidate("c1", recipe="naive")
        stage.begin("c1")
        await stage.op("renew", "ok")
        stage.stores["c1"].lose("keepalive", 3)
        await stage.op("renew", "info", number=3)
        answered = len(stage.where("renew", "ok"))
        await stage.op("renew", "ok", number=answered + 1)
        assert not stage.where("step-down")
        tries = [op for op in stage.where("renew", "invoke") if op.index > stage.where("renew", "info")[0].index]
        ends = stage.where("renew", "info")
        assert tries[0].time - ends[0].time < 240 * MS
        assert tries[0].node != ends[0].node

    play(scene)


def test_an_unknown_acquire_is_revoked_as_a_release_of_its_tenure(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.candidate("c1", ttl=LONG)
        stage.stores["c1"].lose("create")
        stage.begin("c1")
        unknown = await stage.op("acquire", "info")
        released = await stage.op("release", "ok")
        acquired = await stage.op("acquire", "ok")
        assert stage.ops[released.of or 0].tenure == unknown.of
        assert released.tenure == unknown.of
        assert acquired.index > released.index
        assert acquired.process != unknown.process
        await until_leases(stage, 1)

    play(scene)


def test_a_release_without_an_answer_is_another_op(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.candidate("c1")
        stage.stores["c1"].lose("create")
        stage.stores["c1"].lose("revoke")
        stage.begin("c1")
        unknown = await stage.op("release", "info")
        gone = await stage.op("release", "fail")
        acquired = await stage.op("acquire", "ok")
        assert gone.of != unknown.of
        assert gone.tenure == unknown.tenure == stage.where("acquire", "info")[0].of
        assert gone.index < acquired.index

    play(scene)


def test_a_lost_lease_ends_the_office_without_a_release(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        for recipe in ("careful", "naive"):
            stage.candidate(recipe, recipe=recipe)
            stage.begin(recipe)
            await stage.op("renew", "ok", recipe)
            office = stage.recipes[recipe]._office
            assert office is not None
            await stage.stores[recipe].store.revoke(office.lease)
            down = await stage.op("step-down", "ok", recipe)
            assert stage.ops[down.index - 1].f == "renew"
            assert stage.ops[down.index - 1].type == "fail"
            assert not [op for op in stage.where("write", "invoke", recipe) if op.index > down.index and op.tenure == down.tenure]
            assert not [op for op in stage.where("release", None, recipe) if op.tenure == down.tenure]
            await stage.stop(recipe)

    play(scene)


def test_resigning_hands_over_quickly(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.candidate("c1", stay=Duration(400 * MS))
        stage.candidate("c2")
        stage.begin("c1")
        await stage.op("acquire", "ok", "c1")
        stage.begin("c2")
        down = await stage.op("step-down", "ok", "c1")
        next_ = await stage.op("acquire", "ok", "c2")
        released = stage.where("release", "ok", "c1")[0]
        last = stage.where("write", "invoke", "c1")[-1]
        assert next_.time - down.time < S // 4
        assert last.index < down.index < (released.of or 0)
        assert down.time - stage.where("acquire", "ok", "c1")[0].time >= 400 * MS

    play(scene)


def test_a_resigning_leader_waits_for_its_write_under_way(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.candidate("c1", timeout=Duration(500 * MS))
        stage.begin("c1")
        await stage.op("write", "ok")
        stage.writers["c1"].hold.clear()
        await stage.until(lambda: stage.where("write", "invoke")[-1].index > stage.where("write", "ok")[-1].index)
        open_ = stage.where("write", "invoke")[-1]
        stage.recipes["c1"].stop()
        stage.writers["c1"].hold.set()
        down = await stage.op("step-down", "ok")
        done = next(op for op in stage.where("write", "ok") if op.of == open_.index)
        assert done.index < down.index
        assert stage.where("write", "invoke")[-1] == open_

    play(scene)


def test_the_queue_is_served_in_its_order(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        names = ("c1", "c2", "c3")
        for name in names:
            stage.candidate(name, wait="predecessor")
            stage.begin(name)
            await stage.op("enqueue", "ok", name)
        await stage.op("acquire", "ok", "c1")
        # Longer than the TTL: who waits keeps its place alive.
        await stage.op("renew", "ok", "c1", number=6)
        for leader, follower in pairwise(names):
            await stage.stop(leader)
            await stage.op("acquire", "ok", follower)
        acquired = stage.where("acquire", "ok")
        assert [op.claimant for op in acquired] == ["c1#1", "c2#1", "c3#1"]
        assert [op.token for op in acquired] == [op.token for op in stage.where("enqueue", "ok")]
        enqueued = {op.claimant: op.time for op in stage.where("enqueue", "ok")}
        assert all((op.sent or 0) > enqueued[op.claimant] for op in acquired[1:]), "it counts from a keepalive"
        for op in acquired:
            assert op.sent is not None
            assert op.until == op.sent + S
            assert op.until > op.time
            assert op.sent < stage.ops[op.of or 0].time

    play(scene)


def test_who_is_not_at_the_front_waits_and_keeps_its_place(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        for name in ("c1", "c2", "c3"):
            stage.candidate(name, wait="predecessor")
            stage.begin(name)
            await stage.op("enqueue", "ok", name)
        await stage.op("acquire", "fail", "c3")
        await stage.stop("c2")
        behind = await stage.op("acquire", "fail", "c3", number=2)
        assert "c1#1" in (behind.error or "")
        assert len(stage.where("enqueue", None, "c3")) == 2
        await stage.stop("c1")
        await stage.op("acquire", "ok", "c3")
        assert len(stage.where("enqueue", "invoke", "c3")) == 1

    play(scene)


def test_a_lost_place_is_taken_anew(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        for name in ("c1", "c2"):
            stage.candidate(name, wait="predecessor")
            stage.begin(name)
            await stage.op("enqueue", "ok", name)
        await stage.op("acquire", "fail", "c2")
        store = stage.stores["c1"].store
        own = (await store.queue("lock"))[1]
        await store.revoke(own.key.rpartition("/")[2])
        await stage.op("enqueue", "ok", "c2", number=2)

    play(scene)


def test_an_unknown_place_in_the_queue_is_given_up(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.candidate("c1", wait="predecessor", ttl=LONG)
        stage.stores["c1"].lose("enqueue")
        stage.begin("c1")
        await stage.op("enqueue", "info")
        await stage.op("acquire", "ok")
        await until_leases(stage, 1)

    play(scene)


def test_a_missed_deletion_is_noticed_within_the_ttl(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.candidate("c1")
        stage.candidate("c2")
        stage.stores["c2"].block("gone")
        stage.begin("c1")
        await stage.op("acquire", "ok", "c1")
        stage.begin("c2")
        await stage.until(lambda: "gone" in stage.stores["c2"].asked)
        await stage.stop("c1")
        stopped = stage.recorder.now()
        await stage.op("acquire", "ok", "c2")
        assert stage.where("acquire", "ok", "c2")[0].time - stopped < S

    play(scene)


def test_stop_while_waiting_leaves_nothing(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        for name, wait in (("c1", "predecessor"), ("c2", "predecessor")):
            stage.candidate(name, wait=wait, ttl=LONG)
            stage.begin(name)
            await stage.op("enqueue", "ok", name)
        await stage.op("acquire", "fail", "c2")
        began = time.monotonic()
        await stage.stop("c2")
        await stage.stop("c1")
        assert time.monotonic() - began < 1
        await until_leases(stage, 0)

    play(scene)


def test_careful_gives_way_to_a_newer_fence(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.candidate("c1")
        stage.begin("c1")
        acquired = await stage.op("acquire", "ok")
        stage.fence.write(Write("from the successor", (acquired.token or 0) + 1))
        down = await stage.op("step-down", "ok")
        assert "fence" in down.value["why"]

    play(scene)


def test_a_grant_that_comes_too_late_is_not_used(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.candidate("c1", timeout=Duration(5 * S))
        store = stage.stores["c1"]
        slow_down(store, "create", 0.95)
        stage.begin("c1")
        acquired = await stage.op("acquire", "ok")
        down = await stage.op("step-down", "ok")
        assert down.index == acquired.index + 1
        assert not [op for op in stage.where("write") if op.tenure == down.tenure]

    play(scene)


def slow_down(store: Faulty, name: str, seconds: float) -> None:
    """The first answer of this call is late."""
    real = getattr(store.store, name)

    async def late(*arguments: object) -> object:
        answer = await real(*arguments)
        setattr(store.store, name, real)
        await asyncio.sleep(seconds)
        return answer

    setattr(store.store, name, late)


def test_a_write_held_until_after_the_deadline_does_not_leave(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.candidate("c1", timeout=Duration(5 * S), renew_every=Duration(5 * S))
        stage.begin("c1")
        await stage.op("write", "ok")
        stage.writers["c1"].hold.clear()
        down = await stage.op("step-down", "ok")
        held = stage.where("write", "invoke")[-1]
        stage.writers["c1"].hold.set()
        failed = await stage.op("write", "fail")
        assert failed.of == held.index
        assert held.index < down.index
        assert held.id not in stage.writers["c1"].left

    play(scene)


def test_nothing_is_written_after_the_step_down_line(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        for name in ("c1", "c2", "c3"):
            stage.candidate(name, stay=Duration(100 * MS), write_every=Duration(2 * MS))
        stage.begin("c1", "c2", "c3")
        await stage.op("step-down", "ok", number=8, within_s=15)
        downs = {op.tenure: op for op in stage.where("step-down", "ok")}
        assert not [op for op in stage.where("write", "invoke") if op.tenure in downs and op.index > downs[op.tenure].index]
        assert len({op.claimant for op in downs.values()}) > 1, "the leader that resigned lets others win"

    play(scene)


def test_observe_names_the_leader(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        for name, wait in (("c1", "holder"), ("c2", "predecessor")):
            recipe = stage.candidate(name, wait=wait)
            assert await recipe.observe() is None
            stage.begin(name)
            acquired = await stage.op("acquire", "ok", name)
            led = await recipe.observe()
            assert isinstance(led, Place)
            assert (led.value, led.token) == (f"{name}#1", acquired.token)
            await stage.stop(name)

    play(scene)


def test_a_candidate_cut_off_from_everything_stops_within_bounds(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.candidate("c1")
        stage.begin("c1")
        await stage.op("renew", "ok")
        stage.stores["c1"].block("keepalive", "revoke", "holder", "grant", "create")
        began = time.monotonic()
        await stage.stop("c1")
        assert time.monotonic() - began < 2 * TTL
        assert stage.where("release", "info")

    play(scene)


def test_the_margin_is_small_and_bounded() -> None:
    assert margin(1 * S) == 100 * MS
    assert margin(60 * S) == 200 * MS


def test_ops_of_one_process_never_overlap(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        for name in ("c1", "c2"):
            stage.candidate(name, stay=Duration(150 * MS))
            stage.stores[name].lose("keepalive", 2)
        stage.begin("c1", "c2")
        await stage.op("step-down", "ok", number=4, within_s=15)
        assert not overlapping(stage.ops)

    play(scene)


def overlapping(ops: list[Op]) -> list[Op]:
    under_way: dict[str, Op] = {}
    wrong = []
    for op in ops:
        if op.type == "invoke":
            if op.process in under_way:
                wrong.append(op)
            under_way[op.process] = op
        elif op.of is not None:
            del under_way[op.process]
    return wrong


def test_the_store_in_memory_expires_leases() -> None:
    """Else the scenes over it would prove little."""
    async def scene() -> None:
        memory = Memory()
        store = MemoryStore(memory)
        grant = await store.grant(20 * MS)
        token = await store.create("key", "c1", grant.lease)
        await asyncio.wait_for(store.gone(Place("key", "c1", token)), 1)
        assert await store.holder("key") is None

    asyncio.run(scene())
