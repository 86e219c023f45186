"""A stage for recipes: lease stores of two kinds, ways in which they fail, and candidates that are heard."""
import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from diarchy.clusters.stores import Grant, LeaseStore, Lost, Place, Refused
from diarchy.history.op import Op, Recorder
from diarchy.history.transcript import Transcript
from diarchy.history.units import Duration
from diarchy.workloads.lock import Lock
from diarchy.workloads.recipe import Recipe
from diarchy.workloads.resource import Fence, Write
from diarchy.workloads.session import Answer, Session
from diarchy.workloads.writer import Fenced

T = TypeVar("T")
KEY = "lock"
MS = 10**6
S = 10**9


class Memory:
    """Leases and keys as etcd has them, in this process."""

    def __init__(self) -> None:
        self.leases: dict[str, tuple[int, float]] = {}
        self.keys: dict[str, tuple[str, str, int]] = {}
        self.revision = 1
        self.changed = asyncio.Event()

    def expire(self) -> None:
        now = asyncio.get_running_loop().time()
        for lease in [lease for lease, (_, end) in self.leases.items() if end <= now]:
            self.end(lease)

    def end(self, lease: str) -> None:
        del self.leases[lease]
        self.keys = {key: kept for key, kept in self.keys.items() if kept[1] != lease}
        self.changed.set()
        self.changed = asyncio.Event()


