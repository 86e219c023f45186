"""Kills the process groups of a run when the harness is gone, however it went.

A process of its own, told on standard input: `+GROUP START` (a group, and when its first process started, in clock ticks),
`-GROUP`, and `=MARK`, with which the value of DIARCHY_CHILD begins in the environment of all children of the run. At the end of
the input every group still known gets SIGKILL, and so does everybody with the mark; that also ends stopped processes. It takes
neither Ctrl-C nor SIGTERM, and imports nothing but the standard library: it runs without site-packages.
"""
import os
import signal
import sys
import time
from contextlib import suppress

ROUNDS, ROUND_S = 100, 0.01


def started(pid: int) -> int | None:
    """Start time of a process, None if there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read()
    except OSError:
        return None
    return int(stat[stat.rindex(b")") + 2:].split()[19])


def kill_marked(start: bytes) -> int:
    """Kill those in whose environment something starts like this; how many there were."""
    killed = 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/environ", "rb") as file:
                    if any(value.startswith(start) for value in file.read().split(b"\0")):
                        os.kill(int(name), signal.SIGKILL)
                        killed += 1
            except OSError:
                continue
    return killed


def main() -> None:
    """Read until the end, then kill. A group whose first process is another one now is not ours: the number was reused."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups, mark = told()
    for group, start in groups.items():
        if started(group) in (None, start):
            with suppress(OSError):
                os.killpg(group, signal.SIGKILL)
    for _ in range(ROUNDS if mark else 0):
        if not kill_marked(f"DIARCHY_CHILD={mark}/".encode()):
            break
        time.sleep(ROUND_S)


def told() -> tuple[dict[int, int], str]:
    """What was left to be killed at the end of the input."""
    groups: dict[int, int] = {}
    mark = ""
    for line in sys.stdin:
        words = line[1:].split()
        if line.startswith("+") and len(words) == 2:
            groups[int(words[0])] = int(words[1])
        elif line.startswith("-") and len(words) == 1:
            groups.pop(int(words[0]), None)
        elif line.startswith("=") and len(words) == 1:
            mark = words[0]
    return groups, mark


if __name__ == "__main__":
    main()
