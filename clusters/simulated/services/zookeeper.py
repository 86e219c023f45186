"""ZooKeeper: sessions, ephemeral nodes, one-shot watches; writes through the leader, reads from what the asked server has applied.

Hunt, Konar, Junqueira, Reed: ZooKeeper: wait-free coordination for Internet-scale systems, USENIX ATC 2010.
"""
from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated, Any, ClassVar, Literal, cast

import msgspec

from diarchy.clusters.cluster import Observation
from diarchy.clusters.simulated.rpc import Answer, Caller, Rotating, Service
from diarchy.clusters.simulated.services.quorum import Quorum
from diarchy.clusters.simulated.world import World
from diarchy.clusters.stores import Grant, LeaseStore, Lost, Place, Refused, Unreachable
from diarchy.history.units import Duration, default

NEVER = -2**62
"""Before any time that a clock shows, ns."""


class ZooKeeper(msgspec.Struct, frozen=True, tag="zookeeper", tag_field="kind", forbid_unknown_fields=True):
    """ZooKeeper, as its recipes see it: sessions, ephemeral (sequential) nodes, watches; the token is the czxid of the node.

    Commits reach the other servers by messages, and each answers reads from what it has applied: a read can be stale. The queue
    recipe needs no `sync` for all that: the answer to a create comes after the server has applied it, a server refuses clients
    that have seen more than it has, and so none shows a node without those before it that still exist. A server that has not
    heard for `sync_limit` ticks from a leader with a majority answers nothing.
    """

    tick: Annotated[Duration, msgspec.Meta(description="ZooKeeper's tickTime: the leader says that it lives twice in each, and sessions end at its multiples")] = default("250ms")
    sync_limit: Annotated[int, msgspec.Meta(ge=1, description="ticks of silence after which a server answers nothing, and the leader is replaced")] = 4
    min_session: Annotated[Duration | None, msgspec.Meta(description="the shortest session that is granted; default: 2 ticks")] = None
    max_session: Annotated[Duration | None, msgspec.Meta(description="the longest session that is granted; default: 20 ticks")] = None
    pings: Annotated[Literal["leader", "server"], msgspec.Meta(description=(
        "who answers a session's ping: the leader, which ends sessions; or, as in ZooKeeper, at once the server that is asked, which then "
        "tells the leader. A server that is cut off does so for `sync_limit` ticks: no deadline can be computed from its answers"))] = "leader"

    tokens: ClassVar[bool] = True

    @property
    def sessions(self) -> tuple[int, int]:
        """The shortest and the longest session, ns."""
        return int(self.min_session or 2 * self.tick), int(self.max_session or 20 * self.tick)

    @property
    def patience(self) -> int:
        """How long a server goes on without a sign of a majority, ns."""
        return self.sync_limit * self.tick

    def problems(self, nodes: int) -> Iterator[tuple[str, str]]:
        """What no such service can be: pairs of an option of the service and what is wrong with it."""
        least, most = self.sessions
        if least > most:
            yield "max_session" if self.max_session else "min_session", f"the longest session ({Duration(most)}) is shorter than the shortest ({Duration(least)})"

    def lease_problem(self, ttl: int) -> str | None:
        """Why no session would be granted for just so long, or None."""
        least, most = self.sessions
        return None if least <= ttl <= most else (
            f"{Duration(ttl)} is none of the session times that this ZooKeeper grants, {Duration(least)} to {Duration(most)} (min_session, max_session)")

    def build(self, world: World, nodes: tuple[str, ...]) -> Service:
        """The service on these nodes."""
        return ZooKeeperService(world, nodes, self)


class OpenSession(msgspec.Struct, frozen=True):
    timeout: int


class Ping(msgspec.Struct, frozen=True):
    session: str


class CloseSession(msgspec.Struct, frozen=True):
    session: str


class Create(msgspec.Struct, frozen=True):
    """An ephemeral node; of a sequential one the path is the parent's. Its zxid is its number: both only rise."""

    path: str
    value: str
    session: str
    sequential: bool = False


class GetData(msgspec.Struct, frozen=True):
    path: str


class GetChildren(msgspec.Struct, frozen=True):
    path: str


class Exists(msgspec.Struct, frozen=True):
    """With a watch: answered when this node is gone, once. A client that sets it again means the same watch."""

    path: str
    czxid: int | None
    client: str


class Asked(msgspec.Struct, frozen=True):
    """A request from a client that has seen the state at `seen`."""

    request: Any
    seen: int


class Told(msgspec.Struct, frozen=True):
    """A result, or what is to be raised, from the state at `zxid`."""

    result: Any
    zxid: int


class _Opened(msgspec.Struct, frozen=True):
    session: str
    timeout: int


