"""The resource of a simulated run: the same decisions as the database's, without the database."""
from collections.abc import Callable
from typing import Any

from diarchy.clusters.simulated.hosts import SimulatedHost
from diarchy.clusters.simulated.world import World
from diarchy.clusters.stores import Refused
from diarchy.history.op import Recorder
from diarchy.workloads.resource import Record, Write
from diarchy.workloads.session import Answer
from diarchy.workloads.writer import Fenced, State

RESOURCE = "resource"


class MemoryFence:
    """As resource.Fence: a fenced value, with the order in which writes were taken. It outlives the host's boots, as a disk does."""

    def __init__(self, fenced: bool) -> None:
        self._fenced = fenced
        self.epoch, self.order, self.fence = 1, 0, 0
        self.value: Any = None
        self._taken: dict[str, Record] = {}

    def write(self, write: Write) -> tuple[Record, bool]:
        """Take it or refuse it; also whether that was decided now."""
        if write.id in self._taken:
            return self._taken[write.id], False
        if self._fenced and (write.token is None or write.token < self.fence):
            return Record("fail", write.id, write.token, self.fence, self.epoch), True
        self.order += 1
        self.fence = max(self.fence, write.token or 0)
        self.value = write.value
        record = self._taken[write.id] = Record("ok", write.id, write.token, self.fence, self.epoch, self.order)
        return record, True


class SimulatedResource:
    """The fenced value on a host of its own, and the records that it leaves."""

    def __init__(self, world: World, recorder: Recorder, fenced: bool) -> None:
        self.host: SimulatedHost = world.host(RESOURCE)
        self.fence = MemoryFence(fenced)
        self._recorder = recorder
        self.host.started.append(self._restarted)

    def _restarted(self) -> None:
        self.fence.epoch += 1

    def write(self, write: Write) -> Record:
        """A write has arrived: decide, and record what was decided."""
        record, new = self.fence.write(write)
        if new:
            self._recorder.tell(RESOURCE, record.type, "write", id=record.id, token=record.token, order=record.order,
                                epoch=record.epoch, fence=record.fence)
        return record


class LinkedWriter:
    """A Writer over the links between one host and the resource."""

    def __init__(self, world: World, host: SimulatedHost, resource: SimulatedResource) -> None:
        self._world, self._host, self._resource = world, host, resource

    async def write(self, id: str, token: int | None, value: Any, leave: Callable[[], bool]) -> Answer:
        if not leave():
            raise Refused("no longer in office")
        future = self._world.loop.create_future()
        me = self._host.name

        def arrive() -> None:
            self._world.send(RESOURCE, me, settle, self._resource.write(Write(id, token, value)))

        def settle(record: Record) -> None:
            if not future.done():
                future.set_result(record)

        self._world.send(me, RESOURCE, arrive)
        return answered(await future)

    def close(self) -> None:
        pass


class DirectWriter:
    """The harness's own way to the resource, beside all links."""

    def __init__(self, resource: SimulatedResource) -> None:
        self._resource = resource

    async def write(self, id: str, token: int | None, value: Any, leave: Callable[[], bool] | None = None) -> Answer:
        return answered(self._resource.write(Write(id, token, value)))

    async def state(self) -> State:
        fence = self._resource.fence
        return State(fence.order, fence.fence, fence.epoch, fence.value)

    def close(self) -> None:
        pass


def answered(record: Record) -> Answer:
    """What the writer is told. Raises Fenced."""
    if record.type == "fail":
        raise Fenced(record.fence)
    return Answer(value={"order": record.order, "fence": record.fence})
