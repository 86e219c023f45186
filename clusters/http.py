"""HTTP/1.1 as a candidate needs it: one call is one request, sent at most once, and it is known whether anything was sent.

The protocol is h11's, which touches no socket; the connections are kept here. A holder of a lease must look at its clock just
when a request leaves, and a client with a pool of its own hides that instant (docs/decisions/0002-a-small-http-client.md).
"""
import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from types import TracebackType

import h11

from diarchy.clusters.stores import Refused, Unreachable

MAX_BODY = 16 * 2**20
"""Of an answer, or of one line of a stream, in bytes."""
MAX_HEAD = 2**16
"""Of what comes before a body, between its pieces or after it, in bytes."""
PIECE = 2**16
"""Read at once, in bytes."""
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
            connection.send(connection.encode("POST", path, body))
            status = await connection.head()
            if status != 200:
                raise BadResponse(f"HTTP status {status} for {path}")
            rest = b""
            async for piece in connection.pieces():
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    yield line
                if len(rest) > MAX_BODY:
                    raise BadResponse(f"more than {MAX_BODY} bytes in one line of {path}")
            if connection.reusable:
                self._idle.append(connection)

    def close(self) -> None:
        """Close the idle connections."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    async def _request(self, method: str, path: str, body: bytes, leave: Leave | None) -> tuple[int, bytes]:
        async with await self._connect() as connection:
            request = connection.encode(method, path, body)
            if leave is not None and not leave():
                raise Refused("it was held back before it was sent")
            connection.send(request)
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
            return _Connection(self.address, *await asyncio.open_connection(self._host, self._port))
        except OSError as error:
            raise Unreachable(f"{self.address}: {os.strerror(error.errno) if error.errno else error}") from None


class _Connection:
    """One connection, with at most one request under way. Left by an exception, or half-read, it is closed."""

    def __init__(self, address: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._headers = [(b"Host", address.encode()), (b"Content-Type", b"application/json")]
        self._http = h11.Connection(h11.CLIENT, MAX_HEAD)
        self.reusable = False

    def fresh(self) -> bool:
        """False once the other side is known to have closed it."""
        self.reusable = False
        return not (self._reader.at_eof() or self._reader.exception() or self._writer.is_closing())

    def encode(self, method: str, path: str, body: bytes) -> bytes:
        """The whole request. Nothing leaves yet."""
        headers, send = [*self._headers, (b"Content-Length", b"%d" % len(body))], self._http.send
        return (send(h11.Request(method=method, target=path, headers=headers)) + send(h11.Data(data=body))
                + send(h11.EndOfMessage()))

    def send(self, request: bytes) -> None:
        """Hand the request to the system in one write."""
        self._writer.write(request)

    async def head(self) -> int:
        """Read up to the body; the status."""
        self._http.receive_data(await self._reader.read(PIECE))
        while not isinstance(event := await self._event(), h11.Response):
            pass
        return event.status_code

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body, as it comes. Afterwards the connection can be used again, unless more came than was asked for."""
        while isinstance(event := await self._event(), h11.Data):
            yield event.data
        if self._http.their_state is h11.DONE and not self._http.trailing_data[0]:
            self._http.start_next_cycle()
            self.reusable = True

    async def _event(self) -> object:
        """The next part of the answer. Raises EOFError where the connection ends too early, BadResponse for what is not HTTP."""
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(PIECE))
        except h11.RemoteProtocolError as error:
            ended = self._http.trailing_data[1]
            raise (EOFError if ended else BadResponse)(str(error)) from None
        return event

    def close(self) -> None:
        self._writer.close()

    async def __aenter__(self) -> "_Connection":
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if not self.reusable:
            self.close()
