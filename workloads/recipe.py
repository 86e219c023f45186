"""The lease lock: campaign, hold, resign, observe (the election and lock recipes of etcd's concurrency package)."""
import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import count
from typing import TypeVar

from diarchy.clusters.stores import Grant, LeaseStore, Lost, Place, Refused, Unreachable
from diarchy.history.transcript import Act
from diarchy.workloads.lock import Lock
from diarchy.workloads.office import SOONEST, Means, Office, margin
from diarchy.workloads.session import Answer, Outcome, Session
from diarchy.workloads.writer import Writer

RELEASES = 3
"""How often a release without an answer is tried, each time at another node; the lease ends by itself anyway."""
BREATH = 100_000_000
"""Pause after a request without an answer, ns."""

T = TypeVar("T")


class NoAnswer(Exception):
    """A request that is no op of its own failed; the next node was chosen."""


class Recipe:
    """One candidate. `run` campaigns and holds office until `stop` is called; both work in a process and on a simulated host.

    `key` names the lock. With `wait: holder` every candidate races to create it when it is free; with `wait: predecessor`
    each has a key of its own under it, and the oldest leads.
    """

    def __init__(self, options: Lock, key: str, session: Session, store: LeaseStore, writer: Writer) -> None:
        self.means = Means(options, session, store, writer, count(1).__next__)
        self._key, self._session, self._store, self._options = key, session, store, options
        self._stopping = asyncio.Event()
        self._office: Office | None = None

    async def run(self) -> None:
        """Campaign, hold, and campaign again until stopped; returns out of office, with the lease released."""
        campaign = self._race if self._options.wait == "holder" else self._queue
        while not self._stopping.is_set():
            try:
                office = await campaign()
            except NoAnswer:
                continue
            if office is not None:
                await self._serve(office)

    def stop(self) -> None:
        """Resign, and do not campaign again."""
        self._stopping.set()
        if self._office is not None:
            self._office.resign()

    async def observe(self) -> Place | None:
        """Who leads, as the store has it. Raises NoAnswer."""
        if self._options.wait == "holder":
            return await self._ask(lambda: self._store.holder(self._key))
        return next(iter(await self._ask(lambda: self._store.queue(self._key))), None)

    async def _serve(self, office: Office) -> None:
        self._office = office
        if self._stopping.is_set():
            office.resign()
        await office.hold()
        if not office.lost:
            await self._release(office.tenure, office.lease, office.until)
        await office.under_way
        self._office = None
        if self._options.stay and self._options.wait == "holder":
            await self._nap(self._options.ttl // 4)

    async def _race(self) -> Office | None:
        """Wait until nobody holds the key, then try once to create it."""
        held = await self._ask(lambda: self._store.holder(self._key))
        if held is not None and not await self._gone(held):
            return None
        grant, sent = await self._grant()

        async def create() -> Answer:
            token = await self._store.create(self._key, self._session.claimant, grant.lease)
            return Answer(token, sent, grant.ttl)

        outcome, office = await self._attempt(create, grant.lease, sent + grant.ttl)
        if outcome.type == "fail" and not isinstance(outcome.error, Lost):
            await self._drop(grant.lease)
        return office

    async def _queue(self) -> Office | None:
        """Take a place in the queue, keep it alive, and try to acquire whenever the one before has gone."""
        grant, sent = await self._grant()
        places: list[Place] = []

        async def enqueue() -> Answer:
            places.append(await self._store.enqueue(self._key, self._session.claimant, grant.lease))
            return Answer(places[0].token)

        outcome = await self._call("enqueue", enqueue)
        if not places:
            if outcome.type == "info":
                self._store.rotate()
            await self._drop(grant.lease)
            return None
        turn = _Turn(grant, sent)
        keeping = asyncio.create_task(self._keep(turn))
        try:
            return await self._wait_turn(turn, places[0])
        finally:
            keeping.cancel()

    async def _wait_turn(self, turn: "_Turn", own: Place) -> Office | None:
        before: list[Place] = []

        async def first() -> Answer:
            queue = await self._store.queue(self._key)
            if own not in queue:
                raise Lost("the own place in the queue is gone")
            before[:] = queue[:queue.index(own)]
            if before:
                raise Refused(f"behind {before[-1].value}")
            if turn.late(self._options.recipe, self._session.now()):
                turn.lost = True
                raise Refused("the lease may have ended, and what was read be older than that")
            return Answer(own.token, turn.sent, turn.ttl)

        while not self._stopping.is_set() and not turn.lost:
            outcome, office = await self._attempt(first, turn.lease, turn.sent + turn.ttl)
            if office is not None or outcome.type == "info" or isinstance(outcome.error, Lost):
                return office
            if isinstance(outcome.error, Unreachable):
                await self._nap(BREATH)
                continue
            while not (turn.lost or self._stopping.is_set()) and not await self._gone(before[-1]):
                pass
        await self._drop(turn.lease)
        return None

    async def _keep(self, turn: "_Turn") -> None:
        """Keep a place in the queue alive; its deadline counts from the last keepalive that was answered."""
        while True:
            await asyncio.sleep(max(self._options.renew_every, SOONEST) / 1e9)
            sent = self._session.now()
            try:
                turn.ttl = await self._ask(lambda: self._store.keepalive(turn.lease))
                turn.sent = sent
            except Lost:
                turn.lost = True
                return
            except NoAnswer:
                pass

    async def _attempt(self, work: Callable[[], Awaitable[Answer]], lease: str, until: int) -> tuple[Outcome, Office | None]:
        """Try to acquire once. Unknown: the lease is revoked, and the history says so, because the attempt may have won."""
        tenure = self._session.tenure()
        outcome = await self._call("acquire", work, tenure=tenure)
        if outcome.type == "ok":
            return outcome, Office(self.means, tenure, outcome.answer.token, lease, outcome)
        if outcome.type == "info" or isinstance(outcome.error, Unreachable):
            self._store.rotate()
        if outcome.type == "info":
            await self._release(tenure, lease, until)
        return outcome, None

    async def _release(self, tenure: str, lease: str, until: int) -> None:
        """Revoke the lease, as ops of the tenure; without an answer try again elsewhere, while it may still live."""
        async def revoke() -> Answer:
            await self._store.revoke(lease)
            return Answer()

        for _ in range(RELEASES):
            outcome = await self._call("release", revoke, tenure=tenure)
            if outcome.type == "ok" or isinstance(outcome.error, Lost):
                return
            self._store.rotate()
            if self._session.now() >= until:
                return
            await asyncio.sleep(BREATH / 1e9)

    async def _drop(self, lease: str) -> None:
        """Revoke a lease that holds no office. Unanswered, it ends with its TTL: nobody keeps it alive."""
        with suppress(NoAnswer, Lost):
            await self._ask(lambda: self._store.revoke(lease))

    async def _grant(self) -> tuple[Grant, int]:
        sent = self._session.now()
        return await self._ask(lambda: self._store.grant(self._options.ttl)), sent

    async def _gone(self, held: Place) -> bool:
        """Wait until the holder's key is gone: True. False when it is time to look again, because events can be missed."""
        waits = [asyncio.ensure_future(self._store.gone(held)), asyncio.ensure_future(self._stopping.wait())]
        try:
            await asyncio.wait(waits, timeout=self._options.ttl / 3e9, return_when=asyncio.FIRST_COMPLETED)
            if not waits[0].done():
                return False
            if waits[0].exception() is None:
                return not self._stopping.is_set()
        finally:
            for wait in waits:
                wait.cancel()
        self._store.rotate()
        await self._nap(BREATH)
        return False

    async def _call(self, f: Act, work: Callable[[], Awaitable[Answer]],
                    tenure: str | None = None) -> Outcome:
        outcome = await self._session.call("elect", f, work, self.means.timeout, tenure=tenure, node=self._store.node)
        assert outcome is not None
        return outcome

    async def _ask(self, work: Callable[[], Awaitable[T]]) -> T:
        """A request that is no op of the history. Raises Lost; and NoAnswer, with the next node chosen and after a pause."""
        try:
            async with asyncio.timeout(self.means.timeout / 1e9):
                return await work()
        except Lost:
            raise
        except Exception as error:
            self._store.rotate()
            await self._nap(BREATH)
            raise NoAnswer(str(error)) from error

    async def _nap(self, time: int) -> None:
        """Sleep so long, in ns, or until stopped."""
        with suppress(TimeoutError):
            async with asyncio.timeout(time / 1e9):
                await self._stopping.wait()


class _Turn:
    """A place in the queue: its lease, when the last answered request for it left, and the TTL that this brought."""

    def __init__(self, grant: Grant, sent: int) -> None:
        self.lease, self.ttl, self.sent, self.lost = grant.lease, grant.ttl, sent, False

    def late(self, recipe: str, now: int) -> bool:
        """Whether a careful leader would have to leave at this time, ns, as soon as it is elected."""
        return recipe == "careful" and now >= self.sent + self.ttl - margin(self.ttl)
