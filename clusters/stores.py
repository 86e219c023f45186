"""What recipes need of an election service, whatever provides it."""
from typing import Protocol

import msgspec


class Refused(Exception):
    """It did not happen, for certain. Every other exception means that nobody knows."""


class Grant(msgspec.Struct, frozen=True):
    """A lease as the service granted it: `ttl` in ns, which may differ from what was asked."""

    lease: str
    ttl: int


class LeaseStore(Protocol):
    """Leases, and keys bound to them (etcd, Consul and the like). One call is one request: nothing is retried inside.

    `node` is the node asked last; the caller decides when to `rotate` to the next one.
    """

    node: str

    def rotate(self) -> None: ...
    async def grant(self, ttl: int) -> Grant: ...
    async def keepalive(self, lease: str) -> int:
        """The TTL granted anew, in ns. Refused where the lease is gone."""
        ...
    async def revoke(self, lease: str) -> None: ...
    async def create(self, key: str, value: str, lease: str) -> int:
        """Create the key if it is absent; its fencing token. Refused where somebody has it."""
        ...
    async def holder(self, key: str) -> tuple[str, int] | None:
        """The key's value and token, or None; a linearizable read."""
        ...
    async def gone(self, key: str, token: int) -> None:
        """Return when that very holder's key has been deleted (a watch, or something slower)."""
        ...
    async def close(self) -> None: ...
