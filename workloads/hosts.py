"""The children of a run as faults act upon them: candidates and the resource, over all their boots."""
import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from diarchy.history.faults import Realised
from diarchy.history.op import Recorder
from diarchy.history.transcript import Line, ProtocolError, Transcript
from diarchy.workloads.child import CandidateError, Child, Guard
from diarchy.workloads.protocol import (
    MAX_LINE,
    Answered,
    Broken,
    Go,
    Init,
    Ping,
    Pong,
    Ready,
    Serve,
    Stop,
    decoder,
    encode,
)
from diarchy.workloads.resource import Record

READY_S = 10.0
PINGS = 5
PING_S = 2.0
RUBBISH = 20
"""So many lines of one claimant that are no lines are recorded one by one; the rest is counted."""

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_line = decoder(Line).decode
_answer = decoder(Answered).decode
_record = decoder(Record).decode


class ResourceError(Exception):
    """The resource cannot keep what it is given; the text names its database."""


class Place:
    """What children of a run share: the recorder, the folder of logs, the guard, and whom to tell that the run has no sense any more."""

    def __init__(self, recorder: Recorder, logs: Path, guard: Guard, failed: Callable[[Exception], object]) -> None:
        self.recorder, self.logs, self.guard, self.failed = recorder, logs, guard, failed
        self.closing = False


class Voice:
    """What one boot of a child says. Ops go into the history once `begin` was called; lines that are none, too."""

    def __init__(self, place: Place, name: str, boot: int) -> None:
        self.claimant = f"{name}#{boot}"
        self.child = Child(name, self.claimant, place.logs / f"{name}.log", place.guard, self._hear, self._bye, self._mute)
        self._place, self._name = place, name
        self._transcript = Transcript(place.recorder, name, self.claimant)
        self._begun = False
        self._rubbish: list[tuple[str, str]] = []
        self._count = 0
        self._ready: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()
        self._pongs: dict[int, asyncio.Future[tuple[int, int]]] = {}

    async def ready(self) -> Ready:
        """Its `ready`, within READY_S. Raises CandidateError with the end of its log."""
        if (ready := await _unless_ended(self._ready, self.child)) is not None:
            return ready
        what = f"ended with {self.child.exit} before it was ready" if self.child.ended.is_set() else (
            f"was not ready within {READY_S:g} s of its init")
        raise self.error(what)

    async def ping(self, number: int) -> tuple[int, str]:
        """The round trip in ns, and what is wrong with its clock ("" if nothing). Raises CandidateError without an answer."""
        future = self._pongs[number] = asyncio.get_running_loop().create_future()
        sent = self._place.recorder.now()
        self.child.tell(encode(Ping(number)))
        try:
            async with asyncio.timeout(PING_S):
                time, received = await future
        except TimeoutError:
            raise self.error(f"did not answer a ping within {PING_S:g} s") from None
        wrong = "" if sent <= time <= received else (
            f"{self.claimant} said {time} ns to a ping that was sent at {sent} and answered at {received}")
        return received - sent, wrong

    def begin(self) -> None:
        """From now on the history hears it: it is ready, and what it said wrongly until now."""
        self._begun = True
        self._place.recorder.append(self._name, "ok", "ready", claimant=self.claimant)
        held, self._rubbish = self._rubbish, []
        for error, text in held:
            self._record_rubbish(error, text)
        if self.child.ended.is_set():
            self._record_exit()
        self.child.tell(encode(Go()))

    def error(self, what: str) -> CandidateError:
        tail = self.child.tail()
        return CandidateError(f"{self.claimant} {what}" + (f"; the end of {self.child.log}:\n{tail}" if tail else
                                                           f"; its log {self.child.log} is empty"))

    def _hear(self, line: bytes, whole: bool) -> None:
        if not whole:
            return self._misheard(f"a line longer than {MAX_LINE} bytes", line)
        try:
            op = _line(line)
        except UNREADABLE as error:
            return self._hear_answer(line, str(error))
        if self._begun:
            try:
                self._transcript.line(op)
            except ProtocolError as error:
                self._misheard(str(error), line)

    def _hear_answer(self, line: bytes, error: str) -> None:
        try:
            answer = _answer(line)
        except UNREADABLE:
            return self._misheard(error, line)
        match answer:
            case Ready() if not self._ready.done():
                self._ready.set_result(answer)
            case Pong(id, time) if id in self._pongs and not (pong := self._pongs.pop(id)).done():
                pong.set_result((time, self._place.recorder.now()))

    def _mute(self) -> None:
        error = "it closed its standard output and lives on: nothing more is heard of it"
        if self._begun:
            self._place.recorder.append("harness", "info", "protocol-error", claimant=self.claimant, error=error)
        else:
            self._rubbish.append((error, ""))

    def _misheard(self, error: str, line: bytes) -> None:
        text = line[:800].decode(errors="replace")[:200]
        if self._begun:
            self._record_rubbish(error, text)
        elif len(self._rubbish) < RUBBISH:
            self._rubbish.append((error, text))

    def _record_rubbish(self, error: str, text: str) -> None:
        self._count += 1
        if self._count <= RUBBISH:
            self._place.recorder.append("harness", "info", "protocol-error", claimant=self.claimant, error=error, value=text)

    def _bye(self) -> None:
        for future in self._pongs.values():
            if not future.done():
                future.set_exception(self.error(f"ended with {self.child.exit} while it was pinged"))
        if self._begun and not self._place.closing:
            self._record_exit()

    def _record_exit(self) -> None:
        if self._count > RUBBISH:
            self._place.recorder.append("harness", "info", "protocol-error", claimant=self.claimant,
                                        error=f"{self._count - RUBBISH} more lines that are none")
        self._place.recorder.append(self._name, "ok", "exit", claimant=self.claimant, value=self.child.exit, error=self.child.why or None)
        if self.child.outlived:
            self._place.recorder.append("harness", "info", "protocol-error", claimant=self.claimant, error=(
                f"{self.child.outlived} processes that it had started in sessions of their own outlived it and were killed"))


