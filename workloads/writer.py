"""How a leader reaches the resource."""
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from diarchy.clusters.stores import Refused
from diarchy.workloads.session import Answer


class Fenced(Refused):
    """The resource has seen a newer token: `fence`."""

    def __init__(self, fence: int) -> None:
        super().__init__(f"the fence is at {fence}")
        self.fence = fence


class WriteError(Exception):
    """The resource answered something else than yes or no."""


class Writer(Protocol):
    """Writes to the resource: over HTTP in a process, directly on a simulated host."""

    async def write(self, id: str, token: int | None, value: Any, leave: Callable[[], bool]) -> Answer:
        """`leave` is asked as the request leaves: Refused if it says no. Fenced where the token is older than the fence."""
        ...
    def close(self) -> None: ...


class Probe(Protocol):
    """The harness's own way to the resource, once everybody else has ended."""

    async def write(self, id: str, token: int | None, value: Any) -> Answer: ...
    async def state(self) -> "State": ...
    def close(self) -> None: ...


class State(msgspec.Struct, frozen=True):
    """What the resource says of itself: last order, fence, boot, last value."""

    order: int
    fence: int
    epoch: int
    value: Any = None


class _Reply(msgspec.Struct):
    order: int | None = None
    fence: int = 0
    error: str = ""


class HttpWriter:
    """Writes by `POST /write`, one request each."""

    def __init__(self, address: str) -> None:
        from diarchy.clusters.http import Http

        self._http = Http(address)

    async def write(self, id: str, token: int | None, value: Any, leave: Callable[[], bool] | None = None) -> Answer:
        ask = msgspec.json.encode({"id": id, "token": token, "value": value})
        status, body = await self._http.post("/write", ask, leave)
        match status:
            case 200:
                reply = msgspec.json.decode(body, type=_Reply)
                return Answer(value={"order": reply.order, "fence": reply.fence})
            case 409:
                raise Fenced(msgspec.json.decode(body, type=_Reply).fence)
            case 400:
                raise Refused(msgspec.json.decode(body, type=_Reply).error)
            case _:
                raise WriteError(f"HTTP status {status}: {body[:200]!r}")

    async def state(self) -> State:
        """`GET /state`."""
        status, body = await self._http.get("/state")
        if status != 200:
            raise WriteError(f"HTTP status {status}: {body[:200]!r}")
        return msgspec.json.decode(body, type=State)

    def close(self) -> None:
        self._http.close()
