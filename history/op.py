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
    """Gives indices, `seen` stamps and the `of` of completions, writes each line at once, keeps it, and tells the listeners.

    `now` is the run's clock in ns; `write` gets one encoded line with its newline, in one call. `keep` gets a line's time, seen,
    process, type, f, of, and a mapping of its other fields: `Columns.add`, for a history that stays in memory.
    """

    def __init__(self, now: Callable[[], int], write: Callable[[bytes], object] | None = None,
                 keep: Callable[[int, int, str, Type, str, int | None, dict[str, Any]], object] | None = None) -> None:
        self.now = now
        self.count = 0
        self.listeners: list[Callable[[Op], None]] = []
        self._write, self._keep = write, keep
        self._encode = msgspec.json.Encoder().encode
        self._open: dict[str, tuple[str, int]] = {}

    def append(self, process: str, type: Type, f: str, time: int | None = None, **rest: Any) -> Op:
        """Append one line; without a `time` it happened now. Returns the op, whose `index` a completion refers to."""
        seen, of = self.now(), self._of(process, type, f)
        op = Op(self.count, seen if time is None else time, process, type, f, seen=seen, of=of, **rest)
        if self._write is not None:
            self._write(self._encode(op) + b"\n")
        if self._keep is not None:
            self._keep(op.time, seen, process, type, f, of, rest)
        self.count += 1
        for listen in self.listeners:
            listen(op)
        return op

    def tell(self, process: str, type: Type, f: str, time: int | None = None, **rest: Any) -> int:
        """Append one line, and return its index: the same without an Op, where the line is only kept."""
        if self._keep is None or self._write is not None or self.listeners:
            return self.append(process, type, f, time, **rest).index
        seen = self.now()
        self._keep(seen if time is None else time, seen, process, type, f, self._of(process, type, f), rest)
        self.count += 1
        return self.count - 1

    def _of(self, process: str, type: Type, f: str) -> int | None:
        """The index of the `invoke` that a line completes, the one under way in its process."""
        if type == "invoke":
            self._open[process] = f, self.count
        elif process in self._open and self._open[process][0] == f:
            return self._open.pop(process)[1]
        return None
