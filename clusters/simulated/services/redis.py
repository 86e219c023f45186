"""A Redis-like store: TTL keys, asynchronous replication, a failover by Sentinel that can lose what was acknowledged."""
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, cast

import msgspec

from diarchy.clusters.cluster import Observation
from diarchy.clusters.simulated.rpc import Answer, Caller, Service
from diarchy.clusters.simulated.services.keyspace import (
    Delete,
    Entry,
    Extend,
    Get,
    Incr,
    Keyspace,
    SetNx,
    Write,
    expire_when_set,
)
from diarchy.clusters.simulated.services.polling import PollingStore
from diarchy.clusters.simulated.services.sentinel import Sentinels
from diarchy.clusters.simulated.world import World
from diarchy.clusters.stores import LeaseStore, Lost, Place, Refused
from diarchy.history.units import Duration, default

BEAT = 1_000_000_000
"""A replica tells its primary so often how far it is (REPLCONF ACK), ns."""
MS = 1_000_000

Whose = Literal["owned", "blind"]


class Redis(msgspec.Struct, frozen=True, tag="redis", tag_field="kind", forbid_unknown_fields=True):
    """A Redis primary, replicas that follow it asynchronously, and a Sentinel on each node. With one node, a single server.

    What the primary has acknowledged and no replica has is lost at a failover. The candidates' client is part of it: how it
    renews and releases, and where it takes a token from.
    """

    replication: Annotated[Duration, msgspec.Meta(extra={"least": "0s"}, description=(
        "how long the primary holds back what it sends to its replicas; the links' latency comes on top"))] = default("0s")
    down_after: Annotated[Duration, msgspec.Meta(extra={"least": "1ms"}, description=(
        "Sentinel's down-after-milliseconds: so long without an answer, and the primary counts as down"))] = default("1s")
    failover: Annotated[Duration, msgspec.Meta(extra={"least": "0s"}, description=(
        "from the sentinels' agreement to the promotion of a replica"))] = default("500ms")
    min_replicas: Annotated[int, msgspec.Meta(ge=0, description=(
        "min-replicas-to-write: with fewer replicas that were heard of within `max_lag` the primary refuses writes"))] = 0
    max_lag: Annotated[Duration, msgspec.Meta(extra={"least": "1s"}, description="min-replicas-max-lag")] = default("10s")
    wait: Annotated[int, msgspec.Meta(ge=0, description=(
        "a grant or a renewal counts once so many replicas have it (WAIT); until then nobody knows"))] = 0
    persist: Annotated[Literal["always", "never"], msgspec.Meta(description=(
        "what a server has after a kill: all (an append-only file, synced on every write), or nothing"))] = "always"
    token: Annotated[Literal["incr", "none"], msgspec.Meta(description=(
        "incr: a fencing token by INCR of a second key, after the lock was won; none: there is none"))] = "none"
    release: Annotated[Whose, msgspec.Meta(description="owned: a Lua script deletes one's own lock only; blind: DEL, whoever holds it")] = "owned"
    renew: Annotated[Whose, msgspec.Meta(description="owned: a Lua script prolongs one's own lock only; blind: PEXPIRE, whoever holds it")] = "owned"
    poll: Annotated[Duration, msgspec.Meta(description="who waits looks again after so long, and a random back-off of 50-200ms")] = default("100ms")

    queues: ClassVar[bool] = False

    @property
    def tokens(self) -> bool:
        return self.token == "incr"

    def problems(self, nodes: int) -> Iterator[tuple[str, str]]:
        """What no such service can be: pairs of an option, its own or the cluster's, and what is wrong with it."""
        for key, asked in (("wait", self.wait), ("min_replicas", self.min_replicas)):
            if asked > nodes - 1:
                yield key, f"{asked} replicas are asked for, and {nodes} nodes have {nodes - 1}: nothing would ever be written"

    def lease_problem(self, ttl: int) -> str | None:
        """Why Redis would not take this TTL, or None."""
        return whole_milliseconds(ttl)

    def build(self, world: World, nodes: tuple[str, ...]) -> Service:
        """The service on these nodes."""
        return RedisService(world, nodes, self)


def whole_milliseconds(ttl: int) -> str | None:
    """What is wrong with a time to live that PX cannot say, or None."""
    return f"{Duration(ttl)} is no whole number of milliseconds, which is what Redis takes" if ttl % MS else None


class Version(NamedTuple):
    """How far a server is. A new configuration epoch, or a new boot of the primary, is a new replication history: its replicas take
    over all of it, and drop what they had beyond."""

    epoch: int
    boot: int
    offset: int

    @property
    def past(self) -> tuple[int, int]:
        return self.epoch, self.boot


class Primary(msgspec.Struct, frozen=True):
    """Ask the sentinel who is the primary (SENTINEL GET-MASTER-ADDR-BY-NAME)."""


