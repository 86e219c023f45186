"""Leases and keys of etcd, by its v3 JSON gateway."""
import asyncio
from base64 import b64decode, b64encode
from contextlib import aclosing
from typing import Any, TypeVar

import msgspec

from diarchy.clusters.http import BadResponse, Http
from diarchy.clusters.stores import Grant, Lost, Place, Refused

SECOND = 10**9
REWATCH_S = 0.05
T = TypeVar("T")


class EtcdError(Exception):
    """etcd answered with an error that does not say that nothing happened."""


class _Header(msgspec.Struct):
    revision: int = 0


class _Lease(msgspec.Struct):
    """Proto3 leaves zeros out: a keepalive without a TTL is one of a lease that is gone."""

    ID: str = "0"
    TTL: int = 0


class _Kept(msgspec.Struct):
    result: _Lease | None = None
    error: Any = None


class _Kv(msgspec.Struct):
    key: str
    create_revision: int = 0
    value: str = ""


class _Range(msgspec.Struct):
    header: _Header
    kvs: list[_Kv] = []


class _Response(msgspec.Struct):
    response_range: _Range | None = None


class _Txn(msgspec.Struct):
    header: _Header
    succeeded: bool = False
    responses: list[_Response] = []


class _Event(msgspec.Struct):
    type: str = "PUT"


class _Events(msgspec.Struct):
    events: list[_Event] = []
    canceled: bool = False


class _Watched(msgspec.Struct):
    result: _Events | None = None


class _Error(msgspec.Struct):
    message: str = ""


class EtcdStore:
    """A LeaseStore over the servers at `nodes` (`host:port` by name), asking `first` first.

    The fencing token is the key's create revision: no two transactions have the same, and later ones have higher.
    Requests are POSTs, sent once. Refused only where etcd says that the lease is unknown or the transaction's condition
    did not hold, and where there was no connection.
    """

    def __init__(self, nodes: dict[str, str], first: int = 0) -> None:
        self._clients = {name: Http(address) for name, address in nodes.items()}
        self._names = list(nodes)
        self._at = first % len(self._names)

    @property
    def node(self) -> str:
        return self._names[self._at]

    def rotate(self) -> None:
        self._at = (self._at + 1) % len(self._names)

    async def grant(self, ttl: int) -> Grant:
        """etcd counts in seconds, rounded up here, and has a minimum of its own."""
        lease = await self._post("/v3/lease/grant", {"TTL": str(-(-ttl // SECOND))}, _Lease)
        return Grant(lease.ID, lease.TTL * SECOND)

    async def keepalive(self, lease: str) -> int:
        kept = await self._post("/v3/lease/keepalive", {"ID": lease}, _Kept)
        if kept.result is None:
            raise EtcdError(f"keepalive of lease {lease}: {kept.error}")
        if kept.result.TTL <= 0:
            raise Lost(f"lease {lease} is gone")
        return kept.result.TTL * SECOND

    async def revoke(self, lease: str) -> None:
        await self._post("/v3/lease/revoke", {"ID": lease}, msgspec.Raw)

    async def create(self, key: str, value: str, lease: str) -> int:
        txn = await self._create(key, value, lease)
        if txn.succeeded:
            return txn.header.revision
        held = [_text(kv.value) for response in txn.responses if response.response_range for kv in response.response_range.kvs]
        raise Refused(f"{held[0]} holds it" if held else "the key exists")

    async def holder(self, key: str) -> Place | None:
        return (await self._holder(key))[0]

    async def enqueue(self, key: str, value: str, lease: str) -> Place:
        own = f"{key}/{lease}"
        txn = await self._create(own, value, lease)
        if not txn.succeeded:
            raise Refused(f"{own} exists")
        return Place(own, value, txn.header.revision)

    async def queue(self, key: str) -> tuple[Place, ...]:
        found = await self._post("/v3/kv/range", {
            "key": _base64(f"{key}/"), "range_end": _base64(f"{key}0"), "sort_order": "ASCEND", "sort_target": "CREATE"}, _Range)
        return tuple(_place(kv) for kv in found.kvs)

    async def gone(self, held: Place) -> None:
        while True:
            found, revision = await self._holder(held.key)
            if found is None or found.token != held.token:
                return
            try:
                if await self._deleted(held.key, revision + 1):
                    return
            except (OSError, EOFError, BadResponse, msgspec.DecodeError):
                pass
            await asyncio.sleep(REWATCH_S)

    async def close(self) -> None:
        for client in self._clients.values():
            client.close()

    async def _holder(self, key: str) -> tuple[Place | None, int]:
        found = await self._post("/v3/kv/range", {"key": _base64(key)}, _Range)
        return (_place(found.kvs[0]) if found.kvs else None), found.header.revision

    async def _create(self, key: str, value: str, lease: str) -> _Txn:
        name = _base64(key)
        return await self._post("/v3/kv/txn", {
            "compare": [{"key": name, "target": "CREATE", "result": "EQUAL", "create_revision": "0"}],
            "success": [{"request_put": {"key": name, "value": _base64(value), "lease": lease}}],
            "failure": [{"request_range": {"key": name}}]}, _Txn)

    async def _deleted(self, key: str, revision: int) -> bool:
        """Watch for a deletion at or after a revision. False if the watch ended without one."""
        ask = {"create_request": {"key": _base64(key), "start_revision": str(revision), "filters": ["NOPUT"]}}
        async with aclosing(self._clients[self.node].stream("/v3/watch", msgspec.json.encode(ask))) as lines:
            async for line in lines:
                said = msgspec.json.decode(line, type=_Watched).result
                if said is None or said.canceled:
                    return False
                if any(event.type == "DELETE" for event in said.events):
                    return True
        return False

    async def _post(self, path: str, ask: dict[str, Any], type: type[T]) -> T:
        status, body = await self._clients[self.node].post(path, msgspec.json.encode(ask))
        if status == 200:
            return msgspec.json.decode(body, type=type, strict=False)
        try:
            message = msgspec.json.decode(body, type=_Error).message
        except msgspec.DecodeError:
            message = repr(body[:200])
        if message.endswith("requested lease not found"):
            raise Lost(message)
        raise EtcdError(f"{path}: HTTP status {status}: {message}")


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()


def _text(base64: str) -> str:
    return b64decode(base64).decode(errors="replace")


def _place(kv: _Kv) -> Place:
    return Place(_text(kv.key), _text(kv.value), kv.create_revision)
