"""A history in memory: columns, because a million Op objects cost 400 MB."""
from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
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
DENSE = ("time", "seen", "process", "type", "f", "of")
"""The columns that get an entry with every line."""

PART = 2048
"""How many lines wait as Python objects until they become arrays."""

Ints = NDArray[np.int64]
Codes = NDArray[np.int32]
Mask = NDArray[np.bool_]
Entries = tuple[Sequence[int], Sequence[Any]]
"""Of one field, the rows that have it (of no matter where all do), and what they have."""


class Names:
    """A column of strings: one code for each row (-1 where absent) into a table without repetitions."""

    def __init__(self, codes: Codes, table: list[str]) -> None:
        self.codes, self.table = codes, table
        self._code = {name: code for code, name in enumerate(table)}

    def __getitem__(self, row: int) -> str | None:
        code = self.codes[row]
        return None if code < 0 else self.table[code]

    def at(self, rows: Ints) -> list[str | None]:
        """The names of some rows."""
        return [None if code < 0 else self.table[code] for code in self.codes[rows].tolist()]

    def is_(self, *names: str) -> Mask:
        """True for the rows that hold one of the names."""
        return self.among([self._code[name] for name in names if name in self._code])

    def like(self, *prefixes: str) -> Mask:
        """True for the rows whose name starts with one of the prefixes."""
        return self.among([code for code, name in enumerate(self.table) if name.startswith(prefixes)])

    def among(self, codes: Sequence[int] | Codes) -> Mask:
        """True for the rows that hold one of the codes."""
        if len(codes) == 1:
            return np.equal(self.codes, codes[0])
        member = np.zeros(len(self.table) + 1, dtype=np.bool_)  # the last entry is that of code -1, absent
        member[codes] = True
        return member.take(self.codes)


class Table(dict[str, int]):
    """The codes of names; a new name gets the next one."""

    def __missing__(self, name: str) -> int:
        code = self[name] = len(self)
        return code


class Columns:
    """A history that is still being told: a Recorder keeps each line by `add`, and `history` is the History of them all.

    A line costs an append for each field that it has, and nothing is encoded. The lines of each PART become arrays together.
    """

    def __init__(self, source: str = "history") -> None:
        """`source` is for errors."""
        self.source, self.settled = source, 0
        self.tables = {name: Table() for name in NAMES}
        self.parts: dict[str, list[NDArray[Any]]] = {name: [] for name in (*NUMBERS, *NAMES, "again")}
        self.value: dict[int, Any] = {}
        self.error: dict[int, str] = {}
        self._begin()

    def _begin(self) -> None:
        dense: tuple[list[Any], ...] = ([], [], [], [], [], [])
        self._time, self._seen, self._process, self._type, self._f, self._of = dense
        self._rest: dict[str, tuple[list[int], list[Any]]] = {name: ([], []) for name in (*self.parts, "value", "error") if name not in DENSE}
        self._part: dict[str, Entries] = {name: ((), values) for name, values in zip(DENSE, dense, strict=True)}
        self._part.update(self._rest)

    def add(self, time: int, seen: int, process: str, type: Type, f: str, of: int | None, rest: Mapping[str, Any]) -> None:
        """Append a line; `rest` has the other fields of its Op, None where absent. What it holds must not change afterwards."""
        if len(self._f) == PART:
            self._settle()
        row = len(self._f)
        self._time.append(time)
        self._seen.append(seen)
        self._process.append(process)
        self._type.append(type)
        self._f.append(f)
        self._of.append(NONE if of is None else of)
        for name, given in rest.items():
            if given is not None:
                rows, values = self._rest[name]
                rows.append(row)
                values.append(given)

    def copy(self, ops: Iterable[Op]) -> None:
        """Append ops as they are. Raises BadHistory where a number does not fit into 64 bits."""
        left = iter(ops)
        while part := list(islice(left, PART)):
            fields = dict(zip(Op.__struct_fields__, zip(*map(msgspec.structs.astuple, part), strict=True), strict=True))
            self._part = {name: _given(fields[name]) for name in self._part}
            self._settle()

    def history(self) -> "History":
        """The History of the lines so far, the same as of the bytes that their Recorder would have written."""
        self._settle()
        self.value = dict(zip(self.value, msgspec.json.decode(msgspec.json.encode(list(self.value.values()))), strict=True))
        return History.of_columns(self)

    def array(self, name: str) -> NDArray[Any]:
        """A column of the lines that have been settled."""
        return np.concatenate(self.parts[name]) if self.parts[name] else self._column(name, (), (), 0)

    def _settle(self) -> None:
        """Turn the lines of this part into arrays."""
        size = len(self._part["f"][1])
        try:
            for name, parts in self.parts.items():
                parts.append(self._column(name, *self._part[name], size))
        except OverflowError:
            raise jsonl.BadHistory(f"{self.source}:{self.settled + 1 + self._misfit()}: a number of this op does not fit into 64 bits") from None
        for table, (rows, values) in ((self.value, self._part["value"]), (self.error, self._part["error"])):
            table.update(zip((self.settled + row for row in rows), values, strict=True))
        self.settled += size
        self._begin()

    def _column(self, name: str, rows: Sequence[int], values: Sequence[Any], size: int) -> NDArray[Any]:
        found: NDArray[Any]
        if name in self.tables:
            found, absent = np.fromiter(map(self.tables[name].__getitem__, values), np.int32, len(values)), -1
        else:
            found, absent = np.array(array("q", values)), 0 if name == "again" else NONE
        if len(values) == size:
            return found
        column = np.full(size, absent, found.dtype)
        column[np.fromiter(rows, np.intp, len(values))] = found
        return column

    def _misfit(self) -> int:
        """The first row of this part with a number that is too large for its column."""
        return min(row for rows, values in map(self._part.__getitem__, NUMBERS)
                   for row, number in zip(rows or range(len(values)), values, strict=True) if not -2**63 <= number < 2**63)


