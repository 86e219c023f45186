"""The resource that a leader protects: SQLite decides, with one conditional update per write; HTTP is a rim around it.

`python -m diarchy.workloads.resource` is a process of its own, which says what it took and refused on its standard output.
"""
import asyncio
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from diarchy.workloads.protocol import Broken, Ready, Serve, decoder, encode

if TYPE_CHECKING:
    from aiohttp import web

SCHEMA = """
CREATE TABLE IF NOT EXISTS resource (fence INTEGER NOT NULL, taken INTEGER NOT NULL, epoch INTEGER NOT NULL, value TEXT NOT NULL);
INSERT INTO resource SELECT 0, 0, 0, 'null' WHERE NOT EXISTS (SELECT 1 FROM resource);
CREATE TABLE IF NOT EXISTS taken (taken INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, token INTEGER, fence INTEGER NOT NULL, epoch INTEGER NOT NULL);
"""
TAKE = """UPDATE resource SET fence = max(fence, coalesce(:token, fence)), taken = taken + 1, value = :value
WHERE NOT :fenced OR :token >= fence RETURNING taken, fence"""


class Write(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /write`."""

    id: str
    token: int | None = None
    value: Any = None


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one write: the resource's line. `order` only where it was taken; `time` in ns since the run's epoch."""

    type: Literal["ok", "fail"]
    id: str
    token: int | None
    fence: int
    epoch: int
    order: int | None = None
    time: int = 0


class Fence:
    """A fenced value in a SQLite database, with the order in which writes were taken. `epoch` counts the times it was opened.

    WAL with synchronous=NORMAL keeps every commit when the process dies, at any instant; only a crash of the machine could
    lose the last ones, and then the run is lost with them.
    """

    def __init__(self, database: str, fenced: bool) -> None:
        self._db = sqlite3.connect(database, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(SCHEMA)
        self._fenced = fenced
        [(self.epoch,)] = self._db.execute("UPDATE resource SET epoch = epoch + 1 RETURNING epoch").fetchall()

    def write(self, write: Write) -> tuple[Record, bool]:
        """Take it or refuse it; also whether that was decided now. A write that was taken before is answered as then."""
        db, value = self._db, msgspec.json.encode(write.value).decode()
        db.execute("BEGIN IMMEDIATE")
        try:
            before = db.execute("SELECT token, fence, epoch, taken FROM taken WHERE id = ?", (write.id,)).fetchall()
            if before:
                [(token, fence, epoch, taken)] = before
                db.execute("COMMIT")
                return Record("ok", write.id, token, fence, epoch, taken), False
            took = db.execute(TAKE, {"token": write.token, "value": value, "fenced": self._fenced}).fetchall()
            for taken, fence in took:
                db.execute("INSERT INTO taken VALUES (?, ?, ?, ?, ?)", (taken, write.id, write.token, fence, self.epoch))
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:  # SQLite has rolled back by itself where the disk is full
                db.execute("ROLLBACK")
            raise
        if took:
            [(taken, fence)] = took
            return Record("ok", write.id, write.token, fence, self.epoch, taken), True
        return Record("fail", write.id, write.token, self.state()["fence"], self.epoch), True

    def state(self) -> dict[str, Any]:
        """Order, fence, epoch and value."""
        [(fence, taken, epoch, value)] = self._db.execute("SELECT fence, taken, epoch, value FROM resource").fetchall()
        return {"order": taken, "fence": fence, "epoch": epoch, "value": msgspec.json.decode(value)}

    def since(self, order: int) -> Iterator[Record]:
        """The writes taken after that one."""
        found = self._db.execute("SELECT id, token, fence, epoch, taken FROM taken WHERE taken > ? ORDER BY taken", (order,))
        for id, token, fence, epoch, taken in found.fetchall():
            yield Record("ok", id, token, fence, epoch, taken)

    def close(self) -> None:
        self._db.close()


def application(fence: Fence, say: Callable[[Record], object], broken: Callable[[str], object]) -> "web.Application":
    """The HTTP rim. `say` gets each record before the answer leaves; `broken` is told why the database does not take a write."""
    from aiohttp import web

    decode = msgspec.json.Decoder(Write).decode

    def answer(status: int, value: object) -> web.Response:
        return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")

    async def post(request: web.Request) -> web.Response:
        try:
            write = decode(await request.read())
            if write.token is not None and not -(2**62) <= write.token <= 2**62:
                raise msgspec.ValidationError("token: no 63-bit number")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return answer(400, {"error": str(error)})
        try:
            record, new = fence.write(write)
        except sqlite3.Error as error:
            broken(str(error))
            return answer(500, {"error": str(error)})
        if new:
            say(record)
        if record.type == "fail":
            return answer(409, {"fence": record.fence})
        return answer(200, {"order": record.order, "fence": record.fence})

    async def get(_: web.Request) -> web.Response:
        return answer(200, fence.state())

    app = web.Application()
    app.add_routes([web.post("/write", post), web.get("/state", get)])
    return app


async def serve(serve: Serve, write: Callable[[bytes], object], stop: asyncio.Event) -> None:
    """Serve until `stop`; lines go to `write`. Raises OSError where it cannot listen; returns at once where it has no database."""
    from aiohttp import web

    encode_record = msgspec.json.Encoder().encode

    def say(record: Record) -> None:
        timed = msgspec.structs.replace(record, time=time.monotonic_ns() - serve.epoch)
        write(encode_record(timed) + b"\n")

    def broken(why: str) -> None:
        write(encode(Broken(why)))

    try:
        fence = Fence(serve.database, serve.fence)
    except sqlite3.Error as error:
        return broken(str(error))
    runner = web.AppRunner(application(fence, say, broken), access_log=None, keepalive_timeout=3600, shutdown_timeout=0.5)
    try:
        for record in fence.since(serve.reported):
            say(record)
        await runner.setup()
        await web.TCPSite(runner, serve.host, serve.port).start()
        write(encode(Ready(time.monotonic_ns() - serve.epoch, runner.addresses[0][1])))
        await stop.wait()
    finally:
        await runner.cleanup()
        fence.close()


async def main() -> None:
    """The first line on standard input says what to serve; its end, or SIGTERM, ends the process."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    init = decoder(Serve).decode(sys.stdin.buffer.readline())

    def hear() -> None:
        if not os.read(0, 2**16):
            loop.remove_reader(0)
            stop.set()

    loop.add_reader(0, hear)
    await serve(init, lambda line: os.write(1, line), stop)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(BrokenPipeError):
        asyncio.run(main())