class Candidate:
    """One candidate over all its boots: a Host. `init` makes the introduction of a claimant."""

    def __init__(self, place: Place, name: str, command: tuple[str, ...]) -> None:
        self.name = name
        self._place, self._command = place, command
        self._init: Callable[[str], Init] | None = None
        self._boot = 1
        self.voice = Voice(place, name, self._boot)

    @property
    def claimant(self) -> str:
        return self.voice.claimant

    @property
    def pids(self) -> tuple[int, ...]:
        return self.voice.child.pids

    @property
    def child(self) -> Child:
        return self.voice.child

    async def spawn(self) -> None:
        """Start the process; nothing is said yet."""
        await self.child.start(self._command)

    async def introduce(self, init: Callable[[str], Init]) -> tuple[int, list[str]]:
        """Until it is ready; the smallest round trip of its pings in ns, and what is wrong with its clock."""
        self._init = init
        self.child.tell(encode(init(self.claimant)))
        await self.voice.ready()
        pings = [await self.voice.ping(number) for number in range(PINGS)]
        return min(trip for trip, _ in pings), [wrong for _, wrong in pings if wrong]

    def stop(self) -> None:
        """Ask it to step down and exit."""
        self.child.tell(encode(Stop()))

    async def pause(self) -> Realised:
        return await self.child.pause()

    async def resume(self) -> Realised:
        return await self.child.resume()

    async def kill(self) -> Realised:
        return await self.child.kill()

    async def start(self) -> Realised:
        """A new boot, a new claimant, introduced and told to begin."""
        if not self.child.ended.is_set() or self._init is None or self._place.closing:
            return Realised(host=self.claimant, pids=self.pids, bit=False, evidence="it has not ended: nothing to start")
        self._boot += 1
        self.voice = Voice(self._place, self.name, self._boot)
        try:
            await self.spawn()
            _, problems = await self.introduce(self._init)
        except (CandidateError, OSError) as error:
            self.child.kill_now()
            return Realised(host=self.claimant, bit=False, evidence=str(error))
        for problem in problems:
            self._place.recorder.append("harness", "info", "clock", error=problem)
        self.voice.begin()
        return Realised(host=self.claimant, pids=self.pids, evidence="ready, and told to begin")


