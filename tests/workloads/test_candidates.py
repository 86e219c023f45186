"""Whole candidates, each a process, on a real etcd: diarchy's own and a foreign one."""
import asyncio
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from diarchy.clusters.cluster import Endpoints
from diarchy.history.op import Op, Recorder
from diarchy.history.units import Duration
from diarchy.workloads.launch import Crew
from diarchy.workloads.lock import Lock

pytestmark = pytest.mark.docker
ROOT = Path(__file__).parents[2]
MS = 10**6
S = 10**9
TTL = 1.0


class Scene:
    """Candidates c1, c2 … on etcd, with the resource, and the history of it all."""

    def __init__(self, folder: Path, etcd: str) -> None:
        self.folder, self.etcd = folder, etcd
        self.ops: list[Op] = []
        epoch = time.monotonic_ns()
        self.recorder = Recorder(lambda: time.monotonic_ns() - epoch)
        self.recorder.listeners.append(self.ops.append)
        self.crew = Crew(self.recorder, folder / "logs", epoch)

    async def begin(self, number: int, **options: Any) -> None:
        chosen: dict[str, Any] = {"ttl": Duration(S), "renew_every": Duration(250 * MS), "write_every": Duration(20 * MS), **options}
        address = await self.crew.resource("127.0.0.1", self.folder / "resource.db", True)
        await self.crew.spawn([f"c{i + 1}" for i in range(number)], Lock(**chosen), "etcd")
        await self.crew.introduce(lambda _: Endpoints({"n1": self.etcd, "n2": self.etcd}, address), f"lock-{uuid4()}")
        self.crew.go()

    def where(self, f: str, type: str | None = None, claimant: str | None = None) -> list[Op]:
        return [op for op in self.ops if op.f == f and type in (None, op.type) and claimant in (None, op.claimant)]

    async def op(self, f: str, type: str, claimant: str | None = None, number: int = 1) -> Op:
        deadline = time.monotonic() + 8
        while len(self.where(f, type, claimant)) < number:
            assert time.monotonic() < deadline, "\n".join(map(str, self.ops))
            await asyncio.sleep(0.005)
        return self.where(f, type, claimant)[number - 1]

    async def pause_the_leader(self, ttls: float) -> tuple[Op, int]:
        """Its acquire, and when it was woken; its successor has been elected by then."""
        acquired = await self.op("acquire", "ok")
        await self.op("renew", "ok")
        assert acquired.claimant is not None
        host = self.crew.hosts[acquired.claimant.partition("#")[0]]
        paused = await host.pause()
        assert paused.bit, paused
        began = time.monotonic()
        await self.op("acquire", "ok", number=2)
        await asyncio.sleep(ttls * TTL - (time.monotonic() - began))
        woken = self.recorder.now()
        assert (await host.resume()).bit
        return acquired, woken


def play(folder: Path, etcd: str, scene: Callable[[Scene], Coroutine[Any, Any, None]]) -> None:
    async def act() -> None:
        stage = Scene(folder, etcd)
        try:
            await scene(stage)
        finally:
            await stage.crew.close()

    asyncio.run(asyncio.wait_for(act(), 60))


@pytest.mark.parametrize("time_", range(2))
def test_careful_sends_no_write_after_a_sigstop_of_three_ttls(tmp_path: Path, etcd: str, time_: int) -> None:
    async def scene(stage: Scene) -> None:
        await stage.begin(2, write_every=Duration(2 * MS))
        acquired, woken = await stage.pause_the_leader(3)
        down = await stage.op("step-down", "ok", acquired.claimant)
        await stage.op("stall", "ok", acquired.claimant)
        await stage.crew.stop(5)
        assert down.time > woken
        last = max(op.until or 0 for op in stage.ops if op.index < down.index and op.claimant == acquired.claimant)
        sent = [op for op in stage.where("write", "invoke", acquired.claimant) if op.tenure == acquired.of]
        assert sent
        assert max(op.time for op in sent) < last
        assert not [op for op in stage.ops if op.process == "resource" and op.type == "fail"]

    play(tmp_path, etcd, scene)


