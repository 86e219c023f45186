"""What recipes need of an election service, whatever provides it."""
from typing import Protocol

import msgspec


class Refused(Exception):
    """It did not happen, for certain. Every other exception means that nobody knows."""


class Unreachable(Refused):
    """Nothing was sent: there was no connection. Says nothing about leases and keys."""


class Lost(Refused):
    """The lease that the request named is gone."""


class Grant(msgspec.Struct, frozen=True):
    """A lease as the service granted it: `ttl` in ns, which may differ from what was asked."""

    lease: str
    ttl: int


class Place(msgspec.Struct, frozen=True):
    """A key with its value (the claimant) and its token, which is also its place in a queue: the lowest leads. Without tokens,
    the value alone tells one holder from the next."""

    key: str
    value: str
    token: int | None


class LeaseStore(Protocol):
    """Leases, and keys bound to them (etcd, Consul and the like). One call is one request: nothing is retried inside.

    `node` is the node asked last; the caller decides when to `rotate` to the next one. All but `gone` are one request;
    no call has a time-out of its own. Cancelling a call leaves its outcome unknown.
    """

    @property
    def node(self) -> str: ...
    def rotate(self) -> None: ...
    async def grant(self, ttl: int) -> Grant: ...
    async def keepalive(self, lease: str) -> int:
        """The TTL granted anew, in ns. Lost where the lease is gone."""
        ...
    async def revoke(self, lease: str) -> None:
        """End the lease, and with it its keys. Lost where it is gone already."""
        ...
    async def create(self, key: str, value: str, lease: str) -> int | None:
        """Create the key if it is absent; its fencing token, if the service has any. Refused where somebody has it."""
        ...
    async def holder(self, key: str) -> Place | None:
        """Who has the key, or None; a linearizable read."""
        ...
    async def enqueue(self, key: str, value: str, lease: str) -> Place:
        """Create a key of one's own under `key`, behind all that are there."""
        ...
    async def queue(self, key: str) -> tuple[Place, ...]:
        """The keys under `key`, first come first; a linearizable read."""
        ...
    async def gone(self, held: Place) -> None:
        """Return when that very holder's key has been deleted. A read, then a watch from the revision after it; a watch that
        ends is followed by another read."""
        ...
    async def close(self) -> None: ...