class Wait(msgspec.Struct, frozen=True):
    """Answered once so many replicas have what was written as this version."""

    version: Version
    replicas: int


class Written(msgspec.Struct, frozen=True):
    """What a write came to, and the version that it made."""

    result: int
    version: Version


class _Server:
    """One node's server. `since` is the boot in which it became primary; `acked` is for each replica how far it said to be, and when
    that was by the primary's clock, ns."""

    def __init__(self, keys: Keyspace) -> None:
        self.keys, self.version, self.since = keys, Version(1, 1, 0), 1
        self.acked: dict[str, tuple[Version, int]] = {}
        self.waiting: list[tuple[Wait, Answer]] = []


class RedisService:
    """The servers. Each replication message carries the whole state as of its offset, so that one that is lost or overtaken is made
    up for by the next, as by a stream in order; a replica that reports to be behind is sent it again."""

    def __init__(self, world: World, nodes: tuple[str, ...], options: Redis) -> None:
        self._world, self._nodes, self._options = world, nodes, options
        self._servers = {node: _Server(Keyspace(world.host(node))) for node in nodes}
        first, *replicas = nodes
        self._servers[first].acked = {node: (self._servers[node].version, 0) for node in replicas}
        self._sentinels = Sentinels(world, nodes, int(options.down_after), int(options.failover), self._changed,
                                    lambda node: self._servers[node].version.offset)
        self.quorum = self._sentinels.size
        self._serial = count(1).__next__

    def start(self) -> None:
        for node in self._nodes:
            host = self._world.host(node)
            host.started.append(partial(self._restarted, node))
            expire_when_set(host, partial(self._expire, node))
            host.after(BEAT, self._beat, node)
        self._sentinels.start()

    def observe(self, node: str) -> Observation:
        """The term is the configuration epoch. It belongs to a node, not to a boot: a primary that was killed and came back before it
        was missed names none."""
        host, leads = self._world.host(node), self._leads(node)
        same = not leads or self._servers[node].since == host.boot
        return Observation(leads, self._sentinels.epoch(node) if same else None, host.claimant, "primary" if leads else "replica")

    def store(self, caller: Caller, first: int) -> LeaseStore:
        return RedisStore(caller, first, self._options, self._serial)

    def serve(self, node: str, request: Any, answer: Answer) -> None:
        server = self._servers[node]
        match request:
            case Primary():
                answer(self._sentinels.primary(node))
            case Get(key):
                answer(server.keys.get(key))
            case Wait(version):
                server.waiting.append((request, answer))
                if self._leads(node) and version.past == server.version.past:
                    self._serve_waiting(node)
                else:
                    self._turn_away(node)
            case _:
                answer(self._write(node, request))

    def _leads(self, node: str) -> bool:
        return self._sentinels.primary(node) == node

    def _write(self, node: str, command: Write) -> Written | Refused:
        server, now = self._servers[node], self._world.host(node).now()
        if not self._leads(node):
            return ReadOnly(f"READONLY: {node} is a replica")
        if sum(now - heard <= self._options.max_lag for _, heard in server.acked.values()) < self._options.min_replicas:
            return Refused(f"NOREPLICAS: {node} has heard of too few replicas for {self._options.max_lag}")
        self._expire(node)
        if result := server.keys.write(command):
            self._replicate(node)
        return Written(result, server.version)

    def _expire(self, node: str) -> None:
        """Only a primary deletes what has ended; replicas hear of it."""
        if self._leads(node) and self._servers[node].keys.expire():
            self._replicate(node)

    def _replicate(self, node: str) -> None:
        """Something was written."""
        server = self._servers[node]
        server.version = server.version._replace(offset=server.version.offset + 1)
        for replica in self._nodes:
            if replica != node:
                self._send_state(node, replica)

    def _send_state(self, node: str, replica: str) -> None:
        server = self._servers[node]
        message = node, replica, self._take, replica, node, server.version, dict(server.keys.entries)
        if self._options.replication:
            self._world.host(node).after(int(self._options.replication), self._world.send, *message)
        else:
            self._world.send(*message)

    def _take(self, node: str, primary: str, version: Version, entries: dict[str, Entry]) -> None:
        server = self._servers[node]
        if self._sentinels.primary(node) == primary and self._sentinels.epoch(node) == version.epoch:
            if version > server.version:
                server.version, server.keys.entries = version, dict(entries)
            self._world.send(node, primary, self._acked, primary, node, server.version, False)

    def _acked(self, node: str, replica: str, version: Version, asks: bool) -> None:
        """A replica says how far it is; one that `asks` is sent what it lacks."""
        server = self._servers[node]
        if not self._leads(node):
            return
        if version.past == server.version.past:
            server.acked[replica] = version, self._world.host(node).now()
            self._serve_waiting(node)
        if asks and version < server.version:
            self._send_state(node, replica)

    def _beat(self, node: str) -> None:
        self._world.host(node).after(BEAT, self._beat, node)
        self._report(node)

    def _report(self, node: str) -> None:
        if not self._leads(node):
            primary = self._sentinels.primary(node)
            self._world.send(node, primary, self._acked, primary, node, self._servers[node].version, True)

    def _serve_waiting(self, node: str) -> None:
        server, waiting = self._servers[node], self._servers[node].waiting
        server.waiting = []
        for wait, answer in waiting:
            if sum(version >= wait.version for version, _ in server.acked.values()) >= wait.replicas:
                answer(None)
            else:
                server.waiting.append((wait, answer))

    def _turn_away(self, node: str) -> None:
        """Close the connections of those that wait for replicas."""
        waiting, self._servers[node].waiting = self._servers[node].waiting, []
        for _, answer in waiting:
            answer(ConnectionResetError(f"{node} has closed the connection: its role has changed"))

    def _changed(self, node: str) -> None:
        """Its sentinel has made it the primary, or a replica of another."""
        if self._leads(node):
            self._begin_history(node, self._servers[node].version.offset)
            self._servers[node].since = self._world.host(node).boot
        else:
            self._turn_away(node)
            self._report(node)

    def _begin_history(self, node: str, offset: int) -> None:
        server = self._servers[node]
        server.version = Version(self._sentinels.epoch(node), self._world.host(node).boot, offset)
        server.acked = {}

    def _restarted(self, node: str) -> None:
        server = self._servers[node]
        server.waiting = []
        if self._options.persist == "never":
            server.keys.entries, server.version = {}, Version(0, 0, 0)
        if self._leads(node):
            self._begin_history(node, server.version.offset)
        self._beat(node)


