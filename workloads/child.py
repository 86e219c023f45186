"""One child process of a run: its group, its lines, its log, and signals that are verified."""
import asyncio
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic

from diarchy.history.faults import Realised
from diarchy.workloads import groups, guard
from diarchy.workloads.protocol import MAX_LINE

GUARD_S = 5.0
VERIFY_S = 2.0
LOOK_S = 0.002
DRAIN_S = 1.0
"""After the end of a process, its last lines are waited for so long: a grandchild may hold the pipe open."""
MUTE_S = 1.0
"""So long after the end of its output a process that still runs is taken to have closed it."""
BUSY_S, REST, REST_S = 0.005, 4, 0.4
"""Whoever says so much that hearing it takes BUSY_S is not heard for REST times as long, at most REST_S: its pipe fills, and the
others keep their share of the loop."""
TAIL = 2000


class CandidateError(Exception):
    """A child could not be started; the text says which, why, and has the end of its log."""


class Guard:
    """The process that kills the groups it was told of when this one is gone (`workloads/guard.py`), and all that carry `mark`."""

    def __init__(self) -> None:
        self.mark = secrets.token_hex(8)
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True, bufsize=0)
        self._tell(f"={self.mark}\n")

    @property
    def pid(self) -> int:
        return self._process.pid

    def watch(self, group: int) -> None:
        """From now on this group dies with the harness."""
        seen = groups.look(group)
        if seen is not None:
            self._tell(f"+{group} {seen.started}\n")

    def forget(self, group: int) -> None:
        """Nobody is left of this group."""
        self._tell(f"-{group}\n")

    def close(self) -> None:
        """End it; it kills what is left."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(GUARD_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        # Where somebody ended the guard, the parent-death signal still holds.
        with suppress(BrokenPipeError, ValueError):
            self._process.stdin.write(line.encode())


class Child(asyncio.SubprocessProtocol):
    """A process in a session of its own. `hear` gets each line of its output without the newline, and whether that is the
    whole line or the start of one longer than MAX_LINE. After its end, when its last line was heard and nobody is left of its
    group, `bye` is called and `ended` is set. `mute` is called if it closes its output and lives on.

    `outlived` is how many processes had left its group, outlived it, and were killed. `why` says why it was killed itself.
    """

    def __init__(self, name: str, claimant: str, log: Path, guard: Guard, hear: Callable[[bytes, bool], object],
                 bye: Callable[[], object], mute: Callable[[], object] = lambda: None) -> None:
        self.name, self.claimant, self.log = name, claimant, log
        self._guard, self._hear, self._bye, self._mute = guard, hear, bye, mute
        self._mark = f"{guard.mark}/{claimant}"
        self._transport: asyncio.SubprocessTransport | None = None
        self.outlived, self.why = 0, ""
        self._buffer, self._skipping = bytearray(), False
        self._silent, self.ended = asyncio.Event(), asyncio.Event()
        self.status: int | None = None
        self.group = 0

    async def start(self, command: Sequence[str]) -> None:
        """Start it. Raises CandidateError if there is no such program."""
        if shutil.which(command[0]) is None:
            raise CandidateError(f"{self.name}: there is no program {command[0]!r} (workload.command)")
        # The kernel ends it with the thread that started it, even while it is stopped; its children are the guard's.
        wrapped = ("setpriv", "--pdeathsig", "KILL", *command) if shutil.which("setpriv") else tuple(command)
        with self.log.open("ab") as log:
            await asyncio.get_running_loop().subprocess_exec(
                lambda: self, *wrapped, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True,
                env={**os.environ, groups.MARK: self._mark})

    def tell(self, line: bytes) -> None:
        """Write a line to its input; nothing happens if it has ended, or never began."""
        pipe = self._transport and self._transport.get_pipe_transport(0)
        if isinstance(pipe, asyncio.WriteTransport) and not pipe.is_closing():
            pipe.write(line)

    def tail(self) -> str:
        """The end of its log."""
        try:
            return self.log.read_bytes()[-TAIL:].decode(errors="replace").strip()
        except OSError:
            return ""

    @property
    def exit(self) -> dict[str, int]:
        """How it ended: `status` or `signal`."""
        status = self.status or 0
        return {"signal": -status} if status < 0 else {"status": status}

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes of its group that live."""
        return tuple(seen.pid for seen in groups.members(self.group))

    def kill_now(self, why: str = "") -> None:
        """SIGKILL to the whole group, unverified; `why` is told with its end."""
        if self.group and not self.ended.is_set():
            self.why = self.why or why
            groups.send(self.group, signal.SIGKILL)

    async def pause(self) -> Realised:
        """SIGSTOP to the group; verified when every process of it reads state T."""
        return await self._signal(signal.SIGSTOP, "T", True)

    async def resume(self) -> Realised:
        """SIGCONT to the group; verified when none of it reads state T."""
        return await self._signal(signal.SIGCONT, "T", False)

    async def kill(self) -> Realised:
        """SIGKILL to the group; verified when it is reaped and nobody is left."""
        pids = self.pids
        if not pids:
            return self._realised((), False, "no process is left")
        groups.send(self.group, signal.SIGKILL)
        try:
            async with asyncio.timeout(VERIFY_S + DRAIN_S):
                await self.ended.wait()
        except TimeoutError:
            return self._realised(pids, False, f"SIGKILL sent; after {VERIFY_S + DRAIN_S:g} s still there: {self._states()}")
        return self._realised(pids, True, f"ended by {self.exit}, nobody left in group {self.group}")

    async def _signal(self, number: signal.Signals, state: str, wanted: bool) -> Realised:
        if self.ended.is_set() or not groups.send(self.group, number):
            return self._realised((), False, "no process is left")
        end = monotonic() + VERIFY_S
        while True:
            seen = groups.members(self.group)
            if not seen:
                return self._realised((), False, "no process is left")
            bit = all((one.state == state) == wanted for one in seen)
            if bit or monotonic() > end:
                states = ", ".join(f"{one.pid} {one.state}" for one in seen)
                return self._realised(tuple(one.pid for one in seen), bit, f"{number.name}: {states}")
            await asyncio.sleep(LOOK_S)

    def _states(self) -> str:
        return ", ".join(f"{one.pid} {one.state}" for one in groups.members(self.group))

    def _realised(self, pids: tuple[int, ...], bit: bool, evidence: str) -> Realised:
        return Realised(host=self.claimant, pids=pids, bit=bit, evidence=evidence)

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._transport = transport
        self.group = transport.get_pid()
        self._guard.watch(self.group)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        began = monotonic()
        self._take(data)
        took = monotonic() - began
        pipe = self._transport and self._transport.get_pipe_transport(1)
        if took > BUSY_S and isinstance(pipe, asyncio.ReadTransport) and not pipe.is_closing():
            pipe.pause_reading()
            asyncio.get_running_loop().call_later(min(REST * took, REST_S), pipe.resume_reading)

    def _take(self, data: bytes) -> None:
        self._buffer += data
        *lines, rest = self._buffer.split(b"\n")
        for line in lines:
            if self._skipping:
                self._skipping = False
            else:
                self._hear(bytes(line), len(line) < MAX_LINE)
        self._buffer = rest
        if len(rest) >= MAX_LINE:
            if not self._skipping:
                self._hear(bytes(rest), False)
            self._buffer, self._skipping = bytearray(), True

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 1:
            if self._buffer and not self._skipping:
                self._hear(bytes(self._buffer), True)
            self._buffer = bytearray()
            self._silent.set()
            asyncio.get_running_loop().call_later(MUTE_S, self._closed_its_output)

    def _closed_its_output(self) -> None:
        if self.status is None and groups.members(self.group):
            self._mute()

    def process_exited(self) -> None:
        self.status = self._transport.get_returncode() if self._transport else None
        self._ending = asyncio.get_running_loop().create_task(self._end())

    async def _end(self) -> None:
        """The group dies with its first process, and so do those who left it: nothing of a run is left behind."""
        while groups.members(self.group) and groups.send(self.group, signal.SIGKILL):
            await asyncio.sleep(LOOK_S)
        outlived: set[int] = set()
        while left := groups.marked(self._mark):
            outlived.update(left)
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(LOOK_S)
        self.outlived = len(outlived)
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await self._silent.wait()
        self._guard.forget(self.group)
        if self._transport is not None:
            self._transport.close()
        self._bye()
        self.ended.set()


def module(name: str) -> tuple[str, ...]:
    """The command for a module of ours, whatever the working directory holds."""
    return (sys.executable, "-P", "-m", name)