class _Closed(msgspec.Struct, frozen=True):
    session: str


class _Created(msgspec.Struct, frozen=True):
    place: Place
    session: str


class _Server:
    """One server. Nodes, sessions and `term` are on its disk; the rest is lost with its process.

    `heard`: when it last had a sign of a leader with a majority; `ends`: of the leader alone, when it will end each session; both
    by its own clock, ns.
    """

    def __init__(self, name: str) -> None:
        self.name, self.leader = name, name
        self.nodes: dict[str, _Created] = {}
        self.sessions: dict[str, int] = {}
        self.applied = self.term = 0
        self.forget()

    def forget(self) -> None:
        """What a restart loses."""
        self.heard = NEVER
        self.ends: dict[str, int] = {}
        self.watches: dict[Exists, Callable[[Any], object]] = {}

    def apply(self, change: _Opened | _Closed | _Created) -> None:
        self.applied += 1
        match change:
            case _Opened(session, timeout):
                self.sessions[session] = timeout
            case _Created(place):
                self.nodes[place.key] = change
            case _Closed(session):
                del self.sessions[session]
                self.ends.pop(session, None)
                for path in [path for path, node in self.nodes.items() if node.session == session]:
                    del self.nodes[path]
                    self.tell(path)

    def tell(self, path: str) -> None:
        """Whoever watches this path."""
        for watch in [watch for watch in self.watches if watch.path == path]:
            self.watches.pop(watch)(None)


