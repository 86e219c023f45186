"""`diarchy run --check-determinism`: the same run in two processes, and the first line in which their histories differ."""
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory

from diarchy.harness.perform import Asked
from diarchy.harness.statuses import complain

HASH_SEEDS = (1, 2)
SHOWN = 300
"""So much of a line is shown."""


def compare(asked: Asked, seed: int | None) -> int:
    """Run it twice, say whether the histories are the same bytes; 0 if they are, else 1, or how a run ended that was not whole."""
    scenario = asked.load()
    if scenario.cluster.real:
        complain(f"no two runs on real servers are the same; {scenario.name} is not simulated")
        return 64
    seed = next(s for s in (seed, scenario.seed, random.SystemRandom().randrange(2**31)) if s is not None)
    with TemporaryDirectory(prefix="diarchy-") as folder:
        histories = []
        for number in HASH_SEEDS:
            out = Path(folder) / str(number)
            done = subprocess.run([sys.executable, *words(asked, seed, out)], env={**os.environ, "PYTHONHASHSEED": str(number)},
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
            if done.returncode not in (0, 1, 3):
                sys.stderr.write(done.stderr)
                return done.returncode if done.returncode > 0 else 70
            (history,) = out.glob("*/*/history.jsonl")
            histories.append(history.read_bytes())
    return _said(f"{scenario.name}, seed {seed}", *histories)


def words(asked: Asked, seed: int, out: Path) -> Sequence[str]:
    """What a Python is to be given to run it once, silently."""
    sets = [word for change in asked.sets for word in ("--set", change)]
    return ["-m", "diarchy.harness", "run", str(asked.path), "--seed", str(seed), "--out", str(out), "--quiet", "--json", "--no-report", *sets]


def _said(what: str, one: bytes, other: bytes) -> int:
    if one == other:
        lines = one.count(b"\n")
        print(f"{what}: twice the same {len(one)} bytes, {lines} lines")
        return 0
    number, pair = next((number, pair) for number, pair in enumerate(zip_longest(one.splitlines(), other.splitlines()), 1)
                        if pair[0] != pair[1])
    print(f"{what}: the histories differ from line {number} on; that is a bug of diarchy, please report it")
    for text in pair:
        print("  it ended" if text is None else f"  {text[:SHOWN].decode(errors='replace')}")
    return 1
