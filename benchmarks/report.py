"""How long a report takes and how large it is: `python benchmarks/report.py [OPS …]` (default: the 15 s story, and 100,000 ops)."""
import resource
import runpy
import sys
import time
from pathlib import Path

from diarchy.checkers.judge import judge
from diarchy.history.columns import History
from diarchy.history.op import Op
from diarchy.reports.html import render

STORY = runpy.run_path(str(Path(__file__).parents[1] / "tests/reports/paused_leader.py"))
S, MS = STORY["S"], STORY["MS"]
REIGN = 6 * S
WRITE_EVERY = 20 * MS


def reigns(ops: int) -> list[Op]:
    """About so many ops: five candidates in turn, each paused at the end of its reign, each writing when it wakes."""
    clock, count, at, token = STORY["Clockwork"](), [0], S, 1
    candidates = [f"c{i}" for i in range(1, 6)]
    STORY["say"](clock, 0, "harness", "ok", "setup", value={
        "scenario": "long", "candidates": candidates, "nodes": ["n1", "n2", "n3"], "quorum": 2, "ttl": 2 * S, "fence": True, "real": True, "nemeses": 1})
    while 3.4 * count[0] < ops:
        claimant = f"{candidates[token % 5]}#1"
        tenure = STORY["reign"](clock, claimant, token, at, at + REIGN, WRITE_EVERY, count)
        STORY["nemesis"](clock, "nemesis/1-pause", "pause", "resume", at + REIGN, at + REIGN + 4 * S, {"host": claimant})
        STORY["write"](clock, claimant, token, at + REIGN + 4 * S + 20 * MS, tenure, count, outcome="fail")
        at, token = at + REIGN + 3 * S, token + 1
    return list(clock.run())


def measure(name: str, ops: list[Op]) -> None:
    """Print the times of judging and rendering, and the size of the page."""
    history = History(ops)
    began = time.perf_counter()
    verdict = judge(history)
    judged = time.perf_counter()
    page = render(history, verdict, STORY["SCENARIO"], STORY["COMMAND"])
    rendered = time.perf_counter()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{name}: {len(history):,} ops, {history.end / 1e9:.0f} s of run, {sum(len(c.findings) for c in verdict.checks)} findings: "
          f"judged in {judged - began:.2f} s, rendered in {rendered - judged:.2f} s, {len(page.encode()) / 1e6:.2f} MB, peak memory {memory} MB")


if __name__ == "__main__":
    render(History([]), judge(History([])), "", "")
    measure("story", STORY["ops"]())
    for asked in map(int, sys.argv[1:] or ("100000",)):
        measure("reigns", reigns(asked))