class Resource:
    """The resource over all its boots: a Host. It keeps its port and its database."""

    def __init__(self, place: Place, command: tuple[str, ...], serve: Serve) -> None:
        self._place, self._command, self._serve = place, command, serve
        self._boot = 0

    @property
    def claimant(self) -> str:
        return f"resource#{self._boot}"

    @property
    def pids(self) -> tuple[int, ...]:
        return self.child.pids

    @property
    def address(self) -> str:
        return f"{self._serve.host}:{self._serve.port}"

    async def boot(self) -> None:
        """Start it and wait until it listens. Raises CandidateError, ResourceError."""
        self._boot += 1
        self._listens: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()
        self.child = Child("resource", self.claimant, self._place.logs / "resource.log", self._place.guard, self._hear, self._bye)
        await self.child.start(self._command)
        self.child.tell(encode(self._serve))
        ready = await _unless_ended(self._listens, self.child)
        if ready is None:
            raise CandidateError(f"the resource does not listen on {self.address}; the end of {self.child.log}:\n{self.child.tail()}")
        self._serve = msgspec.structs.replace(self._serve, port=ready.port)

    async def pause(self) -> Realised:
        return await self.child.pause()

    async def resume(self) -> Realised:
        return await self.child.resume()

    async def kill(self) -> Realised:
        return await self.child.kill()

    async def start(self) -> Realised:
        """A new boot on the same port; it says again what it took and could not say."""
        if not self.child.ended.is_set() or self._place.closing:
            return Realised(host=self.claimant, pids=self.pids, bit=False, evidence="it has not ended: nothing to start")
        try:
            await self.boot()
        except (CandidateError, ResourceError, OSError) as error:
            self.child.kill_now()
            return Realised(host=self.claimant, bit=False, evidence=str(error))
        return Realised(host=self.claimant, pids=self.pids, evidence=f"listens on {self.address}")

    def _hear(self, line: bytes, whole: bool) -> None:
        try:
            record = _record(line)
        except UNREADABLE as error:
            return self._hear_answer(line, str(error))
        if record.order is not None:
            self._serve = msgspec.structs.replace(self._serve, reported=max(record.order, self._serve.reported))
        self._place.recorder.append("resource", record.type, "write", time=record.time, id=record.id, token=record.token,
                                    order=record.order, fence=record.fence, epoch=record.epoch)

    def _hear_answer(self, line: bytes, error: str) -> None:
        try:
            answer = _answer(line)
        except UNREADABLE:
            self._place.recorder.append("harness", "info", "protocol-error", claimant=self.claimant, error=error,
                                        value=line[:800].decode(errors="replace")[:200])
            return
        match answer:
            case Ready() if not self._listens.done():
                self._listens.set_result(answer)
            case Broken(why):
                broken = ResourceError(f"the resource cannot keep its database {self._serve.database}: {why}: free some space there, or "
                                       "name another place with --out")
                if self._listens.done():
                    self._place.failed(broken)
                else:
                    self._listens.set_exception(broken)

    def _bye(self) -> None:
        if self._listens.done() and not self._place.closing:
            self._place.recorder.append("resource", "ok", "exit", claimant=self.claimant, value=self.child.exit)


async def _unless_ended(ready: asyncio.Future[Ready], child: Child) -> Ready | None:
    """Wait for the child's `ready`; None if it ends first, or takes longer than READY_S."""
    waits: list[asyncio.Future[Any]] = [ready, asyncio.ensure_future(child.ended.wait())]
    await asyncio.wait(waits, timeout=READY_S, return_when=asyncio.FIRST_COMPLETED)
    waits[1].cancel()
    return ready.result() if ready.done() else None
