"""diarchy's own candidate as a process: `python -m diarchy.workloads.candidate` (docs/candidate-protocol.md)."""
import asyncio
import os
import re
import signal
import sys
import time
from typing import Any

import msgspec

from diarchy.clusters.stores import LeaseStore
from diarchy.history.transcript import Line
from diarchy.workloads.protocol import Answered, Go, Init, Ping, Pong, Ready, Said, Stop, decoder, encode
from diarchy.workloads.recipe import Recipe
from diarchy.workloads.session import Session
from diarchy.workloads.writer import HttpWriter

LOOK = 50_000_000
STALLED = 150_000_000
TICK = 1_000_000_000


class Candidate:
    """What comes in on one file descriptor and goes out on another."""

    def __init__(self, come: int, go: int) -> None:
        self._in, self._out = come, go
        self._buffer = b""
        self._decode = decoder(Said).decode
        self._encode = msgspec.json.Encoder().encode
        self._epoch = 0
        self._recipe: Recipe | None = None
        self.introduced: asyncio.Future[Init] = asyncio.get_running_loop().create_future()
        self.going, self.stopping = asyncio.Event(), asyncio.Event()

    def now(self) -> int:
        """ns since the run's epoch."""
        return time.monotonic_ns() - self._epoch

    def hear(self) -> None:
        """Read what has come, and act on it; the end of the input means stop."""
        data = os.read(self._in, 2**16)
        if not data:
            asyncio.get_running_loop().remove_reader(self._in)
            return self.stop()
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            try:
                self._act(self._decode(line))
            except msgspec.DecodeError as error:
                print(f"not understood: {line[:200]!r}: {error}", file=sys.stderr)

    def _act(self, said: Any) -> None:
        match said:
            case Ping(id):
                self.write(encode(Pong(id, self.now())))
            case Init() if not self.introduced.done():
                self._epoch = said.epoch
                self.introduced.set_result(said)
            case Go():
                self.going.set()
            case Stop():
                self.stop()

    def stop(self) -> None:
        """Resign and exit; also before it was introduced."""
        self.stopping.set()
        self.going.set()
        self.introduced.cancel()
        if self._recipe is not None:
            self._recipe.stop()

    def write(self, line: bytes) -> None:
        """Hand the line to the system whole before anything else happens."""
        while line:
            line = line[os.write(self._out, line):]

    def say(self, line: Line) -> None:
        """One op's line."""
        self.write(self._encode(line) + b"\n")

    async def live(self) -> None:
        """From the introduction to the end."""
        init = await self.introduced
        session = Session(init.claimant, self.say, self.now)
        store, writer = store_of(init), HttpWriter(init.resource)
        self._recipe = Recipe(init.options, init.key, session, store, writer)
        answer: Answered = Ready(self.now())
        self.write(encode(answer))
        await self.going.wait()
        beating = asyncio.create_task(beat(session))
        if not self.stopping.is_set():
            await self._recipe.run()
        beating.cancel()
        await store.close()
        writer.close()


async def beat(session: Session) -> None:
    """Tick about once a second; tell when the loop did not come round in time: a pause, or a machine too busy.

    A stall is told from when the loop was due: until then nothing shows that it would not have run.
    """
    last = ticked = session.now()
    session.note("tick", "tick")
    while True:
        await asyncio.sleep(LOOK / 1e9)
        now = session.now()
        if now - last > LOOK + STALLED:
            session.note("tick", "stall", value={"since": last + LOOK})
        if now - ticked >= TICK:
            session.note("tick", "tick")
            ticked = now
        last = now


def store_of(init: Init) -> LeaseStore:
    """The election service that `store` names; the candidates begin at different nodes. Raises ValueError."""
    number = re.search(r"\d+$", init.name)
    first = int(number[0]) - 1 if number else 0
    match init.store:
        case "etcd":
            from diarchy.clusters.etcd.store import EtcdStore

            return EtcdStore(init.nodes, first)
        case other:
            raise ValueError(f"store {other!r} is unknown; etcd is known")


async def main() -> None:
    """Speak the protocol on standard input and output."""
    loop, candidate = asyncio.get_running_loop(), Candidate(0, 1)
    loop.add_signal_handler(signal.SIGTERM, candidate.stop)
    loop.add_reader(0, candidate.hear)
    try:
        await candidate.live()
    except asyncio.CancelledError:
        if not candidate.stopping.is_set():
            raise


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(main())
