"""Redlock: a lock on a majority of independent Redis servers (S. Sanfilippo, Distributed locks with Redis; what it does not promise:
M. Kleppmann, How to do distributed locking, 2016)."""
import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from diarchy.clusters.cluster import Observation
from diarchy.clusters.simulated.rpc import Answer, Caller, Service
from diarchy.clusters.simulated.services.keyspace import Delete, Extend, Get, Keyspace, SetNx, expire_when_set
from diarchy.clusters.simulated.services.polling import PollingStore
from diarchy.clusters.simulated.services.redis import whole_milliseconds
from diarchy.clusters.simulated.world import World
from diarchy.clusters.stores import Grant, LeaseStore, Lost, Place, Refused
from diarchy.history.units import Duration, default


class Redlock(msgspec.Struct, frozen=True, tag="redlock", tag_field="kind", forbid_unknown_fields=True):
    """Redlock over independent Redis servers, one on each node: whoever has set the key on a majority of them holds the lock.

    There are no tokens. Keys end by each server's wall clock. Its usual size is five nodes.
    """

    server_timeout: Annotated[Duration, msgspec.Meta(description="how long a client waits for the answer of one server")] = default("50ms")
    fsync: Annotated[Literal["always", "never"], msgspec.Meta(description=(
        "what a server has after a kill: all that it had acknowledged, or nothing"))] = "always"
    delayed_restart: Annotated[bool, msgspec.Meta(description=(
        "a server that was killed and started stays silent until every lock that it may have forgotten has ended"))] = False
    poll: Annotated[Duration, msgspec.Meta(description="who waits looks again after so long, and a random back-off of 50-200ms")] = default("100ms")

    tokens: ClassVar[bool] = False
    queues: ClassVar[bool] = False
    led: ClassVar[bool] = False

    def problems(self, nodes: int) -> Iterator[tuple[str, str]]:
        """What no such service can be: pairs of an option of the cluster and what is wrong with it."""
        if nodes < 3 or nodes % 2 == 0:
            yield "nodes", f"Redlock takes an odd number of servers, three or more, not {nodes}: an even one survives no more failures"

    def lease_problem(self, ttl: int) -> str | None:
        """Why Redlock could not use this TTL, or None."""
        if ttl <= drift(ttl):
            return f"{Duration(ttl)} is too short: nothing is left of it once the servers' drift is allowed for"
        return whole_milliseconds(ttl)

    def build(self, world: World, nodes: tuple[str, ...]) -> Service:
        """The service on these nodes."""
        return RedlockService(world, nodes, self)


def drift(ttl: int) -> int:
    """What is taken off a TTL because the servers' clocks do not run alike, ns: 1 % and 2 ms, as Redlock's implementations do."""
    return ttl // 100 + 2_000_000


class RedlockService:
    """The servers: they know nothing of one another."""

    def __init__(self, world: World, nodes: tuple[str, ...], options: Redlock) -> None:
        self._world, self._nodes, self._options = world, nodes, options
        self.quorum = len(nodes) // 2 + 1
        self._keys = {node: Keyspace(world.host(node)) for node in nodes}
        self._silent = dict.fromkeys(nodes, 0)
        self._longest = 0
        self._serial = count(1).__next__

    def start(self) -> None:
        for node in self._nodes:
            host = self._world.host(node)
            host.started.append(partial(self._restarted, node))
            expire_when_set(host, self._keys[node].expire)

    def observe(self, node: str) -> Observation:
        """None of them leads."""
        return Observation(False, None, self._world.host(node).claimant, "server")

    def store(self, caller: Caller, first: int) -> LeaseStore:
        return RedlockStore(caller, first, self._options, self._serial)

    def serve(self, node: str, request: Any, answer: Answer) -> None:
        if self._world.host(node).now() < self._silent[node]:
            return
        match request:
            case Get(key):
                answer(self._keys[node].get(key))
            case _:
                if isinstance(request, SetNx):
                    self._longest = max(self._longest, request.ttl)
                answer(self._keys[node].write(request))

    def _restarted(self, node: str) -> None:
        """How long to stay silent is the operators' knowledge: the longest TTL that any client ever asked for."""
        if self._options.fsync == "never":
            self._keys[node].entries.clear()
        if self._options.delayed_restart:
            self._silent[node] = self._world.host(node).now() + self._longest


