"""Figures for docs/claims.md: `python benchmarks/claims.py [--seeds 1000] [SCENARIO …]`.

For each scenario, over the seeds from 1 on: the median, the 90th percentile and the most of what its checks measure. A gap is one time
without a leader after the first election, those of all seeds together (of a run with more than twenty, the longest); the rest is one figure for
each seed.
"""
import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from diarchy.checkers.verdict import Verdict
from diarchy.harness.scenario import load
from diarchy.harness.seeds import once

SCENARIOS = Path(__file__).parents[1] / "scenarios"
CITED = [SCENARIOS / f"{name}.yaml" for name in (
    "known-unsafe/bully-partition", "known-unsafe/ring-partition", "known-unsafe/ring-partition-chang-roberts", "known-unsafe/bully-flapping",
    "simulated/bully-no-preemption", "known-unsafe/raft-tied-election", "simulated/raft-random-time-outs", "known-unsafe/raft-one-way-livelock",
    "known-unsafe/raft-stale-leader", "simulated/raft-stale-leader-fenced", "simulated/raft-one-and-two", "simulated/raft-three-alone")]
MS = 10**6


def figures(verdict: Verdict) -> Iterator[tuple[str, float]]:
    """Each figure of one run, by its name."""
    checks = {check.check: check for check in verdict.checks}
    stats = checks["availability"].stats
    if stats["first_election_ns"] is not None:
        yield "first election, ms", stats["first_election_ns"] / MS
    yield "changes of leader", stats["changes"]
    yield "share of time led, %", 100 * stats["led_share"]
    yield "longest gap not excused, ms", stats["longest_unexcused_ns"] / MS
    yield from (("gap, ms", ((gap.end or 0) - (gap.start or 0)) / MS) for gap in checks["availability"].findings if gap.kind == "gap")
    for kind, time in checks["overlap"].stats["overlap_ns"].items():
        if time:
            yield f"two leaders, {kind}, ms", time / MS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("scenarios", nargs="*", type=Path, default=CITED)
    asked = parser.parse_args()
    for path in asked.scenarios:
        scenario, words, seen = load(path), Counter[str](), dict[str, list[float]]()
        for seed in range(1, asked.seeds + 1):
            verdict = once(scenario, seed)
            words[verdict.verdict] += 1
            for name, value in figures(verdict):
                seen.setdefault(name, []).append(value)
        print(f"{path.stem}: {asked.seeds} seeds, " + ", ".join(f"{count} {word}" for word, count in sorted(words.items())))
        for name, values in seen.items():
            values.sort()
            print(f"  {name:32} p50 {values[len(values) // 2]:8.1f}  p90 {values[len(values) * 9 // 10]:8.1f}  max {values[-1]:8.1f}  of {len(values)}")


if __name__ == "__main__":
    main()
