"""Histories written by hand, for tests: a line is a dict whose times are seconds."""
from collections.abc import Iterable
from typing import Any

import msgspec

from diarchy.history.columns import History
from diarchy.history.op import Op

S = 10**9
TIMES = ("time", "seen", "until", "sent", "ttl")
SETUP = {"ttl": 5 * S, "grace": S // 4, "candidates": ("c1", "c2", "c3")}


def ns(seconds: float) -> int:
    return round(seconds * 10**6) * 1000


def line(time: float, process: str, type: str, f: str, **rest: Any) -> dict[str, Any]:
    """One line, without its index; the claimant of `c1/elect` is `c1#1` unless it is given (None: none)."""
    if "/" in process and not process.startswith(("nemesis", "observer")):
        rest.setdefault("claimant", process.partition("/")[0] + "#1")
    given = {"time": time, **rest}
    return {"process": process, "type": type, "f": f} | {key: ns(value) if key in TIMES else value for key, value in given.items()}


def tell(lines: Iterable[dict[str, Any]], end: float | None = 30.0, **setup: Any) -> History:
    """The history of a set-up (line 0), these lines (from 1), and the end of the run."""
    told = [{"time": 0, "process": "harness", "type": "ok", "f": "setup", "value": msgspec.to_builtins(SETUP | setup)}, *lines]
    if end is not None:
        told.append(line(end, "harness", "ok", "end"))
    return History(msgspec.convert([{"index": index, **each} for index, each in enumerate(told)], list[Op]))


def acquire(who: str, asked: float, got: float, token: int | None = None, ttl: float | None = 5.0, **rest: Any) -> list[dict[str, Any]]:
    """An acquire that succeeded."""
    lease = {} if ttl is None else {"sent": asked, "ttl": ttl, "until": asked + ttl}
    named = {} if token is None else {"token": token}
    claimant = {"claimant": rest.pop("claimant")} if "claimant" in rest else {}
    return [line(asked, f"{who}/elect", "invoke", "acquire", **claimant),
            line(got, f"{who}/elect", "ok", "acquire", **lease, **named, **rest, **claimant)]


def fault(f: str, lift: str, start: float, end: float | None, took: float = 0.01, process: str = "nemesis/1", **value: Any) -> list[dict[str, Any]]:
    """A fault and its lifting, each with invoke and ok."""
    told = [line(start, process, "invoke", f, value=value), line(start + took, process, "ok", f, value=value)]
    if end is not None:
        told += [line(end - took, process, "invoke", lift, value=value), line(end, process, "ok", lift, value=value)]
    return told
