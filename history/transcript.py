"""The lines that one candidate process writes become ops (docs/candidate-protocol.md)."""
from typing import Annotated, Any, Literal

import msgspec

from diarchy.history.op import Op, Recorder, Type

Act = Literal["acquire", "enqueue", "renew", "release", "write", "read", "observe", "step-down", "tick", "stall"]
Int = Annotated[int, msgspec.Meta(ge=-(2**62), le=2**62)]
"""Fits a column of a History, sums included."""


class ProtocolError(Exception):
    """A line that is no line of the protocol; the text says what is wrong with it."""


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One line from a candidate. `process` is its own name for the activity (`elect`, `renew`, `write`).

    `tenure` is the candidate's own name for a stay in office: any string, given on the acquire's `invoke` and named by all that
    follows from it. Without one, an op belongs to the candidate's newest acquire. Times in ns since `epoch`.
    """

    process: str
    type: Type
    f: Act
    time: Int
    tenure: str | None = None
    sent: Int | None = None
    ttl: Int | None = None
    until: Int | None = None
    token: Int | None = None
    term: Int | None = None
    again: bool = False
    id: str | None = None
    value: Any = None
    node: str | None = None
    error: str | None = None


COPIED = ("sent", "ttl", "until", "token", "term", "id", "value", "node", "error")


class Transcript:
    """One claimant's voice in the history: full process names, a fresh one after an unknown outcome, `tenure` and `until`."""

    def __init__(self, recorder: Recorder, candidate: str, claimant: str) -> None:
        self.candidate, self.claimant = candidate, claimant
        self._recorder = recorder
        self._lives: dict[str, int] = {}
        self._under_way: dict[str, tuple[str, int]] = {}
        self._tenures: dict[str, int] = {}
        self._newest: int | None = None

    def line(self, line: Line) -> Op:
        """Record one line. Raises ProtocolError for a completion without an invoke, or an invoke over an open one."""
        lives = self._lives.get(line.process, 0)
        process = f"{self.candidate}/{line.process}" + (f".{lives}" if lives else "")
        sent = self._pair(line)
        fields = {name: value for name in COPIED if (value := getattr(line, name)) is not None}
        if line.again:
            fields["again"] = True
        if line.f in ("acquire", "renew") and line.type == "ok" and line.ttl is not None:
            fields.setdefault("sent", sent)
            fields.setdefault("until", fields["sent"] + line.ttl)
        if line.f != "acquire":
            fields.update(self._tenure_of(line))
        op = self._recorder.append(process, line.type, line.f, time=line.time, claimant=self.claimant, **fields)
        if line.f == "acquire" and line.type == "invoke":
            self._newest = op.index
            self._tenures[line.tenure or ""] = op.index
        if line.type == "info":
            self._lives[line.process] = lives + 1
        return op

    def _pair(self, line: Line) -> int | None:
        """Keep at most one op under way per activity; the time of the invoke that a completion answers."""
        open_ = self._under_way.get(line.process)
        if line.type == "invoke":
            if open_ is not None:
                raise ProtocolError(f"{line.process}: invoke of {line.f} while {open_[0]} is under way; one op at a time per process")
            self._under_way[line.process] = line.f, line.time
            return None
        if open_ is not None and open_[0] == line.f:
            del self._under_way[line.process]
            return open_[1]
        if line.f in ("acquire", "renew", "release", "write", "read", "enqueue"):
            raise ProtocolError(f"{line.process}: {line.type} of {line.f} without its invoke")
        return None

    def _tenure_of(self, line: Line) -> dict[str, int]:
        if line.tenure is None:
            return {} if self._newest is None or line.f in ("tick", "stall", "ready", "enqueue") else {"tenure": self._newest}
        if line.tenure not in self._tenures:
            raise ProtocolError(f"{line.f}: tenure {line.tenure!r} was never acquired")
        return {"tenure": self._tenures[line.tenure]}
