"""One scenario under many seeds: each run in memory, judged there; a run is a function of scenario and seed alone."""
import re
from collections.abc import Iterator
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Literal

import msgspec

from diarchy.checkers.judge import judge
from diarchy.checkers.verdict import Verdict, Word
from diarchy.clusters import virtual
from diarchy.clusters.simulated.cluster import SimulatedCluster
from diarchy.harness.run import Run
from diarchy.harness.scenario import Scenario
from diarchy.harness.store import Folder
from diarchy.history.columns import Columns, History
from diarchy.reports.live import Live

END = 2**63
"""Seeds are below it."""


class Trial(msgspec.Struct, frozen=True):
    """What became of one seed. `kinds`: of the findings that fail, each as `check: kind`. `why`: what was not as expected; of an
    error, its text."""

    seed: int
    verdict: Word | Literal["error"]
    as_expected: bool
    kinds: tuple[str, ...] = ()
    why: tuple[str, ...] = ()


class Seeds:
    """Numbers and ranges, both ends included: `1..1000`, `5`, `1..10,20`, `7..` without end. In order, each once. Raises ValueError."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.ranges: list[range] = []
        for part in sorted(map(_range, text.split(",")), key=lambda part: part.start):
            if self.ranges and part.start <= self.ranges[-1].stop:
                joined = self.ranges.pop()
                self.ranges.append(range(joined.start, max(joined.stop, part.stop)))
            else:
                self.ranges.append(part)

    def __iter__(self) -> Iterator[int]:
        return chain.from_iterable(self.ranges)

    @property
    def count(self) -> int | None:
        """How many; None if there is no end."""
        return None if self.ranges[-1].stop == END else sum(map(len, self.ranges))


def _range(part: str) -> range:
    said = re.fullmatch(r"\s*(\d+)(\.\.(\d*))?\s*", part, re.ASCII)
    if said is None:
        raise ValueError(f"{part.strip() or 'nothing'} is no seed and no range of seeds; write 5, 1..1000, 1..10,20 or 7..")
    first = int(said[1])
    last = int(said[3]) if said[3] else END - 1 if said[2] else first
    if last < first:
        raise ValueError(f"{part.strip()}: a range goes up")
    if last >= END:
        raise ValueError(f"{part.strip()}: seeds are below 2^63")
    return range(first, last + 1)


def once(scenario: Scenario, seed: int) -> Verdict:
    """One simulated run, judged; nothing is written. Raises what ended the run before its time."""
    return judge(told(scenario, seed))


def told(scenario: Scenario, seed: int) -> History:
    """The history of one simulated run, kept in memory alone. Raises what ended the run before its time."""
    columns = Columns(f"{scenario.name}, seed {seed}")
    run = Run(scenario, seed, "", Folder(Path()), Live(None, scenario.duration.s), version("diarchy"), columns)
    assert isinstance(run.cluster, SimulatedCluster)
    virtual.run(run.cluster.loop, run.conduct())
    if run.problems:
        raise run.problems[0]
    return columns.history()


def trial(scenario: Scenario, seed: int) -> Trial:
    """What becomes of a seed; never raises."""
    try:
        return summed(once(scenario, seed))
    except Exception as error:
        return Trial(seed, "error", False, why=(f"{type(error).__name__}: {error}",))


def summed(verdict: Verdict) -> Trial:
    """A verdict in short."""
    kinds = {f"{check.check}: {finding.kind}": None for check in verdict.checks for finding in check.findings if finding.fails}
    return Trial(verdict.seed, verdict.verdict, verdict.as_expected, tuple(kinds), verdict.unexpected)
