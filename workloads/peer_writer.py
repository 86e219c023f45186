"""The writes of a node in office: one after the other, over simulated links, without coroutines."""
from collections.abc import Callable

from diarchy.clusters.simulated.world import World
from diarchy.history.units import Duration
from diarchy.workloads.claims import Claims
from diarchy.workloads.memory import RESOURCE, SimulatedResource
from diarchy.workloads.resource import Record, Write


class PeerWriter:
    """Writes from the moment of taking office. `in_office` is asked with the tenure before each write leaves."""

    def __init__(self, world: World, name: str, claims: Claims, resource: SimulatedResource, every: Duration, timeout: Duration,
                 in_office: Callable[[int], bool]) -> None:
        self._loop, self._host, self._claims, self._resource = world.loop, world.host(name), claims, resource
        self._there, self._back = world.link(name, RESOURCE).send, world.link(RESOURCE, name).send
        self._every, self._timeout, self._in_office = int(every), int(timeout), in_office
        self._tell, self._process = claims.tell, f"{name}/write"
        self._count = self._unknown = 0
        self._pending: Write | None = None
        self._left, self._tenure = 0, 0
        self._watched = False

    def begin(self, tenure: int) -> None:
        """In office: write at once, unless the answer to one of the stay before is still waited for."""
        if self._pending is None:
            self._write(tenure, None)

    def died(self) -> None:
        """The boot is over; no answer is waited for."""
        self._pending = None

    def _write(self, tenure: int, _: None) -> None:
        if not self._host.awake:
            return self._host.take(self._write, (tenure, None))
        if tenure != self._claims.tenure or not self._in_office(tenure):
            return
        claims, self._left, self._tenure = self._claims, self._host.now(), tenure
        self._count += 1
        write = self._pending = Write(f"{self._host.claimant}-{self._count}", claims.token, self._count)
        self._tell(self._process, "invoke", "write", claimant=self._host.claimant, tenure=tenure, token=write.token, id=write.id, value=self._count)
        self._there(self._arrive, write, tenure)
        if not self._watched:
            self._watch(self._left + self._timeout)

    def _arrive(self, write: Write, tenure: int) -> None:
        if not self._resource.host.awake:
            return self._resource.host.take(self._arrive, (write, tenure))
        self._back(self._written, self._resource.write(write), tenure)

    def _written(self, record: Record, tenure: int) -> None:
        if not self._host.awake:
            return self._host.take(self._written, (record, tenure))
        if self._pending is None or record.id != self._pending.id:
            return
        self._pending = None
        error = None if record.type == "ok" else f"the fence is at {record.fence}"
        self._tell(self._process, record.type, "write", claimant=self._host.claimant, tenure=tenure, token=record.token, id=record.id,
                   error=error)
        self._next(tenure)

    def _next(self, tenure: int) -> None:
        """The next write of this stay, or the first of a stay that began meanwhile."""
        if self._claims.tenure == tenure:
            self._loop.push(self._host.clock.true(self._host.now() + self._every), self._write, tenure, None)
        elif self._claims.tenure is not None:
            self._write(self._claims.tenure, None)

    def _watch(self, due: int) -> None:
        self._watched = True
        self._loop.push(self._host.clock.true(due), self._look, self._host.boot, None)

    def _look(self, boot: int, _: None) -> None:
        """One timer for all writes: it moves on with the one that is under way."""
        if not self._host.awake and not self._host.dead:
            return self._host.take(self._look, (boot, None))
        self._watched = False
        if self._pending is None or boot != self._host.boot:
            return
        if (due := self._left + self._timeout) > self._host.now():
            return self._watch(due)
        write, self._pending = self._pending, None
        tenure = self._claims.tenure
        self._tell(self._process, "info", "write", claimant=self._host.claimant, tenure=self._tenure, token=write.token, id=write.id,
                   error="no answer in time")
        self._unknown += 1
        self._process = f"{self._host.name}/write.{self._unknown}"  # one whose op has an unknown outcome does nothing more
        if tenure is not None:
            self._write(tenure, None)
