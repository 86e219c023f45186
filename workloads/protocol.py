"""The lines between the harness and its children that are no ops (docs/candidate-protocol.md)."""
from typing import Any

import msgspec

from diarchy.history.units import Duration
from diarchy.workloads.lock import Lock

MAX_LINE = 2**16
"""Bytes, the newline included."""


class Init(msgspec.Struct, frozen=True, tag="init"):
    """To a candidate, always first. `epoch` is CLOCK_MONOTONIC in ns; durations in `options` are ns."""

    name: str
    claimant: str
    epoch: int
    nodes: dict[str, str]
    resource: str
    store: str
    key: str
    options: Lock


class Serve(msgspec.Struct, frozen=True, tag="serve"):
    """To the resource, always first. `port` 0 takes any. Writes accepted after `reported` are said (again) at the start."""

    host: str
    port: int
    database: str
    fence: bool
    epoch: int
    reported: int = 0


class Ping(msgspec.Struct, frozen=True, tag="ping"):
    id: int


class Go(msgspec.Struct, frozen=True, tag="go"):
    pass


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    pass


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """`port` is the resource's."""

    time: int
    port: int = 0


class Pong(msgspec.Struct, frozen=True, tag="pong"):
    id: int
    time: int


class Broken(msgspec.Struct, frozen=True, tag="broken"):
    """The resource cannot keep what it is given."""

    error: str


Said = Init | Serve | Ping | Go | Stop
Answered = Ready | Pong | Broken


def encode(line: Said | Answered) -> bytes:
    """The line with its newline."""
    return msgspec.json.encode(line, enc_hook=_ns) + b"\n"


def decoder(type_: Any) -> msgspec.json.Decoder[Any]:
    """For lines of these types, durations in ns."""
    return msgspec.json.Decoder(type_, dec_hook=_duration)


def _ns(value: object) -> int:
    if isinstance(value, Duration):
        return int(value)
    raise NotImplementedError(type(value))


def _duration(type_: type, value: object) -> Duration:
    if type_ is Duration and isinstance(value, int):
        return Duration(value)
    raise NotImplementedError(type_)
