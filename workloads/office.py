"""One stay in office: renewals and writes side by side, and when to leave."""
import asyncio
from collections.abc import Callable
from functools import partial

import msgspec

from diarchy.clusters.stores import LeaseStore, Lost
from diarchy.workloads.lock import Lock
from diarchy.workloads.session import Answer, Outcome, Session
from diarchy.workloads.writer import Fenced, Writer

RETRY = 100_000_000
"""After a renewal without an answer the next is tried so soon, in ns."""
SOONEST = 1_000_000
"""No loop comes round sooner, in ns, whatever its times are: one that never lets the clock go on stops the whole candidate."""


class Means(msgspec.Struct, frozen=True):
    """What a candidate works with. `serial` gives the numbers of its writes."""

    options: Lock
    session: Session
    store: LeaseStore
    writer: Writer
    serial: Callable[[], int]

    @property
    def timeout(self) -> int:
        """Of one request, ns."""
        return self.options.timeout or self.options.ttl // 4


def margin(ttl: int) -> int:
    """How long before its deadline a careful leader leaves, ns: 10 % of the TTL, at most 200 ms."""
    return min(ttl // 10, 200_000_000)


class Office:
    """A lease lock, held. A careful leader leaves before its deadline, which is the send time of the last renewal that
    succeeded + the TTL as granted (Gray & Cheriton, Leases, SOSP 1989); a naive one when a renewal is refused.

    `still` is the only place that decides whether it is in office, and nothing is sent to the resource without asking it:
    before the op is said, and again when the request leaves.
    """

    def __init__(self, means: Means, tenure: str, token: int | None, lease: str, acquired: Outcome) -> None:
        self.means, self.tenure, self.token, self.lease = means, tenure, token, lease
        self.open, self.lost = True, False
        self.until = acquired.until or 0
        self._ttl = acquired.answer.ttl or 0
        self._sent = acquired.sent
        self._leaves = means.session.now() + means.options.stay if means.options.stay else None
        self._ending = asyncio.Event()

    @property
    def limit(self) -> int | None:
        """When it must have left, ns; None if it does not care."""
        return self.until - margin(self._ttl) if self.means.options.recipe == "careful" else None

    def still(self, now: int) -> bool:
        """Whether it is in office at this time; if it is too late, it steps down on the spot."""
        if self.open and self.limit is not None and now >= self.limit:
            self.leave("the lease may end soon")
        return self.open

    def leave(self, why: str) -> None:
        """Step down, once: from this line on it does not act as the leader."""
        if self.open:
            self.open = False
            self.means.session.note("elect", "step-down", tenure=self.tenure, token=self.token, value={"why": why})
            self._ending.set()

    def resign(self) -> None:
        """Leave of its own will: no new write, and when the one under way has ended, the step-down."""
        self._ending.set()

    async def hold(self) -> None:
        """Stay until it must or wants to leave; returns after the step-down, with the last write and renewal under way."""
        writing = asyncio.create_task(self._write())
        renewing = asyncio.create_task(self._renew())
        self.under_way = asyncio.gather(writing, renewing)
        while not self._ending.is_set() and self.still(now := self.means.session.now()):
            if self._leaves is not None and now >= self._leaves:
                self.resign()
            if writing.done() or renewing.done():
                break
            ends = min((time for time in (self.limit, self._leaves) if time is not None), default=now + self._ttl)
            await self._nap(max(ends - now, SOONEST))
        while self.still(now := self.means.session.now()) and not writing.done():
            await asyncio.wait([writing], timeout=None if self.limit is None else max(self.limit - now, SOONEST) / 1e9)
        self.leave("resigned")

    async def _write(self) -> None:
        """Writes one after the other, the first on taking office; one that is overdue goes out at once."""
        m, due = self.means, self.means.session.now()
        while not self._ending.is_set():
            number = m.serial()
            id = f"{m.session.claimant}-{number}"
            outcome = await m.session.call(
                "write", "write", partial(m.writer.write, id, self.token, number, self._may_leave), m.timeout,
                unless=self._over, tenure=self.tenure, token=self.token, id=id, value=number)
            if outcome is None:
                return
            if isinstance(outcome.error, Fenced) and self.limit is not None and outcome.error.fence > (self.token or 0):
                return self.leave(f"the fence is at {outcome.error.fence}: somebody else leads")
            due = max(due + max(m.options.write_every, SOONEST), m.session.now())
            await self._nap(due - m.session.now())

    async def _renew(self) -> None:
        m, every = self.means, max(self.means.options.renew_every, SOONEST)
        due = self._sent + every
        while True:
            await self._nap(due - m.session.now())
            if self._ending.is_set():
                return
            outcome = await m.session.call("renew", "renew", self._keepalive, m.timeout, unless=self._over,
                                           tenure=self.tenure, token=self.token, node=m.store.node)
            if outcome is None:
                return
            if outcome.until is not None:
                self.until, self._ttl = outcome.until, outcome.answer.ttl or 0
                due = outcome.sent + every
            elif isinstance(outcome.error, Lost):
                self.lost = True
                return self.leave("a renewal was refused")
            else:
                m.store.rotate()
                due = m.session.now() + min(RETRY, every)

    async def _keepalive(self) -> Answer:
        return Answer(ttl=await self.means.store.keepalive(self.lease))

    def _over(self, now: int) -> bool:
        return not self.still(now)

    def _may_leave(self) -> bool:
        return self.still(self.means.session.now())

    async def _nap(self, time: int) -> None:
        """Sleep so long, in ns, or until the end of the stay."""
        if time > 0 and not self._ending.is_set():
            try:
                async with asyncio.timeout(time / 1e9):
                    await self._ending.wait()
            except TimeoutError:
                pass
