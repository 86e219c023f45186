"""Kubernetes' Lease API: objects with compare-and-swap on their resourceVersion and no expiry: the clients judge (client-go's leaderelection)."""
import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from diarchy.clusters.cluster import Observation
from diarchy.clusters.simulated.rpc import Answer, Caller, Rotating, Service
from diarchy.clusters.simulated.services.quorum import Quorum
from diarchy.clusters.simulated.world import World
from diarchy.clusters.stores import Grant, LeaseStore, Lost, Place, Refused
from diarchy.history.units import Duration, default

SECOND = 10**9
Judge = Literal["observed", "wall"]


class Kubernetes(msgspec.Struct, frozen=True, tag="kubernetes", tag_field="kind", forbid_unknown_fields=True):
    """The Lease objects of Kubernetes. Nothing there expires: whoever wants to lead judges by the record whether its holder still does.

    The token is `leaseTransitions`, counted up by every taking, in one compare-and-swap with it: no two takings have the same, and it
    stays when a holder lets go. (client-go leaves it as it is where a holder takes its own lease again; here that is another stay in
    office. The resourceVersion would rise as well, but changes with each renewal, so that the record would not show the holder's.)
    """

    judge: Annotated[Judge, msgspec.Meta(description=(
        "when a lease counts as over. observed: when its record has not changed for leaseDuration by the judge's own monotonic clock "
        "since it saw it change, as client-go does; wall: when renewTime + leaseDuration is past by the judge's wall clock"))] = "observed"
    poll: Annotated[Duration | None, msgspec.Meta(description="how often those who wait look at the lease; default: a tenth of its duration")] = None
    election: Annotated[Duration, msgspec.Meta(description="how long the store's leader must be without a majority before another node leads")] = default("1s")

    tokens: ClassVar[bool] = True
    queues: ClassVar[bool] = False

    def problems(self, nodes: int) -> Iterator[tuple[str, str]]:
        """What no such service can be: pairs of an option of the service and what is wrong with it."""
        yield from ()

    def lease_problem(self, ttl: int) -> str | None:
        """Why no Lease can have just this duration, or None."""
        return f"{Duration(ttl)} is no whole number of seconds, which is what leaseDurationSeconds takes" if ttl % SECOND else None

    def build(self, world: World, nodes: tuple[str, ...]) -> Service:
        """The service on these nodes."""
        return KubernetesService(world, nodes, self)


class Record(msgspec.Struct, frozen=True):
    """A Lease's spec: holderIdentity ("" for nobody), leaseDuration in ns, renewTime by the holder's wall clock in ns, leaseTransitions."""

    holder: str
    duration: int
    renewed: int
    transitions: int


class Object(msgspec.Struct, frozen=True):
    """A record as it was read. `version` 0: there is none yet."""

    record: Record
    version: int


ABSENT = Object(Record("", 0, 0, 0), 0)


class Get(msgspec.Struct, frozen=True):
    key: str


class Put(msgspec.Struct, frozen=True):
    """Compare-and-swap: it must still have this version."""

    key: str
    record: Record
    version: int


class Conflict(Refused):
    """Somebody else has written since."""


class KubernetesService:
    """API servers over a consistent store (etcd): reads are quorum reads, which is what leaderelection asks for."""

    def __init__(self, world: World, nodes: tuple[str, ...], options: Kubernetes) -> None:
        self._options = options
        self._quorum = Quorum(world, nodes, int(options.election), lambda: None)
        self.quorum = self._quorum.size
        self._objects: dict[str, Object] = {}
        self._version = 0

    def start(self) -> None:
        self._quorum.start()

    def observe(self, node: str) -> Observation:
        return self._quorum.observe(node)

    def store(self, caller: Caller, first: int) -> LeaseStore:
        return KubernetesStore(caller, first, self._options)

    def serve(self, node: str, request: Any, answer: Answer) -> None:
        self._quorum.propose(node, partial(self._apply, request), answer)

    def _apply(self, request: Get | Put) -> Object:
        there = self._objects.get(request.key, ABSENT)
        match request:
            case Get():
                return there
            case Put(key, record, version):
                if version != there.version:
                    raise Conflict(f"the lease has changed: resourceVersion {there.version}, not {version}")
                self._version += 1
                self._objects[key] = Object(record, self._version)
                return self._objects[key]


