"""What the clients of servers have in common that know neither leases nor watches: a lease is a value of their own making, and they poll."""
import asyncio
from collections.abc import Callable
from typing import ClassVar

from diarchy.clusters.simulated.rpc import Caller, Rotating
from diarchy.clusters.stores import Grant, Place, Refused

BACK_OFF = 50_000_000, 200_000_000
"""Whoever waits for a lock looks again after so much longer, drawn each time, lest all come at once; ns."""


class PollingStore(Rotating):
    """A lease is a value that nobody else uses; no server hears of it before the key is set. `serial` numbers them, `poll` in ns."""

    QUEUE: ClassVar[str] = "there is no queue: whoever waits polls the key"

    def __init__(self, caller: Caller, first: int, poll: int, serial: Callable[[], int]) -> None:
        super().__init__(caller, first)
        self._poll, self._serial = poll, serial
        self._ttls: dict[str, int] = {}
        self._keys: dict[str, str] = {}
        self._dice = caller.world.dice(f"back-off/{caller.host.claimant}")

    async def grant(self, ttl: int) -> Grant:
        lease = f"{self._caller.host.claimant}/{self._serial()}"
        self._ttls[lease] = int(ttl)
        return Grant(lease, int(ttl))

    async def holder(self, key: str) -> Place | None:
        raise NotImplementedError

    async def enqueue(self, key: str, value: str, lease: str) -> Place:
        raise Refused(self.QUEUE)

    async def queue(self, key: str) -> tuple[Place, ...]:
        raise Refused(self.QUEUE)

    async def gone(self, held: Place) -> None:
        while (there := await self.holder(held.key)) is not None and there.value == held.value:
            await asyncio.sleep((self._poll + self._backed_off()) / 1e9)

    def _backed_off(self) -> int:
        return int(self._dice.uniform(*BACK_OFF))

    def _forget(self, lease: str) -> None:
        """No server has it: there is nothing to give back."""
        self._ttls.pop(lease, None)
        self._keys.pop(lease, None)
