"""The table of known bugs: `python benchmarks/corpus.py [--bugs 100] [--twins 1000] [--write] [NAME …]` prints it as Markdown.

Each bug of tests/corpus.py, or those that are named, is tried on the seeds 1 to `--bugs`, its sound twin on 1 to `--twins`, on all cores.
`--write` puts each row into README.md as soon as it is there, in the place of the one before.
"""
import argparse
import os
import re
import sys
from pathlib import Path

from diarchy.harness.scenario import load
from diarchy.harness.seeds import Trial
from diarchy.harness.workers import Workers

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from corpus import BUGS, Bug  # noqa: E402

README = ROOT / "README.md"
NAME = re.compile(r"known-unsafe/([^)]+)\.yaml")
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
    options = mended(bug)
    return "| " + " | ".join((
        f"[{bug.bug}](scenarios/known-unsafe/{bug.scenario}.yaml)", f"{bug.articles} ({', '.join(bug.claims)})",
        ", ".join(f"`{kind}`" for kind in bug.kinds),
        f"seed {found[0].seed}; {len(found)} of {bugs}" if found else f"0 of {bugs}",
        f"[{options}](scenarios/simulated/{bug.twin}.yaml)",
        f"{flagged} of {twins:,}" + (f", {open_} inconclusive" if open_ else ""))) + " |\n"


def mended(bug: Bug) -> str:
    """The options that mend it; where all of the service is another, which."""
    if "cluster.service.kind" in bug.mended_by:
        return f"`service: {load(bug.sound).cluster.service.__struct_config__.tag}`"
    return ", ".join(f"`{option.removeprefix('workload.').removeprefix('cluster.service.')}`" for option in bug.mended_by)


def put(name: str, made: str) -> None:
    """Into the README, in the order of the corpus; the rows of the other bugs stay as they are."""
    text = README.read_text()
    rows = {found[1]: line for line in TABLE.findall(text)[0].splitlines(keepends=True) if (found := NAME.search(line))} | {name: made}
    table = HEAD + "".join(rows[bug.scenario] for bug in BUGS if bug.scenario in rows)
    README.write_text(TABLE.sub(lambda _: table, text))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bugs", type=int, default=100, help="seeds of each bug")
    parser.add_argument("--twins", type=int, default=1000, help="seeds of each sound twin")
    parser.add_argument("--write", action="store_true", help="put the rows into README.md")
    parser.add_argument("names", nargs="*", metavar="NAME", help="of a scenario in scenarios/known-unsafe; default: all")
    asked = parser.parse_args()
    print(HEAD, end="")
    for bug in BUGS:
        if not asked.names or bug.scenario in asked.names:
            made = row(bug, asked.bugs, asked.twins)
            print(made, end="", flush=True)
            if asked.write:
                put(bug.scenario, made)


if __name__ == "__main__":
    main()
