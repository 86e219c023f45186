"""Run scenarios several times in a row and say whether each ended as its author expects: `python benchmarks/repeat.py [-n 3] [SCENARIO …]`."""
import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


def once(scenario: Path) -> tuple[int, float, str]:
    """Exit status, seconds, and what was found."""
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "diarchy.harness", "run", str(scenario), "--json", "--quiet"],
                          stdout=subprocess.PIPE, check=False)
    found = ""
    if done.stdout:
        verdict = json.loads(done.stdout)
        kinds = {f"{f['kind']}/{f.get('level', '-')}" for c in verdict["checks"] for f in c["findings"] if c["check"] == "overlap"}
        found = f"{verdict['verdict']}: {', '.join(sorted(kinds)) or 'no overlap'}"
    return done.returncode, time.monotonic() - began, found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=3, help="times in a row")
    parser.add_argument("scenarios", nargs="*", type=Path, default=sorted((ROOT / "scenarios/etcd").glob("*.yaml")))
    asked = parser.parse_args()
    bad = 0
    print(f"{'scenario':34} {'statuses':14} {'s each':>7}  found")
    for scenario in asked.scenarios:
        runs = [once(scenario) for _ in range(asked.n)]
        bad += any(status for status, _, _ in runs)
        each = sum(seconds for _, seconds, _ in runs) / len(runs)
        print(f"{scenario.stem:34} {' '.join(str(status) for status, _, _ in runs):14} {each:7.1f}  {' | '.join(dict.fromkeys(found for _, _, found in runs))}",
              flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