class RedlockStore(PollingStore):
    """A LeaseStore over the servers, all asked at once, each with a time-out of its own."""

    def __init__(self, caller: Caller, first: int, options: Redlock, serial: Callable[[], int]) -> None:
        super().__init__(caller, first, int(options.poll), serial)
        self._timeout, self._size = int(options.server_timeout), len(caller.nodes) // 2 + 1
        self._beaten = False

    @property
    def node(self) -> str:
        return "+".join(self._caller.nodes)

    async def grant(self, ttl: int) -> Grant:
        """The TTL is what counts as valid of it: from the request on, less the drift."""
        lease = (await super().grant(ttl)).lease
        return Grant(lease, ttl - drift(ttl))

    async def create(self, key: str, value: str, lease: str) -> int | None:
        """Where no majority was won in time, all is given back. It is known to have failed if the answers leave no other way."""
        self._keys[lease], ttl, sent = key, self._ttls[lease], self._caller.now()
        answers = await self._all(SetNx(key, lease, ttl))
        if answers.count(1) >= self._size and self._caller.now() - sent < ttl - drift(ttl):
            return None
        await self._all(Delete(key, lease))
        self._beaten = True
        if answers.count(1) + _unknown(answers) >= self._size:
            raise TimeoutError(_said(answers.count(1), answers, "set the key"))
        self._forget(lease)
        raise Refused(_said(answers.count(1), answers, "set the key"))

    async def keepalive(self, lease: str) -> int:
        if lease not in self._keys:
            raise Lost(f"{lease} has no key")
        ttl, sent = self._ttls[lease], self._caller.now()
        answers = await self._all(Extend(self._keys[lease], lease, ttl))
        if answers.count(0) > len(answers) - self._size:
            raise Lost(_said(answers.count(1), answers, "still had the key"))
        if answers.count(1) < self._size or self._caller.now() - sent >= ttl - drift(ttl):
            raise TimeoutError(_said(answers.count(1), answers, "prolonged it in time"))
        return ttl - drift(ttl)

    async def revoke(self, lease: str) -> None:
        """Nothing to do for a lease whose key was refused, or never asked for."""
        if lease not in self._keys:
            return self._forget(lease)
        answers = await self._all(Delete(self._keys[lease], lease))
        if (heard := answers.count(1) + answers.count(0)) < self._size:
            raise TimeoutError(_said(heard, answers, "deleted the key or had it no more"))
        self._forget(lease)
        if not answers.count(1):
            raise Lost(f"the key of {lease} is gone")

    async def holder(self, key: str) -> Place | None:
        """Whose value a majority has. Whoever was beaten waits for a random time first: several that start together get no majority."""
        if self._beaten:
            self._beaten = False
            await asyncio.sleep(self._backed_off() / 1e9)
        answers = await self._all(Get(key))
        if (heard := sum(not isinstance(answer, Exception) for answer in answers)) < self._size:
            raise TimeoutError(_said(heard, answers, "answered"))
        held = Counter(answer for answer in answers if isinstance(answer, str))
        return next((Place(key, value, None) for value, number in held.items() if number >= self._size), None)

    async def _all(self, request: Any) -> list[Any]:
        """Each server's answer, or the exception in its place, in the order of the nodes."""
        calls = [asyncio.ensure_future(self._caller.call(node, request)) for node in self._caller.nodes]
        try:
            await asyncio.wait(calls, timeout=self._timeout / 1e9)
            return [_outcome(call) for call in calls]
        finally:
            for call in calls:
                if not call.cancel() and not call.cancelled():
                    call.exception()  # it was heard of, even where nobody waits for the rest any more


def _outcome(call: "asyncio.Future[Any]") -> Any:
    if not call.done():
        return TimeoutError("no answer in time")
    match call.exception():
        case None:
            return call.result()
        case Refused() | ConnectionError() as error:
            return error
        case error:
            raise error


def _unknown(answers: Sequence[Any]) -> int:
    """How many servers may have done it without an answer."""
    return sum(isinstance(answer, Exception) and not isinstance(answer, Refused) for answer in answers)


def _said(number: int, answers: Sequence[Any], what: str) -> str:
    return f"{number} of {len(answers)} servers {what}, {_unknown(answers)} did not answer in time"
