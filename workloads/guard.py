"""Kills the process groups of a run when the harness is gone, however it went.

A process of its own, told on standard input: `+GROUP START` (a group, and when its first process started, in clock ticks) and
`-GROUP`. At the end of the input every group still known gets SIGKILL, which also ends stopped processes. It takes neither
Ctrl-C nor SIGTERM, and imports nothing but the standard library: it runs without site-packages.
"""
import os
import signal
import sys


def started(pid: int) -> int | None:
    """Start time of a process, None if there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read()
    except OSError:
        return None
    return int(stat[stat.rindex(b")") + 2:].split()[19])


def main() -> None:
    """Read until the end, then kill. A group whose first process is another one now is not ours: the number was reused."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: dict[int, int] = {}
    for line in sys.stdin:
        words = line[1:].split()
        if line.startswith("+") and len(words) == 2:
            groups[int(words[0])] = int(words[1])
        elif line.startswith("-") and len(words) == 1:
            groups.pop(int(words[0]), None)
    for group, start in groups.items():
        if started(group) in (None, start):
            try:
                os.killpg(group, signal.SIGKILL)
            except OSError:
                continue


if __name__ == "__main__":
    main()
