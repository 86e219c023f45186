"""Process groups, as /proc shows them."""
import os
import signal
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
MARK = "DIARCHY_CHILD"
"""In the environment of every child of a run: all that it starts inherit it, those too who leave its group."""


class Seen(NamedTuple):
    """One process: `state` is the letter of /proc/PID/stat (T stopped, Z dead), `started` its start time in clock ticks."""

    pid: int
    group: int
    state: str
    started: int


def look(pid: int) -> Seen | None:
    """One process, or None if there is none."""
    try:
        stat = (PROC / str(pid) / "stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name, in parentheses, may hold anything, parentheses and spaces included.
    fields = stat[stat.rindex(b")") + 2:].split()
    return Seen(pid, int(fields[2]), fields[0].decode(), int(fields[19]))


def members(group: int) -> list[Seen]:
    """The processes of a group that live, lowest pid first."""
    pids = sorted(int(name) for name in os.listdir(PROC) if name.isdigit())
    found = (look(pid) for pid in pids)
    return [seen for seen in found if seen is not None and seen.group == group and seen.state not in "ZX"]


def marked(mark: str) -> list[int]:
    """The processes that live with this mark in the environment they were started with, as far as it can be read."""
    wanted, found = f"{MARK}={mark}".encode(), []
    for name in os.listdir(PROC):
        if name.isdigit():
            try:
                if wanted in (PROC / name / "environ").read_bytes().split(b"\0"):
                    found.append(int(name))
            except OSError:
                continue
    return [pid for pid in found if (seen := look(pid)) is not None and seen.state not in "ZX"]


def send(group: int, number: signal.Signals) -> bool:
    """Signal a whole group; False if nobody is left of it."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True
