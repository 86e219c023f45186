"""Which clock error breaks which lease, for docs/claims.md: `python benchmarks/clocks.py [--seeds 100]`.

Each cell is scenarios/simulated/clock-errors.yaml with another store or another error: a clock goes wrong, the leader is cut off so that its lease
has to end by clocks alone, and eight seconds later the clock is set right.
"""
import argparse
from collections import Counter
from pathlib import Path

from diarchy.harness.scenario import load
from diarchy.harness.seeds import trial

SCENARIO = Path(__file__).parents[1] / "scenarios/simulated/clock-errors.yaml"
STORES = {
    "lease": "{kind: lease}",
    "zookeeper": "{kind: zookeeper}",
    "kubernetes": "{kind: kubernetes}",
    "kubernetes, judge: wall": "{kind: kubernetes, judge: wall}",
    "redis, wait: 2": "{kind: redis, wait: 2}",
    "redlock": "{kind: redlock, poll: 250ms}",
}
ERRORS = {
    "jumps 10 s ahead": "ahead: 10s",
    "jumps 10 s back": "behind: 10s",
    "runs 50 % fast": "drift: 0.5",
    "runs 40 % slow": "drift: -0.4",
}
TARGETS = {"store": "leader", "leader": "candidate:leader", "others": "candidate:followers"}


def cell(store: str, target: str, error: str, seeds: int) -> str:
    """What is found, each kind with the number of seeds."""
    whose = "any" if "redlock" in store and target == "leader" else target  # none of Redlock's servers leads
    scenario = load(SCENARIO, [f"cluster.service={store}", f"nemeses.0={{kind: skew, target: '{whose}', {error}, after: 1s, for: 8s}}"])
    found: Counter[str] = Counter()
    for seed in range(1, seeds + 1):
        done = trial(scenario, seed)
        found.update(kind.partition(": ")[2] for kind in done.kinds)
        if done.verdict not in ("valid", "violation"):
            found[done.verdict] += 1
    return ", ".join(f"`{kind}` {count}" for kind, count in sorted(found.items())) or "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    asked = parser.parse_args()
    print("| whose clock | |", " | ".join(STORES), "|")
    print("|---" * (len(STORES) + 2) + "|")
    for whose, target in TARGETS.items():
        for said, error in ERRORS.items():
            cells = (cell(store, target, error, asked.seeds) for store in STORES.values())
            print(f"| {whose} | {said} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