class ReadOnly(Refused):
    """A replica was asked to write."""


class RedisStore(PollingStore):
    """A LeaseStore over a simulated Redis, as a client library with Sentinel support is: it asks the sentinel of one node who is the
    primary, and stays with that one until it is told to rotate, or is refused as by a replica."""

    def __init__(self, caller: Caller, first: int, options: Redis, serial: Callable[[], int]) -> None:
        super().__init__(caller, first, int(options.poll), serial)
        self._options = options
        self._primary: str | None = None

    @property
    def node(self) -> str:
        return self._primary or super().node

    def rotate(self) -> None:
        super().rotate()
        self._primary = None

    async def keepalive(self, lease: str) -> int:
        if lease not in self._keys:
            raise Lost(f"{lease} has no key")
        ttl = self._ttls[lease]
        written = await self._write(Extend(self._keys[lease], lease if self._options.renew == "owned" else None, ttl))
        if not written.result:
            raise Lost(f"the key of {lease} is gone")
        await self._replicated(written)
        return ttl

    async def revoke(self, lease: str) -> None:
        """Nothing to do for a lease whose key was refused, or never asked for."""
        if lease not in self._keys:
            return self._forget(lease)
        written = await self._write(Delete(self._keys[lease], lease if self._options.release == "owned" else None))
        self._forget(lease)
        if not written.result:
            raise Lost(f"the key of {lease} is gone")

    async def create(self, key: str, value: str, lease: str) -> int | None:
        """Once the key is set, whatever goes wrong leaves the outcome unknown: whoever asked is to revoke the lease."""
        self._keys[lease] = key
        try:
            written = await self._write(SetNx(key, lease, self._ttls[lease]))
            if not written.result:
                raise Refused("somebody holds it")
        except Refused:
            self._forget(lease)
            raise
        token = None
        if self._options.tokens:
            written = await self._token(key)  # WAIT is for all that this client has written
            token = written.result
        await self._replicated(written)
        return token

    async def holder(self, key: str) -> Place | None:
        """As the server says that is believed to be the primary: no linearizable read."""
        value = await self._ask(Get(key))
        return None if value is None else Place(key, value, None)

    async def _token(self, key: str) -> Written:
        try:
            return await self._write(Incr(f"{key}/token"))
        except Refused as error:
            raise ConnectionError(f"the key is set, but there is no token: {error}") from error

    async def _replicated(self, written: Written) -> None:
        """Wait until so many replicas have it, if that was asked for."""
        if self._options.wait:
            try:
                await self._ask(Wait(written.version, self._options.wait))
            except Refused as error:
                raise ConnectionError(f"it is written, but perhaps on no replica: {error}") from error

    async def _write(self, command: Write) -> Written:
        return cast(Written, await self._ask(command))

    async def _ask(self, request: Any) -> Any:
        if self._primary is None:
            self._primary = cast(str, await self._call(Primary()))
        try:
            return await self._caller.call(self._primary, request)
        except ReadOnly:
            self._primary = None
            raise
