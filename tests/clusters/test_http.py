"""The small HTTP client: what was sent, what was not, and what is nobody's business to retry."""
import asyncio
from collections.abc import Awaitable, Callable

import pytest

from diarchy.clusters import http as client
from diarchy.clusters.http import BadResponse, Http
from diarchy.clusters.stores import Refused, Unreachable

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Answers each request with the next of the given bytes, closing where they are None; counts what came."""

    def __init__(self, *answers: bytes | None) -> None:
        self.answers = list(answers)
        self.requests: list[bytes] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                answer = self.answers.pop(0)
                if answer is None:
                    break
                writer.write(answer)
        except asyncio.IncompleteReadError:
            pass
        writer.close()


def play(server: Server, scene: Callable[[Http], Awaitable[None]]) -> None:
    async def act() -> None:
        async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
            host, port = listening.sockets[0].getsockname()
            http = Http(f"{host}:{port}")
            try:
                await scene(http)
            finally:
                http.close()

    asyncio.run(asyncio.wait_for(act(), 10))


def plain(body: bytes, status: int = 200) -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{}\n{\r\n3;x=y\r\n}\nz\r\n0\r\nTrailer: 1\r\n\r\n"


def test_one_connection_serves_many_requests() -> None:
    server = Server(plain(b"one"), CHUNKED, plain(b"", 404))

    async def scene(http: Http) -> None:
        assert await http.post("/a", b"ask") == (200, b"one")
        assert await http.post("/b", b"") == (200, b"{}\n{}\nz")
        assert await http.get("/c") == (404, b"")

    play(server, scene)
    assert server.connections == 1
    assert server.requests[0].startswith(b"POST /a HTTP/1.1\r\nHost: 127.0.0.1:")
    assert server.requests[0].endswith(b"\r\n\r\nask")


def test_a_stream_gives_whole_lines() -> None:
    async def scene(http: Http) -> None:
        assert [line async for line in http.stream("/watch", b"{}")] == [b"{}", b"{}"]

    play(Server(CHUNKED), scene)


def test_a_stream_that_ended_leaves_its_connection_for_the_next_request() -> None:
    server = Server(CHUNKED, plain(b"two"))

    async def scene(http: Http) -> None:
        async for _ in http.stream("/watch", b""):
            pass
        assert await http.post("/b", b"") == (200, b"two")

    play(server, scene)
    assert server.connections == 1


def test_a_lost_answer_is_not_asked_for_again() -> None:
    server = Server(plain(b"one"), None, plain(b"three"))

    async def scene(http: Http) -> None:
        await http.post("/a", b"")
        with pytest.raises(EOFError):
            await http.post("/b", b"")
        assert await http.post("/c", b"") == (200, b"three")

    play(server, scene)
    assert [request.split()[1] for request in server.requests] == [b"/a", b"/b", b"/c"]


def test_a_connection_that_is_known_to_be_closed_is_not_used() -> None:
    server = Server(plain(b"one").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), plain(b"two"))

    async def scene(http: Http) -> None:
        assert await http.post("/a", b"") == (200, b"one")
        assert await http.post("/b", b"") == (200, b"two")

    play(server, scene)
    assert server.connections == 2


def test_nobody_there_is_a_refusal() -> None:
    async def scene() -> None:
        server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        with pytest.raises(Unreachable, match=str(port)):
            await Http(f"127.0.0.1:{port}").post("/a", b"")

    asyncio.run(scene())


def test_a_request_that_may_not_leave_is_not_sent() -> None:
    server = Server(plain(b"one"))

    async def scene(http: Http) -> None:
        with pytest.raises(Refused):
            await http.post("/a", b"", lambda: False)
        assert await http.post("/b", b"", lambda: True) == (200, b"one")

    play(server, scene)
    assert len(server.requests) == 1


def test_a_cancelled_request_takes_its_connection_along() -> None:
    server = Server(b"", plain(b"two"))

    async def scene(http: Http) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(http.post("/a", b""), 0.05)
        assert await http.post("/b", b"") == (200, b"two")

    play(server, scene)
    assert server.connections == 2


@pytest.mark.parametrize("answer", [
    b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"x" * 200_000])
def test_rubbish_is_an_error_and_no_hang(answer: bytes) -> None:
    async def scene(http: Http) -> None:
        with pytest.raises(BadResponse):
            await http.post("/a", b"")

    play(Server(answer, None), scene)


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 2000,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n" + b"x" * 2000,
    b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2000])
def test_a_body_is_too_long_as_soon_as_too_much_of_it_came(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MAX_BODY", 1000)

    async def scene(http: Http) -> None:
        with pytest.raises(BadResponse, match="more than 1000 bytes"):
            await http.post("/a", b"")

    play(Server(answer), scene)


def test_a_line_of_a_stream_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MAX_BODY", 1000)
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n{}\n" + b"x" * 2000

    async def scene(http: Http) -> None:
        lines = http.stream("/watch", b"")
        assert await anext(lines) == b"{}"
        with pytest.raises(BadResponse, match="more than 1000 bytes"):
            await anext(lines)

    play(Server(answer), scene)


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 50_000,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: x\r\n" * 50_000])
def test_a_head_and_a_trailer_have_an_end(answer: bytes) -> None:
    async def scene(http: Http) -> None:
        with pytest.raises(BadResponse):
            await http.post("/a", b"")

    play(Server(answer), scene)


def test_what_comes_unasked_is_no_answer_to_the_next_request() -> None:
    server = Server(plain(b"one") + plain(b"unasked"), plain(b"two"))

    async def scene(http: Http) -> None:
        assert await http.post("/a", b"") == (200, b"one")
        assert await http.post("/b", b"") == (200, b"two")

    play(server, scene)
    assert server.connections == 2


def test_a_provisional_answer_is_not_the_answer() -> None:
    async def scene(http: Http) -> None:
        assert await http.post("/a", b"") == (200, b"one")

    play(Server(b"HTTP/1.1 100 Continue\r\n\r\n" + plain(b"one")), scene)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\nContent-Le", plain(b"whole")[:-1], CHUNKED[:-30]])
def test_half_an_answer_is_no_answer(answer: bytes) -> None:
    async def scene(http: Http) -> None:
        with pytest.raises(EOFError):
            await http.post("/a", b"")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    half = Server()
    half.serve = serve  # type: ignore[method-assign]
    play(half, scene)


def test_the_last_look_is_after_everything_else() -> None:
    """Between the look and the write there is not one turn of the event loop."""
    server, turns = Server(plain(b"one"), plain(b"two")), []

    async def scene(http: Http) -> None:
        await http.post("/a", b"")
        sent: list[int] = []
        loop = asyncio.get_running_loop()

        def leave() -> bool:
            loop.call_soon(lambda: turns.append(len(sent)))
            return True

        connection = http._idle[-1]
        send = connection.send
        connection.send = lambda request: (sent.append(1), send(request))[1]  # type: ignore[method-assign]
        assert await http.post("/b", b"", leave) == (200, b"two")

    play(server, scene)
    assert turns == [1]


def test_a_stream_of_another_status_is_an_error() -> None:
    async def scene(http: Http) -> None:
        with pytest.raises(BadResponse, match="503"):
            await anext(http.stream("/watch", b""))

    play(Server(plain(b"no leader", 503)), scene)