def _given(column: Sequence[Any]) -> Entries:
    absent = column.count(None)
    if absent in (0, len(column)):
        return (range(len(column)), column) if absent == 0 else ((), ())
    rows = [row for row, given in enumerate(column) if given is not None]
    return rows, [column[row] for row in rows]


class History:
    """Columns by name: each of NUMBERS is an int64 array (NONE where absent), each of NAMES a `Names`.

    Row *i* is the op with index *i*. `value` and `error` are sparse tables by index, `again` a bool column.
    Rows are in the order of receipt; `by_time` is the order of (time, index) that checkers walk. `end` is the time of the last line
    in ns, 0 for an empty history.
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
        columns = Columns(source)
        columns.copy(ops)
        self._take(columns)

    @classmethod
    def of_columns(cls, columns: Columns) -> "History":
        """What was told, line by line. Raises BadHistory where the first line is no set-up."""
        history = cls.__new__(cls)
        history._take(columns)
        return history

    def _take(self, columns: Columns) -> None:
        for name in NUMBERS:
            setattr(self, name, columns.array(name))
        for name in NAMES:
            setattr(self, name, Names(columns.array(name), list(columns.tables[name])))
        self.again = columns.array("again") != 0
        self.value, self.error = dict(columns.value), dict(columns.error)
        self.warnings: list[str] = []
        self.by_time = np.argsort(self.time, kind="stable")
        self.end = int(self.time.max()) if len(self) else 0
        first = self.value.get(0) if len(self) and self.f[0] == "setup" else None
        try:
            self.setup = msgspec.convert(first or {}, Setup)
        except msgspec.ValidationError as error:
            raise jsonl.BadHistory(f"{columns.source}:1: the set-up: {error}") from None

    @classmethod
    def read(cls, path: Path) -> "History":
        """Read a `history.jsonl`. Raises BadHistory; `warnings` says what was left out."""
        warnings: list[str] = []
        history = cls(jsonl.ops(path, warnings), str(path))
        history.warnings += warnings
        return history

    def __len__(self) -> int:
        return len(self.time)

    def rows(self, mask: Mask) -> Ints:
        """The rows for which the mask is True, in the order of (time, index)."""
        rows = np.flatnonzero(mask)
        return rows[np.argsort(self.time[rows], kind="stable")]

    def where(self, *f: str, type: Type | None = None) -> list[int]:
        """Indices of the ops with one of these `f` (and this type), in the order of time."""
        mask = self.f.is_(*f)
        if type is not None:
            mask &= self.type.is_(type)
        found: list[int] = self.rows(mask).tolist()
        return found

    def get(self, column: str, index: int) -> int | None:
        """One number of a column, None where absent."""
        number = int(getattr(self, column)[index])
        return None if number == NONE else number

    def op(self, index: int) -> Op:
        """The op of one row."""
        fields: dict[str, Any] = {name: self.get(name, index) for name in NUMBERS}
        fields.update((name, getattr(self, name)[index]) for name in NAMES)
        return Op(index=index, again=bool(self.again[index]), value=self.value.get(index), error=self.error.get(index), **fields)
