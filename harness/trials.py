"""`diarchy run --seeds`: many seeds of one scenario, what was found, and the files of those that failed."""
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import msgspec

from diarchy.harness import conclude
from diarchy.harness.perform import Asked, into_folder
from diarchy.harness.scenario import Scenario
from diarchy.harness.seeds import Seeds, Trial, summed
from diarchy.harness.statuses import complain, told
from diarchy.harness.workers import Workers
from diarchy.reports import words

KEPT = 20
"""Files are kept of so many runs."""
LISTED = 100
"""So many seeds beyond those are listed in the text; --json has them all."""
LINE_S = 5.0
"""A log gets a line so often; a terminal shows the count REFRESHES_PER_S times a second."""
REFRESHES_PER_S = 4


class Found(msgspec.Struct, frozen=True):
    """A kind of finding that fails: under how many seeds it was found, and the first of them."""

    kind: str
    seeds: int
    first: int


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """A seed that is told of: `again` runs it again, `folder` has its files."""

    seed: int
    verdict: str
    why: tuple[str, ...]
    again: str
    folder: str | None = None


class Summary(msgspec.Struct, frozen=True):
    """What `--json` prints. `not_as_expected` counts `failures`; `violation` is the first one."""

    scenario: str
    seeds: str
    done: int
    seconds: float
    verdicts: dict[str, int]
    not_as_expected: int
    found: tuple[Found, ...]
    violation: Failure | None
    failures: tuple[Failure, ...]
    interrupted: bool
    as_expected: bool


class Tally:
    """What is known so far. `hunting`: the scenario expects a violation and the first one is looked for, so that to find nothing
    under one seed is no failure."""

    def __init__(self, scenario: Scenario, until: str | None) -> None:
        self.hunting = until == "violation" and any(expected.verdict == "violation" for expected in scenario.expect.values())
        self.verdicts: Counter[str] = Counter(valid=0, violation=0, inconclusive=0, error=0)
        self.kinds: Counter[str] = Counter()
        self.first: dict[str, int] = {}
        self.failures: list[Trial] = []
        self.violation: Trial | None = None
        self.stopped = False
        self.under_way: tuple[int, ...] = ()
        self.seconds = 0.0
        self._until, self._began = until, time.monotonic()

    @property
    def done(self) -> int:
        return self.verdicts.total()

    def add(self, trial: Trial) -> None:
        """The next seed's; `stopped` if it is the one that was looked for."""
        self.seconds = time.monotonic() - self._began
        self.verdicts[trial.verdict] += 1
        for kind in trial.kinds:
            self.kinds[kind] += 1
            self.first.setdefault(kind, trial.seed)
        violation = trial.verdict == "violation"
        if violation and self.violation is None:
            self.violation = trial
        if not trial.as_expected and (not self.hunting or violation or trial.verdict == "error"):
            self.failures.append(trial)
        self.stopped = violation if self._until == "violation" else self._until == "unexpected" and not trial.as_expected

    def counts(self) -> str:
        """The live count."""
        said = ", ".join(f"{count} {verdict}" for verdict, count in self.verdicts.items() if count or verdict != "error")
        return f"{self.done} done: {said}; {len(self.failures)} not as expected; {self.done / max(self.seconds, 1e-9):.1f} seeds/s"

    def status(self) -> int:
        """70 if a run ended in an error, 1 if one was not as expected or the violation that is expected was not found, 3 if those that
        were not as expected are all inconclusive."""
        words = {trial.verdict for trial in self.failures}
        if "error" in words:
            return 70
        if self.hunting and self.violation is None:
            return 1
        return 0 if not words else 3 if words == {"inconclusive"} else 1


def attempt(asked: Asked, seeds: Seeds, until: str | None, jobs: int, *, as_json: bool, quiet: bool) -> int:
    """Try the seeds, say what was found, keep what failed; the exit status."""
    scenario = asked.load()
    if scenario.cluster.real:
        complain(f"many seeds are for simulated scenarios; {scenario.name} runs on real servers, one seed at a time")
        return 64
    tally, interrupted = Tally(scenario, until), 0
    try:
        _try(scenario, seeds, jobs, tally, quiet)
    except SystemExit as ended:
        interrupted = int(ended.code or 0)
    kept: dict[int, str] = {}
    if not interrupted:
        interrupted = _keep(scenario, asked, tally, kept, quiet)
    summary = _summary(scenario, asked, seeds, tally, kept, bool(interrupted))
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(summary), indent=2).decode() + "\n" if as_json
                     else "".join(f"{line}\n" for line in _text(summary, tally)))
    sys.stdout.flush()
    return interrupted or tally.status()