class ZooKeeperService:
    """The ensemble. What is committed is a log; a message that names a zxid brings all that was committed before, as a connection does."""

    def __init__(self, world: World, nodes: tuple[str, ...], options: ZooKeeper) -> None:
        self._world, self._options = world, options
        self._quorum = Quorum(world, nodes, options.patience, self._elected)
        self.quorum = self._quorum.size
        self._servers = {node: _Server(node) for node in nodes}
        self._log: list[_Opened | _Closed | _Created] = []

    def start(self) -> None:
        self._quorum.start()
        for node, server in self._servers.items():
            server.heard = self._now(node)
            self._world.host(node).started.append(server.forget)
        self._elected()

    def observe(self, node: str) -> Observation:
        said = self._quorum.observe(node)
        if not self._serves(self._servers[node]):
            return Observation(False, said.term, said.claimant, "looking")
        return said

    def store(self, caller: Caller, first: int) -> LeaseStore:
        return ZooKeeperStore(caller, first)

    def serve(self, node: str, asked: Asked, answer: Answer) -> None:
        server = self._servers[node]
        if not self._serves(server):
            return
        if asked.seen > server.applied:
            return answer(Unreachable(f"{node} is behind what the client has seen"))

        def told(result: Any) -> None:
            answer(Told(result, server.applied))

        def committed(reply: Told) -> None:
            self._learn(server, reply.zxid)
            told(reply.result)

        match asked.request:
            case GetData(path):
                told(server.nodes[path].place if path in server.nodes else None)
            case GetChildren(path):
                told(tuple(node.place for name, node in server.nodes.items() if name.startswith(f"{path}/")))
            case Exists(path, czxid) as watch:
                server.watches[watch] = told
                if path not in server.nodes or server.nodes[path].place.token != czxid:
                    server.tell(path)
            case Ping(session):
                self._ping(server, session, told)
            case request:
                self._quorum.propose(node, partial(self._commit, request), committed)

    def _ping(self, server: _Server, session: str, told: Callable[[Any], object]) -> None:
        if self._options.pings == "server":
            told(server.sessions[session] if session in server.sessions else _gone(session))
            told = _nobody
        self._world.send(server.name, server.leader, self._touch, self._servers[server.leader], server.name, session, told)

    def _touch(self, leader: _Server, server: str, session: str, told: Callable[[Any], object]) -> None:
        """At the leader, which alone knows how long a session lives. One that has lost its majority is silent."""
        if self._quorum.claim(leader.name) == leader.term and self._serves(leader):
            if session in leader.ends:
                self._prolong(leader, session)
            self._world.send(leader.name, server, told, leader.sessions[session] if session in leader.ends else _gone(session))

    def _prolong(self, leader: _Server, session: str) -> None:
        """Its whole time anew, up to the next tick."""
        tick = self._options.tick
        leader.ends[session] = -(-(self._now(leader.name) + leader.sessions[session]) // tick) * tick

    def _commit(self, request: Any) -> Told:
        """At the leader, once a majority has it. Refusals are part of the order of things, too."""
        try:
            result = self._write(self._servers[self._quorum.leader], request, len(self._log) + 1)
        except Refused as error:
            result = error
        return Told(result, len(self._log))

    def _write(self, leader: _Server, request: Any, zxid: int) -> Any:
        match request:
            case OpenSession(asked):
                least, most = self._options.sessions
                opened = _Opened(f"{zxid}", min(max(asked, least), most))
                self._append(opened)
                self._prolong(leader, opened.session)
                return Grant(opened.session, opened.timeout)
            case CloseSession(session):
                _known(leader, session)
                self._append(_Closed(session))
            case Create(path, value, session, sequential):
                _known(leader, session)
                path = f"{path}/{zxid:010d}" if sequential else path
                if path in leader.nodes:
                    raise Refused(f"{leader.nodes[path].place.value} holds it")
                self._append(_Created(Place(path, value, zxid), session))
                return leader.nodes[path].place

    def _append(self, change: _Opened | _Closed | _Created) -> None:
        self._log.append(change)
        leader, zxid = self._quorum.leader, len(self._log)
        for node, server in self._servers.items():
            self._world.send(leader, node, self._learn, server, zxid)

    def _learn(self, server: _Server, zxid: int) -> None:
        for change in self._log[server.applied:zxid]:
            server.apply(change)

    def _elected(self) -> None:
        """The new leader has all that was ever acknowledged (Zab's recovery), and gives every session its whole time anew."""
        leader = self._servers[self._quorum.leader]
        leader.leader, leader.term, leader.heard = leader.name, self._quorum.term, self._now(leader.name)
        self._learn(leader, len(self._log))
        for session in leader.sessions:
            self._prolong(leader, session)
        self._beat(leader, leader.term)

    def _beat(self, leader: _Server, term: int) -> None:
        """Twice a tick: say that it leads, hear whether a majority follows, and end sessions whose time has come."""
        if self._quorum.claim(leader.name) != term:
            return
        acks, sent, serves = {leader.name}, self._now(leader.name), self._serves(leader)

        def count(node: str) -> None:
            acks.add(node)
            if len(acks) >= self.quorum and self._quorum.claim(leader.name) == term:
                leader.heard = max(leader.heard, sent)

        count(leader.name)
        for node in self._servers:
            if node != leader.name:
                self._world.send(leader.name, node, self._follow, self._servers[node], leader.name, term, serves, leader.applied, count)
        for session in [session for session, end in leader.ends.items() if end <= sent]:
            self._quorum.propose(leader.name, partial(self._expire, session), _nobody)
        self._world.host(leader.name).after(self._options.tick // 2, self._beat, leader, term)

    def _follow(self, server: _Server, leader: str, term: int, serves: bool, zxid: int, count: Callable[[str], None]) -> None:
        if term >= server.term:
            server.leader, server.term = leader, term
            self._learn(server, zxid)
            if serves:
                server.heard = self._now(server.name)
            self._world.send(server.name, leader, count, server.name)

    def _expire(self, session: str) -> None:
        leader = self._servers[self._quorum.leader]
        if session in leader.ends and leader.ends[session] <= self._now(leader.name):
            self._append(_Closed(session))

    def _serves(self, server: _Server) -> bool:
        return self._now(server.name) - server.heard < self._options.patience

    def _now(self, node: str) -> int:
        return self._world.host(node).now()


def _known(leader: _Server, session: str) -> None:
    if session not in leader.sessions:
        raise _gone(session)


def _gone(session: str) -> Lost:
    return Lost(f"session {session} has ended")


def _nobody(result: Any) -> None:
    """Nobody waits for this answer."""


class ZooKeeperStore(Rotating):
    """A LeaseStore over sessions and ephemeral nodes. It never goes back in time: servers that are behind what it has seen refuse it."""

    _seen = 0

    async def grant(self, ttl: int) -> Grant:
        return cast(Grant, await self._ask(OpenSession(int(ttl))))

    async def keepalive(self, lease: str) -> int:
        return int(await self._ask(Ping(lease)))

    async def revoke(self, lease: str) -> None:
        await self._ask(CloseSession(lease))

    async def create(self, key: str, value: str, lease: str) -> int | None:
        return cast(Place, await self._ask(Create(key, value, lease))).token

    async def holder(self, key: str) -> Place | None:
        return cast("Place | None", await self._ask(GetData(key)))

    async def enqueue(self, key: str, value: str, lease: str) -> Place:
        return cast(Place, await self._ask(Create(key, value, lease, sequential=True)))

    async def queue(self, key: str) -> tuple[Place, ...]:
        return cast("tuple[Place, ...]", await self._ask(GetChildren(key)))

    async def gone(self, held: Place) -> None:
        await self._ask(Exists(held.key, held.token, self._caller.host.claimant))

    async def _ask(self, request: Any) -> Any:
        told: Told = await self._call(Asked(request, self._seen))
        self._seen = max(self._seen, told.zxid)
        if isinstance(told.result, Exception):
            raise told.result
        return told.result
