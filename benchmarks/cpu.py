"""The harness's own CPU during a run: `python benchmarks/cpu.py [--candidates 5] [--duration 30s]`.

The run is scenarios/etcd/graceful-handover.yaml with a leader that writes 20 times a second. Compared in the same run: the CPU of
its children (candidates and resource) and of an idle Python that only sleeps as often as the observers ask.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
TICK = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """User and system time of a process so far, without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def children_of(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=30)
    asked = parser.parse_args()
    idle = subprocess.Popen([sys.executable, "-c", "import time\nwhile True: time.sleep(1 / 30)"])
    with tempfile.TemporaryDirectory() as out:
        run = subprocess.Popen(
            [sys.executable, "-m", "diarchy.harness", "run", str(ROOT / "scenarios/etcd/graceful-handover.yaml"), "--out", out,
             "--set", f"workload.candidates={asked.candidates}", "--set", "workload.write_every=50ms",
             "--set", f"duration={asked.seconds}s"], stdout=subprocess.PIPE, text=True)
        while not any(Path(out).glob("*/*/history.jsonl")) or b'"acquire"' not in next(Path(out).glob("*/*/history.jsonl")).read_bytes():
            time.sleep(0.05)
        time.sleep(2)
        children = children_of(run.pid)
        before = {pid: cpu_s(pid) for pid in (run.pid, idle.pid, *children)}
        began = time.monotonic()
        time.sleep(asked.seconds - 6)
        seconds = time.monotonic() - began
        used = {pid: (cpu_s(pid) - before[pid]) / seconds * 100 for pid in before}
        history = next(Path(out).glob("*/*/history.jsonl")).read_bytes()
        run.communicate()
    idle.kill()
    idle.wait()
    lines = len(re.findall(rb"\n", history))
    print(f"over {seconds:.0f} s, {asked.candidates} candidates, {lines} lines of history, in % of one core:")
    print(f"  harness                       {used[run.pid]:6.1f}")
    print(f"  candidates, resource, guard   {sum(used[pid] for pid in children):6.1f}")
    print(f"  a Python that sleeps 30 times a second  {used[idle.pid]:6.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
