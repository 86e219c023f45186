"""A history in memory: columns, because a million Op objects cost 400 MB."""
from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from diarchy.history import jsonl
from diarchy.history.op import Op, Type
from diarchy.history.setup import Setup

NONE = np.iinfo(np.int64).min
"""Stands for "absent" in a column of numbers."""

NUMBERS = ("time", "seen", "of", "tenure", "sent", "ttl", "until", "token", "term", "order", "epoch", "fence")
NAMES = ("type", "f", "process", "claimant", "id", "node")

Ints = NDArray[np.int64]
Codes = NDArray[np.int32]


class Names:
    """A column of strings: one code for each row (-1 where absent) into a table without repetitions."""

    def __init__(self, codes: Codes, table: list[str]) -> None:
        self.codes, self.table = codes, table
        self._code = {name: code for code, name in enumerate(table)}

    def __getitem__(self, row: int) -> str | None:
        code = self.codes[row]
        return None if code < 0 else self.table[code]

    def is_(self, *names: str) -> NDArray[np.bool_]:
        """True for the rows that hold one of the names."""
        codes = [self._code[name] for name in names if name in self._code]
        return np.isin(self.codes, codes)

    def like(self, prefix: str) -> NDArray[np.bool_]:
        """True for the rows whose name starts with the prefix."""
        return np.isin(self.codes, [code for name, code in self._code.items() if name.startswith(prefix)])


class History:
    """Columns by name: each of NUMBERS is an int64 array (NONE where absent), each of NAMES a `Names`.

    Row *i* is the op with index *i*. `value` and `error` are sparse tables by index, `again` a bool column.
    Rows are in the order of receipt; `by_time` is the order of (time, index) that checkers walk.
    """

    time: Ints
    seen: Ints
    of: Ints
    tenure: Ints
    sent: Ints
    ttl: Ints
    until: Ints
    token: Ints
    term: Ints
    order: Ints
    epoch: Ints
    fence: Ints
    type: Names
    f: Names
    process: Names
    claimant: Names
    id: Names
    node: Names

    def __init__(self, ops: Iterable[Op], source: str = "history") -> None:
        """`source` is for errors: BadHistory where a number is out of range, or the first line is no set-up."""
        numbers = {name: array("q") for name in NUMBERS}
        codes = {name: array("i") for name in NAMES}
        tables: dict[str, dict[str, int]] = {name: {} for name in NAMES}
        again = bytearray()
        self.value: dict[int, Any] = {}
        self.error: dict[int, str] = {}
        self.warnings: list[str] = []
        try:
            for op in ops:
                for name, column in numbers.items():
                    number = getattr(op, name)
                    column.append(NONE if number is None else number)
                for name, code in codes.items():
                    text, table = getattr(op, name), tables[name]
                    code.append(-1 if text is None else table.setdefault(text, len(table)))
                again.append(op.again)
                if op.value is not None:
                    self.value[op.index] = op.value
                if op.error is not None:
                    self.error[op.index] = op.error
        except OverflowError:
            raise jsonl.BadHistory(f"{source}:{len(again) + 1}: a number of this op does not fit into 64 bits") from None
        for name, column in numbers.items():
            setattr(self, name, np.array(column, dtype=np.int64))
        for name, code in codes.items():
            setattr(self, name, Names(np.array(code, dtype=np.int32), list(tables[name])))
        self.again = np.frombuffer(bytes(again), dtype=np.bool_)
        self.by_time = np.lexsort((np.arange(len(self)), self.time))
        first = self.value.get(0) if len(self) and self.f[0] == "setup" else None
        try:
            self.setup = msgspec.convert(first or {}, Setup)
        except msgspec.ValidationError as error:
            raise jsonl.BadHistory(f"{source}:1: the set-up: {error}") from None

    @classmethod
    def read(cls, path: Path) -> "History":
        """Read a `history.jsonl`. Raises BadHistory; `warnings` says what was left out."""
        warnings: list[str] = []
        history = cls(jsonl.ops(path, warnings), str(path))
        history.warnings += warnings
        return history

    def __len__(self) -> int:
        return len(self.time)

    @property
    def end(self) -> int:
        """The time of the last line, in ns; 0 for an empty history."""
        return int(self.time.max()) if len(self) else 0

    def where(self, *f: str, type: Type | None = None) -> list[int]:
        """Indices of the ops with one of these `f` (and this type), in the order of time."""
        mask = self.f.is_(*f)
        if type is not None:
            mask &= self.type.is_(type)
        return [int(i) for i in self.by_time[mask[self.by_time]]]

    def get(self, column: str, index: int) -> int | None:
        """One number of a column, None where absent."""
        number = int(getattr(self, column)[index])
        return None if number == NONE else number

    def op(self, index: int) -> Op:
        """The op of one row."""
        fields: dict[str, Any] = {name: self.get(name, index) for name in NUMBERS}
        fields.update((name, getattr(self, name)[index]) for name in NAMES)
        return Op(index=index, again=bool(self.again[index]), value=self.value.get(index), error=self.error.get(index), **fields)
