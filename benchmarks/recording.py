"""What recording costs a candidate: two lines for each op, through a real pipe, as `python benchmarks/recording.py` prints it.

The ops do nothing, so that all of the time is the session's: stamping, encoding and writing the `invoke` and the completion,
and the time-out. Exit status 1 if the median op takes 100 µs or more.
"""
import asyncio
import os
import statistics
import subprocess
import sys
import time

import msgspec

from diarchy.history.transcript import Line
from diarchy.workloads.session import Answer, Session

OPS = 20_000
LIMIT_US = 100.0


async def nothing() -> Answer:
    return Answer(value={"order": 12345, "fence": 17})


async def measure(out: int) -> list[float]:
    """Microseconds of each op."""
    epoch, encode, took = time.monotonic_ns(), msgspec.json.Encoder().encode, []

    def say(line: Line) -> None:
        os.write(out, encode(line) + b"\n")

    session = Session("c1#1", say, lambda: time.monotonic_ns() - epoch)
    for number in range(OPS):
        began = time.perf_counter_ns()
        await session.call("write", "write", nothing, 10**9, tenure="1", token=17, id=f"c1#1-{number}", value=number)
        took.append((time.perf_counter_ns() - began) / 1000)
    return took


def main() -> int:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as reader:
        assert reader.stdin is not None
        took = sorted(asyncio.run(measure(reader.stdin.fileno())))
        reader.stdin.close()
    median = statistics.median(took)
    print(f"{OPS} ops: median {median:.1f} µs, mean {statistics.mean(took):.1f} µs, p99 {took[int(OPS * 0.99)]:.1f} µs; limit {LIMIT_US:.0f} µs")
    return int(median >= LIMIT_US)


if __name__ == "__main__":
    sys.exit(main())
