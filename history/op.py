"""One line of a history, and the only thing that appends one."""
from collections.abc import Callable
from typing import Any, Literal

import msgspec

Type = Literal["invoke", "ok", "fail", "info"]


class Op(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line. All times are ns on the run's one monotonic clock; indices are those of other lines.

    `invoke` is stamped before its request leaves and `ok` (it happened), `fail` (it did not) or `info` (unknown: now,
    later or never) after its answer was read. `docs/history.md` has the meaning of each field.
    """

    index: int
    time: int
    process: str
    type: Type
    f: str
    seen: int | None = None
    claimant: str | None = None
    of: int | None = None
    tenure: int | None = None
    sent: int | None = None
    ttl: int | None = None
    until: int | None = None
    token: int | None = None
    term: int | None = None
    again: bool = False
    id: str | None = None
    order: int | None = None
    epoch: int | None = None
    fence: int | None = None
    value: Any = None
    node: str | None = None
    error: str | None = None


class Recorder:
    """Gives indices, `seen` stamps and the `of` of completions, writes each line at once, and tells the listeners.

    `now` is the run's clock in ns; `write` gets one encoded line with its newline, in one call.
    """

    def __init__(self, now: Callable[[], int], write: Callable[[bytes], object] | None = None) -> None:
        self.now = now
        self.count = 0
        self.listeners: list[Callable[[Op], None]] = []
        self._write = write
        self._encode = msgspec.json.Encoder().encode
        self._open: dict[str, tuple[str, int]] = {}

    def append(self, process: str, type: Type, f: str, time: int | None = None, **rest: Any) -> Op:
        """Append one line; without a `time` it happened now. Returns the op, whose `index` a completion refers to."""
        seen = self.now()
        of = None
        if type != "invoke" and self._open.get(process, ("", 0))[0] == f:
            of = self._open.pop(process)[1]
        op = Op(self.count, seen if time is None else time, process, type, f, seen=seen, of=of, **rest)
        if type == "invoke":
            self._open[process] = f, op.index
        if self._write is not None:
            self._write(self._encode(op) + b"\n")
        self.count += 1
        for listen in self.listeners:
            listen(op)
        return op