def _try(scenario: Scenario, seeds: Seeds, jobs: int, tally: Tally, quiet: bool) -> None:
    """Fill the tally, to the end of the seeds or to where it is stopped."""
    count = seeds.count
    workers = Workers(scenario, seeds, jobs if count is None else min(jobs, count))
    with closing(workers), _live(tally, quiet) as show, closing(workers.results(1 / REFRESHES_PER_S)) as results:
        try:
            for trial in results:
                if trial is not None:
                    tally.add(trial)
                show()
                if tally.stopped:
                    return
        finally:
            tally.under_way = workers.under_way()


@contextmanager
def _live(tally: Tally, quiet: bool) -> Iterator[Any]:
    """What shows the count, if it is time to."""
    from rich.console import Console
    from rich.live import Live
    console = Console(stderr=True)
    terminal = console.is_terminal and not console.is_dumb_terminal
    shown, every_s = time.monotonic(), 1 / REFRESHES_PER_S if terminal else LINE_S

    def show() -> None:
        nonlocal shown
        if time.monotonic() - shown >= every_s and not quiet:
            shown = time.monotonic()
            if terminal:
                live.update(tally.counts(), refresh=True)
            else:
                print(tally.counts(), file=sys.stderr)

    if not terminal or quiet:
        yield show
        return
    with Live("", console=console, auto_refresh=False, transient=True) as live:
        yield show


def _keep(scenario: Scenario, asked: Asked, tally: Tally, kept: dict[int, str], quiet: bool) -> int:
    """Run again, with files, what failed and what was looked for; fill their folders in. 0, or the status of a signal."""
    wanted = [tally.violation] if tally.violation and tally.hunting else []
    for trial in (wanted + [failure for failure in tally.failures if failure not in wanted])[:KEPT]:
        run, interrupted = into_folder(scenario, asked, trial.seed, quiet=True)
        for problem in run.problems:
            told(problem)
        if run.begun:
            kept[trial.seed] = str(run.folder.path)
        if interrupted:
            return interrupted
        if not run.problems:
            concluded = conclude.conclude(run.folder.path)
            conclude.keep(concluded)
            if summed(concluded.verdict) != trial:
                complain(f"seed {trial.seed} ended otherwise the second time: `{asked.again(trial.seed)} --check-determinism` may say why")
    return 0


def _summary(scenario: Scenario, asked: Asked, seeds: Seeds, tally: Tally, kept: dict[int, str], interrupted: bool) -> Summary:
    def told_of(trial: Trial) -> Failure:
        return Failure(trial.seed, trial.verdict, trial.why, asked.again(trial.seed), kept.get(trial.seed))

    return Summary(
        scenario.name, seeds.text, tally.done, round(tally.seconds, 3), dict(tally.verdicts), len(tally.failures),
        tuple(Found(kind, count, tally.first[kind]) for kind, count in sorted(tally.kinds.items())),
        told_of(tally.violation) if tally.violation else None, tuple(map(told_of, tally.failures)), interrupted, tally.status() == 0)


def _text(summary: Summary, tally: Tally) -> Iterator[str]:
    yield (f"{'AS EXPECTED' if summary.as_expected else 'NOT AS EXPECTED'}{', as far as it came' if summary.interrupted else ''}   "
           f"{summary.scenario}, seeds {summary.seeds}")
    yield tally.counts()
    for found in summary.found:
        yield f"  {found.kind}: under {found.seeds} seed{'s' * (found.seeds > 1)}, first {found.first}"
    if tally.hunting:
        yield from _told("the violation that was looked for", summary.violation) if summary.violation else ("no violation was found",)
    if summary.interrupted and tally.under_way:
        yield f"under way: seeds {', '.join(map(str, tally.under_way[:LISTED]))}"
    others = [failure for failure in summary.failures if not tally.hunting or failure != summary.violation]
    for failure in others[:KEPT]:
        yield from _told("not as expected", failure)
    if rest := others[KEPT:]:
        yield f"and {len(rest)} more that were not as expected: seeds {', '.join(str(failure.seed) for failure in rest[:LISTED])}" + (
            ", …" if len(rest) > LISTED else "")


def _told(title: str, failure: Failure) -> Iterator[str]:
    yield f"{title}: seed {failure.seed}, {failure.verdict}"
    yield from (f"  {words.plain(text, 300)}" for text in failure.why)
    if failure.folder:
        yield f"  files:  {failure.folder}"
    yield f"  again:  {failure.again}"