class _Own(msgspec.Struct):
    """A lease of this client: what it was asked for, and what became of it. `there` is the object as last written or read."""

    ttl: int
    key: str = ""
    there: Object = ABSENT

    def held(self, now: Object) -> bool:
        """Whether this is that very taking, renewed or not."""
        record = self.there.record
        return record.holder != "" and (now.record.holder, now.record.transitions) == (record.holder, record.transitions)


class KubernetesStore(Rotating):
    """A LeaseStore over Lease objects, in the manner of client-go. A grant is a plan: the API server hears of it with the create."""

    def __init__(self, caller: Caller, first: int, options: Kubernetes) -> None:
        super().__init__(caller, first)
        self._options = options
        self._leases: dict[str, _Own] = {}
        self._grants = 0
        self._seen: dict[str, tuple[Object, int]] = {}

    async def grant(self, ttl: int) -> Grant:
        self._grants += 1
        lease = f"{self._caller.host.claimant}/{self._grants}"
        self._leases[lease] = _Own(int(ttl))
        return Grant(lease, int(ttl))

    async def create(self, key: str, value: str, lease: str) -> int | None:
        own, there = self._own(lease), await self._get(key)
        if not self._free(key, there):
            raise Refused(f"{there.record.holder} holds it")
        own.key, own.there = key, Object(self._record(value, own.ttl, there.record.transitions + 1), there.version)
        await self._put(own, own.there)
        return own.there.record.transitions

    async def keepalive(self, lease: str) -> int:
        own = self._own(lease)
        try:
            await self._renew(own, own.there.version)
        except Conflict:
            await self._renew(own, (await self._still(own, lease)).version)
        return own.ttl

    async def revoke(self, lease: str) -> None:
        own = self._own(lease)
        if own.there.record.holder:
            there = await self._still(own, lease)
            await self._put(own, Object(self._record("", own.ttl, there.record.transitions), there.version))
        del self._leases[lease]

    async def holder(self, key: str) -> Place | None:
        there = await self._get(key)
        return None if self._free(key, there) else Place(key, there.record.holder, there.record.transitions)

    async def enqueue(self, key: str, value: str, lease: str) -> Place:
        raise Refused("a Lease has one holder and no queue")

    async def queue(self, key: str) -> tuple[Place, ...]:
        raise Refused("a Lease has one holder and no queue")

    async def gone(self, held: Place) -> None:
        while await self.holder(held.key) == held:
            record = self._seen[held.key][0].record
            await asyncio.sleep((self._options.poll or record.duration // 10) / 1e9)

    def _free(self, key: str, there: Object) -> bool:
        """Whether nobody holds it, as far as this client can judge."""
        record = there.record
        match self._options.judge:
            case "observed":
                since, now = self._seen[key][1], self._caller.now()
            case "wall":
                since, now = record.renewed, self._caller.wall()
        return record.holder == "" or now > since + record.duration

    def _own(self, lease: str) -> _Own:
        if lease not in self._leases:
            raise Lost(f"lease {lease} was given back")
        return self._leases[lease]

    async def _still(self, own: _Own, lease: str) -> Object:
        """The object, if it is still held by that very lease. Raises Lost."""
        there = await self._get(own.key)
        if not own.held(there):
            del self._leases[lease]
            raise Lost(f"{there.record.holder or 'nobody'} holds it now")
        return there

    async def _renew(self, own: _Own, version: int) -> None:
        record = own.there.record
        await self._put(own, Object(self._record(record.holder, own.ttl, record.transitions), version))

    def _record(self, holder: str, ttl: int, transitions: int) -> Record:
        return Record(holder, ttl, self._caller.wall(), transitions)

    async def _get(self, key: str) -> Object:
        there: Object = await self._call(Get(key))
        if key not in self._seen or self._seen[key][0] != there:
            self._seen[key] = there, self._caller.now()
        return there

    async def _put(self, own: _Own, wanted: Object) -> None:
        own.there = await self._call(Put(own.key, wanted.record, wanted.version))