@pytest.mark.parametrize("time_", range(2))
def test_naive_writes_on_waking_and_is_refused_by_the_fence(tmp_path: Path, etcd: str, time_: int) -> None:
    async def scene(stage: Scene) -> None:
        await stage.begin(2, recipe="naive")
        acquired, woken = await stage.pause_the_leader(3)
        await stage.op("step-down", "ok", acquired.claimant)
        await stage.crew.stop(5)
        stale = [op for op in stage.where("write", "invoke", acquired.claimant) if op.time > woken and op.tenure == acquired.of]
        assert stale
        refused = {op.id for op in stage.ops if op.process == "resource" and op.type == "fail"}
        assert {op.id for op in stale} & refused

    play(tmp_path, etcd, scene)


@pytest.mark.parametrize("wait", ["holder", "predecessor"])
def test_a_killed_leader_is_followed_and_comes_back(tmp_path: Path, etcd: str, wait: str) -> None:
    async def scene(stage: Scene) -> None:
        await stage.begin(3, wait=wait)
        acquired = await stage.op("acquire", "ok")
        assert acquired.claimant is not None
        host = stage.crew.hosts[acquired.claimant.partition("#")[0]]
        assert (await host.kill()).bit
        second = await stage.op("acquire", "ok", number=2)
        assert second.token is not None
        assert second.token > (acquired.token or 0)
        assert (await host.start()).bit
        await stage.op("tick", "ok", host.claimant)
        await stage.crew.stop(5)
        assert host.claimant.endswith("#2")
        assert {op.value["status"] for op in stage.where("exit")[1:]} == {0}
        assert (tmp_path / "logs" / "c1.log").read_text() == ""

    play(tmp_path, etcd, scene)


def test_ticks_come_about_once_a_second(tmp_path: Path, etcd: str) -> None:
    async def scene(stage: Scene) -> None:
        await stage.begin(1)
        await stage.op("tick", "ok", number=4)
        ticks = [op.time for op in stage.where("tick")]
        assert 1.9 * S < ticks[2] - ticks[0] < 2.6 * S

    play(tmp_path, etcd, scene)


def test_a_program_of_somebody_else(tmp_path: Path, etcd: str) -> None:
    """The example speaks the protocol: it elects, writes, hands over when it is killed, and stops when asked."""
    async def scene(stage: Scene) -> None:
        await stage.begin(2, command=(sys.executable, str(ROOT / "examples/minimal_candidate.py")))
        acquired = await stage.op("acquire", "ok")
        await stage.op("renew", "ok", number=3)
        assert acquired.until == (acquired.sent or 0) + S
        assert acquired.claimant is not None
        await stage.crew.hosts[acquired.claimant.partition("#")[0]].kill()
        second = await stage.op("acquire", "ok", number=2)
        await stage.op("write", "ok", second.claimant)
        await stage.crew.stop(5)
        assert stage.where("protocol-error") == []
        assert stage.where("exit")[-1].value == {"status": 0}
        assert [op.type for op in stage.where("release", claimant=second.claimant)] == ["invoke", "ok"]
        assert all(op.tenure is not None for op in stage.where("write", "invoke"))

    play(tmp_path, etcd, scene)


async def _imported(module: str) -> set[str]:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-c", f"import sys, {module}; print(*sys.modules)", stdout=asyncio.subprocess.PIPE)
    out, _ = await child.communicate()
    return set(out.decode().split())


def test_a_candidate_imports_little() -> None:
    """It is started again and again, on a machine that is busy with a cluster."""
    loaded = asyncio.run(_imported("diarchy.workloads.candidate, diarchy.clusters.etcd.store"))
    assert "diarchy.workloads.recipe" in loaded
    assert not loaded & {"numpy", "docker", "typer", "aiohttp", "networkx", "yaml", "sqlite3", "requests", "rich", "diarchy.history.columns"}
