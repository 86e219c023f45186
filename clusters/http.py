"""HTTP/1.1 as a candidate needs it: one call is one request, sent at most once, and it is known whether anything was sent.

aiohttp takes 0.17 s to import, twice what the rest of a candidate needs to start, and hides the instant at which a request
leaves. A holder of a lease must look at its clock just then.
"""
import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from types import TracebackType

from diarchy.clusters.stores import Refused, Unreachable

MAX_BODY = 16 * 2**20
Leave = Callable[[], bool]


class BadResponse(Exception):
    """What came back is not HTTP as this client speaks it."""


class Http:
    """Connections to one `host:port`, kept open between requests. Nothing is retried, redirected or timed out here."""

    def __init__(self, address: str) -> None:
        self.address = address
        host, _, port = address.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._idle: list[_Connection] = []

    async def post(self, path: str, body: bytes, leave: Leave | None = None) -> tuple[int, bytes]:
        """Status and body of the answer. `leave` is asked at the last moment: Refused if it says no, with nothing sent.

        Unreachable if there is no connection; any other exception, cancellation included, means that the request may
        have arrived.
        """
        return await self._request("POST", path, body, leave)

    async def get(self, path: str) -> tuple[int, bytes]:
        """As `post`, for reading."""
        return await self._request("GET", path, b"", None)

    async def stream(self, path: str, body: bytes) -> AsyncGenerator[bytes, None]:
        """Post, and give the lines of an answer that goes on and on. Raises BadResponse for another status than 200."""
        async with await self._connect() as connection:
            connection.send("POST", path, self.address, body)
            status = await connection.head()
            if status != 200:
                raise BadResponse(f"HTTP status {status} for {path}")
            rest = b""
            async for piece in connection.pieces():
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    yield line

    def close(self) -> None:
        """Close the idle connections."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    async def _request(self, method: str, path: str, body: bytes, leave: Leave | None) -> tuple[int, bytes]:
        async with await self._connect() as connection:
            if leave is not None and not leave():
                raise Refused("it was held back before it was sent")
            connection.send(method, path, self.address, body)
            status, answer = await connection.head(), bytearray()
            async for piece in connection.pieces():
                answer += piece
                if len(answer) > MAX_BODY:
                    raise BadResponse(f"more than {MAX_BODY} bytes of answer to {path}")
            if connection.reusable:
                self._idle.append(connection)
            return status, bytes(answer)

    async def _connect(self) -> "_Connection":
        while self._idle:
            connection = self._idle.pop()
            if connection.fresh():
                return connection
            connection.close()
        try:
            return _Connection(*await asyncio.open_connection(self._host, self._port))
        except OSError as error:
            raise Unreachable(f"{self.address}: {os.strerror(error.errno) if error.errno else error}") from None


class _Connection:
    """One connection, with at most one request under way. Left by an exception, or half-read, it is closed."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._length: int | None = None
        self._chunked = False
        self.reusable = False

    def fresh(self) -> bool:
        """False once the other side is known to have closed it."""
        self.reusable = False
        return not (self._reader.at_eof() or self._reader.exception() or self._writer.is_closing())

    def send(self, method: str, path: str, address: str, body: bytes) -> None:
        """Hand the whole request to the system in one write."""
        head = (f"{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n")
        self._writer.write(head.encode("ascii") + body)

    async def head(self) -> int:
        """Read up to the body; the status."""
        status = 100
        while status < 200:
            first, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            version, _, rest = first.partition(" ")
            if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
                raise BadResponse(f"no HTTP: {first[:80]!r}")
            status = int(rest[:3])
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        self._chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        length = headers.get("content-length")
        self._length = None if self._chunked or length is None else int(length)
        self._keep = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
        return status

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body, as it comes."""
        if self._chunked:
            while size := int((await self._reader.readuntil(b"\r\n")).partition(b";")[0], 16):
                yield (await self._reader.readexactly(size + 2))[:-2]
            while await self._reader.readuntil(b"\r\n") != b"\r\n":
                pass
        elif self._length is not None:
            if self._length:
                yield await self._reader.readexactly(self._length)
        else:
            while piece := await self._reader.read(2**16):
                yield piece
            return
        self.reusable = self._keep

    def close(self) -> None:
        self._writer.close()

    async def __aenter__(self) -> "_Connection":
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if not self.reusable:
            self.close()
