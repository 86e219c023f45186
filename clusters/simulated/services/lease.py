"""A consistent lease store: leases, keys bound to them, watches (etcd; Consul's sessions and a database's row are the same to a recipe)."""
from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any, ClassVar, cast

import msgspec

from diarchy.clusters.cluster import Observation
from diarchy.clusters.simulated.hosts import SimulatedHost
from diarchy.clusters.simulated.rpc import Answer, Caller, Rotating, Service
from diarchy.clusters.simulated.services.quorum import Quorum
from diarchy.clusters.simulated.world import World
from diarchy.clusters.stores import Grant, LeaseStore, Lost, Place, Refused
from diarchy.history.units import Duration, default

AGAIN = 100_000_000
"""A lease whose end could not be agreed on is tried again after so long, ns."""


class Lease(msgspec.Struct, frozen=True, tag="lease", tag_field="kind", forbid_unknown_fields=True):
    """A consistent lease store, as etcd, Consul or a database are: what a majority has is done, leases end by the leader's clock."""

    election: Annotated[Duration, msgspec.Meta(description="how long its leader must be silent before another node leads")] = default("1s")

    tokens: ClassVar[bool] = True

    def problems(self, nodes: int) -> Iterator[tuple[str, str]]:
        """What no such service can be: pairs of an option of the cluster and what is wrong with it."""
        yield from ()

    def lease_problem(self, ttl: int) -> str | None:
        return None

    def build(self, world: World, nodes: tuple[str, ...]) -> Service:
        """The service on these nodes."""
        return LeaseService(world, nodes, int(self.election))


class GrantLease(msgspec.Struct, frozen=True):
    ttl: int


class Keepalive(msgspec.Struct, frozen=True):
    lease: str


class Revoke(msgspec.Struct, frozen=True):
    lease: str


class Create(msgspec.Struct, frozen=True):
    key: str
    value: str
    lease: str


class Find(msgspec.Struct, frozen=True):
    """The key itself, or all keys under it."""

    key: str
    under: bool = False


class Watch(msgspec.Struct, frozen=True):
    """Answered when the key with this token has been deleted. A client that watches again means the same watch."""

    key: str
    token: int | None
    client: str


class _Lease(msgspec.Struct):
    """`ends` by the clock of the node that leads, ns."""

    ttl: int
    ends: int


class _Kept(msgspec.Struct, frozen=True):
    place: Place
    lease: str


class LeaseService:
    """The store on its nodes. What a majority has acknowledged survives any kill of a minority; a new leader gives every lease its
    whole TTL anew, because it cannot know when the last one would have ended (as etcd does)."""

    def __init__(self, world: World, nodes: tuple[str, ...], election: int) -> None:
        self._quorum = Quorum(world, nodes, election, self._elected)
        self.quorum = self._quorum.size
        self._world = world
        self._leases: dict[str, _Lease] = {}
        self._keys: dict[str, _Kept] = {}
        self._watches: dict[Watch, tuple[str, Answer]] = {}
        self._revision = 1

    def start(self) -> None:
        self._quorum.start()

    def observe(self, node: str) -> Observation:
        return self._quorum.observe(node)

    def store(self, caller: Caller, first: int) -> LeaseStore:
        return SimulatedLeaseStore(caller, first)

    def serve(self, node: str, request: Any, answer: Answer) -> None:
        match request:
            case Watch():
                self._quorum.propose(node, partial(self._watch, node, request, answer), lambda _: None)
            case _:
                self._quorum.propose(node, partial(self._apply, request), answer)

    def _apply(self, request: Any) -> Any:
        match request:
            case GrantLease(ttl):
                self._revision += 1
                lease = str(self._revision)
                self._leases[lease] = _Lease(ttl, 0)
                self._time(lease)
                return Grant(lease, ttl)
            case Keepalive(lease):
                known = self._known(lease)
                known.ends = self._leader.now() + known.ttl
                return known.ttl
            case Revoke(lease):
                self._known(lease)
                self._end(lease)
            case Create(key, value, lease):
                self._known(lease)
                if key in self._keys:
                    raise Refused(f"{self._keys[key].place.value} holds it")
                self._revision += 1
                self._keys[key] = _Kept(Place(key, value, self._revision), lease)
                return self._keys[key].place
            case Find(key, under=True):
                return tuple(kept.place for name, kept in self._keys.items() if name.startswith(f"{key}/"))
            case Find(key):
                return self._keys[key].place if key in self._keys else None

    def _known(self, lease: str) -> _Lease:
        if lease not in self._leases:
            raise Lost(f"lease {lease} is gone")
        return self._leases[lease]

    @property
    def _leader(self) -> SimulatedHost:
        return self._world.host(self._quorum.leader)

    def _time(self, lease: str) -> None:
        """Its whole TTL from now on, by the leader's clock."""
        known = self._leases[lease]
        known.ends = self._leader.now() + known.ttl
        self._leader.after(known.ttl, self._ring, lease, self._quorum.term)

    def _ring(self, lease: str, term: int) -> None:
        """The leader's timer. A proposal to end the lease can be lost, and the lease can be prolonged meanwhile."""
        if term != self._quorum.term or lease not in self._leases:
            return
        left = self._leases[lease].ends - self._leader.now()
        if left <= 0:
            self._quorum.propose(self._quorum.leader, partial(self._expire, lease), lambda _: None)
        self._leader.after(max(left, AGAIN), self._ring, lease, term)

    def _expire(self, lease: str) -> None:
        if lease in self._leases and self._leases[lease].ends <= self._leader.now():
            self._end(lease)

    def _elected(self) -> None:
        for lease in self._leases:
            self._time(lease)

    def _end(self, lease: str) -> None:
        del self._leases[lease]
        for key in [key for key, kept in self._keys.items() if kept.lease == lease]:
            del self._keys[key]
            self._tell(key)

    def _watch(self, node: str, watch: Watch, answer: Answer) -> None:
        held = self._keys.get(watch.key)
        self._watches[watch] = node, answer
        if held is None or held.place.token != watch.token:
            self._tell(watch.key)

    def _tell(self, key: str) -> None:
        """Each node tells its watchers, once it has heard of the deletion itself."""
        for watch in [watch for watch in self._watches if watch.key == key]:
            node, answer = self._watches.pop(watch)
            self._world.send(self._quorum.leader, node, answer, None)


class SimulatedLeaseStore(Rotating):
    """A LeaseStore over a simulated service with leases of its own."""

    async def grant(self, ttl: int) -> Grant:
        return cast(Grant, await self._call(GrantLease(int(ttl))))

    async def keepalive(self, lease: str) -> int:
        return int(await self._call(Keepalive(lease)))

    async def revoke(self, lease: str) -> None:
        await self._call(Revoke(lease))

    async def create(self, key: str, value: str, lease: str) -> int | None:
        return cast(Place, await self._call(Create(key, value, lease))).token

    async def holder(self, key: str) -> Place | None:
        return cast("Place | None", await self._call(Find(key)))

    async def enqueue(self, key: str, value: str, lease: str) -> Place:
        return cast(Place, await self._call(Create(f"{key}/{lease}", value, lease)))

    async def queue(self, key: str) -> tuple[Place, ...]:
        return cast("tuple[Place, ...]", await self._call(Find(key, under=True)))

    async def gone(self, held: Place) -> None:
        await self._call(Watch(held.key, held.token, self._caller.host.claimant))