class MemoryStore:
    """A LeaseStore over a Memory. Each call takes a turn of the loop."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.node = "n1"

    def rotate(self) -> None:
        self.node = "n2" if self.node == "n1" else "n1"

    async def _at(self) -> Memory:
        await asyncio.sleep(0.001)
        self._memory.expire()
        return self._memory

    async def grant(self, ttl: int) -> Grant:
        m = await self._at()
        m.revision += 1
        lease = f"{m.revision}"
        m.leases[lease] = ttl, asyncio.get_running_loop().time() + ttl / 1e9
        return Grant(lease, ttl)

    async def keepalive(self, lease: str) -> int:
        m = await self._at()
        if lease not in m.leases:
            raise Lost(lease)
        ttl, _ = m.leases[lease]
        m.leases[lease] = ttl, asyncio.get_running_loop().time() + ttl / 1e9
        return ttl

    async def revoke(self, lease: str) -> None:
        m = await self._at()
        if lease not in m.leases:
            raise Lost(lease)
        m.end(lease)

    async def create(self, key: str, value: str, lease: str) -> int:
        m = await self._at()
        if lease not in m.leases:
            raise Lost(lease)
        if key in m.keys:
            raise Refused(f"{m.keys[key][0]} holds it")
        m.revision += 1
        m.keys[key] = value, lease, m.revision
        return m.revision

    async def holder(self, key: str) -> Place | None:
        m = await self._at()
        return Place(key, m.keys[key][0], m.keys[key][2]) if key in m.keys else None

    async def enqueue(self, key: str, value: str, lease: str) -> Place:
        own = f"{key}/{lease}"
        return Place(own, value, await self.create(own, value, lease))

    async def queue(self, key: str) -> tuple[Place, ...]:
        m = await self._at()
        places = (Place(own, value, token) for own, (value, _, token) in m.keys.items() if own.startswith(f"{key}/"))
        return tuple(sorted(places, key=lambda place: place.token))

    async def gone(self, held: Place) -> None:
        while (found := await self.holder(held.key)) is not None and found.token == held.token:
            try:
                async with asyncio.timeout(0.02):
                    await self._memory.changed.wait()
            except TimeoutError:
                continue

    async def close(self) -> None:
        pass


class Faulty:
    """A store whose calls can be disturbed. `lose(name, times)`: carried out, unanswered; `block(name)`: hangs for ever."""

    def __init__(self, store: LeaseStore) -> None:
        self.store = store
        self.lost: dict[str, int] = {}
        self.blocked: set[str] = set()
        self.asked: list[str] = []

    def lose(self, name: str, times: int = 1) -> None:
        self.lost[name] = times

    def block(self, *names: str) -> None:
        self.blocked = set(names)

    @property
    def node(self) -> str:
        return self.store.node

    def rotate(self) -> None:
        self.store.rotate()

    async def close(self) -> None:
        await self.store.close()

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def call(*arguments: Any) -> Any:
            self.asked.append(name)
            if name in self.blocked:
                await asyncio.Event().wait()
            result = await getattr(self.store, name)(*arguments)
            if self.lost.get(name, 0) > 0:
                self.lost[name] -= 1
                raise ConnectionResetError("the answer was lost")
            return result

        return call


class DirectWriter:
    """Writes to a Fence in this process. `hold` delays every write before it leaves."""

    def __init__(self, fence: Fence) -> None:
        self.fence = fence
        self.hold = asyncio.Event()
        self.hold.set()
        self.left: list[str] = []

    async def write(self, id: str, token: int | None, value: Any, leave: Callable[[], bool]) -> Answer:
        await self.hold.wait()
        if not leave():
            raise Refused("held back")
        self.left.append(id)
        await asyncio.sleep(0.001)
        record, _ = self.fence.write(Write(id, token, value))
        if record.type == "fail":
            raise Fenced(record.fence)
        return Answer(value={"order": record.order})

    def close(self) -> None:
        pass


class Stage:
    """Candidates in this process over one store, and the history of what they say."""

    def __init__(self, connect: Callable[[], LeaseStore], leases: Callable[[], Awaitable[int]], database: Path) -> None:
        self.connect, self.leases = connect, leases
        self.ops: list[Op] = []
        epoch = time.monotonic_ns()
        self.recorder = Recorder(lambda: time.monotonic_ns() - epoch)
        self.recorder.listeners.append(self.ops.append)
        self.fence = Fence(str(database), True)
        self.recipes: dict[str, Recipe] = {}
        self.stores: dict[str, Faulty] = {}
        self.writers: dict[str, DirectWriter] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    def candidate(self, name: str, **options: Any) -> Recipe:
        """A candidate with a TTL of 1 s, not yet started."""
        chosen: dict[str, Any] = {"ttl": Duration(S), "renew_every": Duration(250 * MS), "write_every": Duration(20 * MS), **options}
        voice = Transcript(self.recorder, name, f"{name}#1")
        session = Session(f"{name}#1", voice.line, self.recorder.now)
        self.stores[name], self.writers[name] = Faulty(self.connect()), DirectWriter(self.fence)
        self.recipes[name] = Recipe(Lock(**chosen), KEY, session, self.stores[name], self.writers[name])
        return self.recipes[name]

    def begin(self, *names: str) -> None:
        for name in names:
            self.tasks[name] = asyncio.create_task(self.recipes[name].run())

    async def stop(self, *names: str) -> None:
        for name in names or tuple(self.tasks):
            self.recipes[name].stop()
        await asyncio.wait_for(asyncio.gather(*(self.tasks.pop(name) for name in names or tuple(self.tasks))), 10)

    def where(self, f: str, type: str | None = None, name: str = "") -> list[Op]:
        return [op for op in self.ops if op.f == f and type in (None, op.type) and (op.claimant or "").startswith(name)]

    async def until(self, true: Callable[[], T], within_s: float = 5.0) -> T:
        """The first value that is true; looked for every few ms."""
        deadline = time.monotonic() + within_s
        while not (value := true()):
            for task in self.tasks.values():
                if task.done():
                    task.result()
            assert time.monotonic() < deadline, "\n".join(map(str, self.ops))
            await asyncio.sleep(0.003)
        return value

    async def op(self, f: str, type: str, name: str = "", number: int = 1, within_s: float = 5.0) -> Op:
        """The so-manieth op of this kind, waited for."""
        await self.until(lambda: len(self.where(f, type, name)) >= number, within_s)
        return self.where(f, type, name)[number - 1]

    async def close(self) -> None:
        if self.tasks:
            for store in self.stores.values():
                store.block()
                store.lost.clear()
            await self.stop()
        for store in self.stores.values():
            await store.close()


Scene = Callable[[Stage], Coroutine[Any, Any, None]]
