"""The resource: one atomic decision per write, an order that lasts, and bad requests."""
import asyncio
import json
import socket
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest

from diarchy.clusters.http import Http
from diarchy.clusters.stores import Refused, Unreachable
from diarchy.history.op import Op, Recorder
from diarchy.workloads.child import CandidateError
from diarchy.workloads.launch import Crew
from diarchy.workloads.resource import Fence, Write
from diarchy.workloads.smoke import final_read, smoke
from diarchy.workloads.writer import Fenced, HttpWriter


class Scene:
    """The resource as a process of its own, and the history."""

    def __init__(self, folder: Path) -> None:
        self.ops: list[Op] = []
        epoch = time.monotonic_ns()
        self.recorder = Recorder(lambda: time.monotonic_ns() - epoch)
        self.recorder.listeners.append(self.ops.append)
        self.crew = Crew(self.recorder, folder / "logs", epoch)
        self.database = folder / "resource.db"

    def recorded(self) -> list[Op]:
        return [op for op in self.ops if op.process == "resource" and op.f == "write"]

    async def until(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 5
        while not true():
            assert time.monotonic() < deadline, self.ops
            await asyncio.sleep(0.005)


def play(folder: Path, scene: Callable[[Scene, str], Coroutine[Any, Any, None]], fence: bool = True) -> None:
    async def act() -> None:
        stage = Scene(folder)
        try:
            await scene(stage, await stage.crew.resource("127.0.0.1", stage.database, fence))
        finally:
            await stage.crew.close()

    asyncio.run(act())


def test_the_fence_refuses_older_tokens_only() -> None:
    fence = Fence(":memory:", True)
    taken = [fence.write(Write(f"w{i}", token))[0].type for i, token in enumerate([5, 5, 4, 6, 5, 7])]
    assert taken == ["ok", "ok", "fail", "ok", "fail", "ok"]
    assert fence.state() == {"order": 4, "fence": 7, "epoch": 1, "value": None}


def test_without_a_fence_everything_is_taken_and_the_order_shows_it() -> None:
    fence = Fence(":memory:", False)
    records = [fence.write(Write(f"w{i}", token))[0] for i, token in enumerate([5, 4, None])]
    assert [(record.type, record.order, record.fence) for record in records] == [("ok", 1, 5), ("ok", 2, 5), ("ok", 3, 5)]


def test_a_write_without_a_token_does_not_pass_a_fence() -> None:
    assert Fence(":memory:", True).write(Write("w1"))[0].type == "fail"


def test_the_same_id_is_taken_once() -> None:
    fence = Fence(":memory:", True)
    first, new = fence.write(Write("w1", 3, "a"))
    fence.write(Write("w2", 4, "b"))
    again, decided_now = fence.write(Write("w1", 3, "a"))
    assert (new, decided_now) == (True, False)
    assert again == first
    assert fence.state()["value"] == "b"


def test_fence_and_order_outlast_the_process(tmp_path: Path) -> None:
    database = str(tmp_path / "resource.db")
    fence = Fence(database, True)
    fence.write(Write("w1", 9))
    fence.close()
    fence = Fence(database, True)
    assert fence.epoch == 2
    assert fence.write(Write("w2", 8))[0].type == "fail"
    record = fence.write(Write("w3", 9))[0]
    assert (record.order, record.epoch) == (2, 2)


def test_two_processes_on_one_database_decide_one_after_the_other(tmp_path: Path) -> None:
    """The condition and the change are one statement: a second connection cannot come between them."""
    one, two = (Fence(str(tmp_path / "resource.db"), True) for _ in range(2))
    taken = [fence.write(Write(f"w{i}", i // 2))[0] for i in range(100) for fence in ((one, two)[i % 2],)]
    assert [record.order for record in taken] == list(range(1, 101))
    assert two.write(Write("late", 48))[0].type == "fail"


def test_concurrent_writes_get_orders_without_gaps_and_fences_that_never_fall(tmp_path: Path) -> None:
    async def scene(stage: Scene, address: str) -> None:
        writers = [HttpWriter(address) for _ in range(8)]

        refusals: list[tuple[int, int]] = []

        async def write(number: int, writer: HttpWriter) -> None:
            for i in range(25):
                token = (i * 7 + number) % 40
                try:
                    await writer.write(f"{number}-{i}", token, i)
                except Fenced as refused:
                    refusals.append((token, refused.fence))

        await asyncio.gather(*(write(number, writer) for number, writer in enumerate(writers)))
        for writer in writers:
            writer.close()
        await stage.until(lambda: len(stage.recorded()) == 200)
        assert all(token < fence for token, fence in refusals)
        assert len(refusals) == len([op for op in stage.recorded() if op.type == "fail"]) > 0
        taken = sorted((op for op in stage.recorded() if op.type == "ok"), key=lambda op: op.order or 0)
        assert [op.order for op in taken] == list(range(1, len(taken) + 1))
        tokens = [op.token for op in taken]
        assert tokens == sorted(tokens, key=lambda token: token or 0)
        assert [op.time for op in taken] == sorted(op.time for op in taken)
        assert all(op.seen is not None and 0 < op.time <= op.seen for op in taken)

    play(tmp_path, scene)


def test_bad_requests_are_refused_and_change_nothing(tmp_path: Path) -> None:
    bodies = [b"", b"{", b"[]", b'{"token": 5}', b'{"id": 5}', b'{"id": "a", "token": "5"}', b'{"id": "a", "wrong": 1}',
              b'{"id": "a", "token": 99999999999999999999}', b"[" * 60_000, b'{"id": "\xff"}']

    async def scene(stage: Scene, address: str) -> None:
        http, writer = Http(address), HttpWriter(address)
        for body in bodies:
            status, answer = await http.post("/write", body)
            assert status == 400, body
            assert json.loads(answer)["error"]
        assert (await http.get("/nothing"))[0] == 404
        assert (await writer.state()).order == 0
        assert stage.recorded() == []
        http.close()
        writer.close()

    play(tmp_path, scene)


def test_a_killed_resource_comes_back_on_its_port_with_fence_and_order(tmp_path: Path) -> None:
    async def scene(stage: Scene, address: str) -> None:
        writer, host = HttpWriter(address), stage.crew.hosts["resource"]
        await writer.write("w1", 5, "a")
        killed = await host.kill()
        assert killed.bit, killed
        assert killed.host == "resource#1"
        with pytest.raises((Unreachable, ConnectionError, EOFError)):
            await writer.write("w2", 5, "b")
        started = await host.start()
        assert started.bit, started
        assert (started.host, host.claimant) == ("resource#2", "resource#2")
        with pytest.raises(Fenced):
            await writer.write("w3", 4, "c")
        await writer.write("w4", 5, "d")
        state = await writer.state()
        assert (state.order, state.fence, state.epoch, state.value) == (2, 5, 2, "d")
        await stage.until(lambda: len(stage.recorded()) == 3)
        assert [(op.type, op.order, op.epoch) for op in stage.recorded()] == [("ok", 1, 1), ("fail", None, 2), ("ok", 2, 2)]
        assert [op.value for op in stage.ops if op.f == "exit"] == [{"signal": 9}]
        writer.close()

    play(tmp_path, scene)


def test_what_it_took_and_could_not_say_is_said_after_the_restart(tmp_path: Path) -> None:
    async def scene(stage: Scene, address: str) -> None:
        host = stage.crew.hosts["resource"]
        await host.kill()
        unsaid = Fence(str(stage.database), True)
        unsaid.write(Write("w1", 5, "a"))
        unsaid.close()
        await host.start()
        await stage.until(lambda: len(stage.recorded()) == 1)
        assert (stage.recorded()[0].id, stage.recorded()[0].order, stage.recorded()[0].epoch) == ("w1", 1, 2)
        await host.kill()
        await host.start()
        await smoke(HttpWriter(address), stage.recorder, 4)
        await stage.until(lambda: len(stage.recorded()) == 2)
        assert [op.id for op in stage.recorded()].count("w1") == 1

    play(tmp_path, scene)


def test_the_record_is_there_before_the_answer(tmp_path: Path) -> None:
    """A line that is written after the answer could be missing, or later than what followed from the answer."""
    async def scene(stage: Scene, address: str) -> None:
        writer = HttpWriter(address)
        for i in range(20):
            await writer.write(f"w{i}", 1, i)
            answered = stage.recorder.now()
            await stage.until(lambda n=i: len(stage.recorded()) == n + 1)  # type: ignore[misc]
            assert stage.recorded()[-1].time < answered
        writer.close()

    play(tmp_path, scene)


def test_a_write_whose_sender_has_gone_is_taken(tmp_path: Path) -> None:
    """A held write arrives with the end of its connection right behind it: that is what makes it dangerous."""
    async def scene(stage: Scene, address: str) -> None:
        host, _, port = address.partition(":")
        body = msgspec.json.encode(Write("late", 1, "x"))
        assert (await stage.crew.hosts["resource"].pause()).bit
        with socket.create_connection((host, int(port))) as sender:
            sender.sendall(b"POST /write HTTP/1.1\r\nHost: r\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert (await stage.crew.hosts["resource"].resume()).bit
        await stage.until(lambda: len(stage.recorded()) == 1)
        assert stage.recorded()[0].type == "ok"

    play(tmp_path, scene)


def test_the_writer_knows_what_was_not_sent(tmp_path: Path) -> None:
    async def scene(stage: Scene, address: str) -> None:
        writer = HttpWriter(address)
        with pytest.raises(Refused):
            await writer.write("w1", 1, "a", lambda: False)
        await writer.write("w2", 1, "b", lambda: True)
        assert (await writer.state()).order == 1
        writer.close()

    play(tmp_path, scene)


@pytest.mark.parametrize(("fence", "type"), [(True, "fail"), (False, "ok")])
def test_the_smoke_alarm(tmp_path: Path, fence: bool, type: str) -> None:
    async def scene(stage: Scene, address: str) -> None:
        writer = HttpWriter(address)
        await writer.write("w1", 5, "a")
        writer.close()
        await smoke(HttpWriter(address), stage.recorder, 4)
        await final_read(HttpWriter(address), stage.recorder)
        invoke, end = [op for op in stage.ops if op.process == "smoke"]
        assert (invoke.type, end.type, end.of, end.token) == ("invoke", type, invoke.index, 4)
        read = next(op for op in stage.ops if op.f == "read" and op.type == "ok")
        assert read.value["order"] == (1 if fence else 2)

    play(tmp_path, scene, fence)


def test_the_smoke_alarm_without_a_resource_proves_nothing(tmp_path: Path) -> None:
    async def scene(stage: Scene, address: str) -> None:
        paused = await stage.crew.hosts["resource"].pause()
        assert paused.bit, paused
        await smoke(HttpWriter(address), stage.recorder, 4)
        assert stage.ops[-1].type == "info"
        await stage.crew.hosts["resource"].kill()
        await smoke(HttpWriter(address), stage.recorder, 4)
        assert stage.ops[-1].type == "info"
        assert "refused" in (stage.ops[-1].error or "").lower()

    play(tmp_path, scene)


def test_a_resource_that_cannot_listen_says_why(tmp_path: Path) -> None:
    async def scene() -> None:
        stage = Scene(tmp_path)
        try:
            with pytest.raises(CandidateError, match=r"203\.0\.113\.1"):
                await stage.crew.resource("203.0.113.1", stage.database, True)
        finally:
            await stage.crew.close()

    asyncio.run(scene())
