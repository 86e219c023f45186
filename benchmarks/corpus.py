"""The table of known bugs: `python benchmarks/corpus.py [--bugs 100] [--twins 1000] [--write]` prints it as Markdown.

Each bug of tests/corpus.py is tried on the seeds 1 to `--bugs`, its sound twin on 1 to `--twins`, on all cores. `--write` puts the table
into README.md, in the place of the one that is there.
"""
import argparse
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from diarchy.harness.scenario import load
from diarchy.harness.seeds import Trial
from diarchy.harness.workers import Workers

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from corpus import BUGS, Bug  # noqa: E402

README = ROOT / "README.md"
TABLE = re.compile(r"(?<=<!-- corpus -->\n).*(?=<!-- /corpus -->)", re.DOTALL)
HEAD = "| bug | in the articles | what is found | found | its sound twin | flagged |\n|---|---|---|---|---|---|\n"


def tried(path: Path, seeds: int) -> list[Trial]:
    """What became of the seeds from 1 on."""
    workers = Workers(load(path), range(1, seeds + 1), os.cpu_count() or 1)
    try:
        return [trial for trial in workers.results(60) if trial is not None]
    finally:
        workers.close()


def row(bug: Bug, bugs: int, twins: int) -> str:
    found = [trial for trial in tried(bug.unsafe, bugs) if trial.as_expected]
    twin = tried(bug.sound, twins)
    open_ = sum(trial.verdict == "inconclusive" for trial in twin)
    flagged = sum(trial.verdict != "valid" or not trial.as_expected for trial in twin) - open_
    options = ", ".join(f"`{option.removeprefix('workload.')}`" for option in bug.mended_by)
    return "| " + " | ".join((
        f"[{bug.bug}](scenarios/known-unsafe/{bug.scenario}.yaml)", f"{bug.articles} ({', '.join(bug.claims)})",
        ", ".join(f"`{kind}`" for kind in bug.kinds),
        f"seed {found[0].seed}; {len(found)} of {bugs}" if found else f"0 of {bugs}",
        f"[{options}](scenarios/simulated/{bug.twin}.yaml)",
        f"{flagged} of {twins:,}" + (f", {open_} inconclusive" if open_ else ""))) + " |\n"


def rows(bugs: int, twins: int) -> Iterator[str]:
    for bug in BUGS:
        yield row(bug, bugs, twins)
        print(f"{bug.scenario} is done", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bugs", type=int, default=100, help="seeds of each bug")
    parser.add_argument("--twins", type=int, default=1000, help="seeds of each sound twin")
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    asked = parser.parse_args()
    table = HEAD + "".join(rows(asked.bugs, asked.twins))
    print(table, end="")
    if asked.write:
        README.write_text(TABLE.sub(lambda _: table, README.read_text()))


if __name__ == "__main__":
    main()
