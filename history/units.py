"""Durations as people write them in scenarios, and as ns everywhere else."""
import re
from typing import Any

import msgspec

NS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
PATTERN = r"^\d+(\.\d+)?(ns|us|ms|s|m|h)$"


class Duration(int):
    """A length of time in ns, written `250ms`, `1.5s` or `2m`. `Duration.parse` raises ValueError for anything else."""

    @classmethod
    def parse(cls, text: object) -> "Duration":
        if not isinstance(text, str) or not re.match(PATTERN, text):
            raise ValueError(f"{text!r} is no duration; write a number and a unit, such as 250ms, 3s or 2m")
        number, unit = re.fullmatch(r"([\d.]+)([a-z]+)", text).groups()  # type: ignore[union-attr]
        return cls(round(float(number) * NS[unit]))

    @property
    def s(self) -> float:
        """The same in seconds, as asyncio wants it."""
        return self / 1e9

    def __str__(self) -> str:
        for unit in ("h", "m", "s", "ms", "us"):
            if self and self % NS[unit] == 0:
                return f"{self // NS[unit]}{unit}"
        return f"{int(self)}ns" if self else "0s"

    __repr__ = __str__


def default(text: str) -> Any:
    """The default of a Duration field; a factory, because msgspec cannot put a custom type's default into a JSON Schema."""
    value = Duration.parse(text)
    return msgspec.field(default_factory=lambda: value)


def decode(type_: type, value: object) -> Any:
    """msgspec's `dec_hook` for every option struct."""
    if type_ is Duration:
        return Duration.parse(value)
    raise NotImplementedError(type_)


def encode(value: object) -> Any:
    """msgspec's `enc_hook`: durations go back to text."""
    if isinstance(value, Duration):
        return str(value)
    raise NotImplementedError(type(value))


def schema(type_: type) -> dict[str, Any]:
    """msgspec's `schema_hook`."""
    if type_ is Duration:
        return {"type": "string", "pattern": PATTERN, "title": "Duration", "description": "a number and a unit: 250ms, 3s, 2m"}
    raise NotImplementedError(type_)
