"""`diarchy run`: load, run, judge, report, and say how it ended."""
import asyncio
import random
import secrets
import shlex
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

import msgspec

from diarchy.clusters import virtual
from diarchy.clusters.simulated.cluster import SimulatedCluster
from diarchy.harness import conclude
from diarchy.harness.run import Run, interruptible
from diarchy.harness.scenario import Scenario, dump, load
from diarchy.harness.statuses import complain, told, unanswered
from diarchy.harness.store import ROOT, Command, Folder, put
from diarchy.harness.streams import CannotAnswer
from diarchy.reports.live import Live


class Asked(msgspec.Struct, frozen=True):
    """What of a run the command line says: the scenario's file, where runs are kept, what is changed in the scenario."""

    path: Path
    out: Path = ROOT
    sets: tuple[str, ...] = ()

    def load(self) -> Scenario:
        """The scenario, changed. Raises BadScenario."""
        return load(self.path, self.sets)

    def again(self, seed: int) -> str:
        """The command that runs the same again, from this folder."""
        here = Path.cwd()
        shown = self.path.relative_to(here) if self.path.is_absolute() and self.path.is_relative_to(here) else self.path
        words = ["diarchy", "run", str(shown), "--seed", str(seed)]
        if self.out != ROOT:
            words += ["--out", str(self.out)]
        for change in self.sets:
            words += ["--set", change]
        return shlex.join(words)


def perform(asked: Asked, seed: int | None, *, as_json: bool, quiet: bool, report: bool | None = None) -> int:
    """The exit status. Raises what `statuses.known` knows, before there is anything to judge; after that it is said here.

    `report`: whether the HTML report is written; None: for a run on real servers only.
    """
    scenario = asked.load()
    seed = next(s for s in (seed, scenario.seed, random.SystemRandom().randrange(2**31)) if s is not None)
    run, interrupted = into_folder(scenario, asked, seed, quiet)
    for warning in run.warnings:
        complain(warning)
    wrong = next(iter([told(problem) for problem in run.problems]), 0)
    if not run.begun:
        return interrupted or wrong
    keep = all(getattr(problem, "path", None) != run.folder.history for problem in run.problems)
    written = scenario.cluster.real if report is None else report
    judged, file = judge(run.folder, as_json, keep, written)
    if not quiet:
        shown = f"report: {file}\n" if file else "" if written or not keep else f"report: diarchy report {run.folder.path}\n"
        sys.stderr.write(f"{shown}again:  {asked.again(seed)}\n")
    return interrupted or wrong or judged


def into_folder(scenario: Scenario, asked: Asked, seed: int, quiet: bool) -> tuple[Run, int]:
    """Run it into a folder of its own, which is there afterwards if the run has begun; the run, and `conduct` of it."""
    folder = Folder.create(asked.out, scenario.name)
    id = secrets.token_hex(4)
    try:
        put(folder.scenario, dump(msgspec.structs.replace(scenario, seed=seed)).encode())
        put(folder.command, msgspec.json.encode(Command(id, str(asked.path), seed, asked.again(seed))))
        run = Run(scenario, seed, id, folder, _live(scenario, quiet), version("diarchy"))
        if not quiet:
            sys.stderr.write(f"{scenario.name}, seed {seed}, into {folder.path}\n")
        interrupted = conduct(run)
    except BaseException:
        folder.discard()
        raise
    if not run.begun:
        folder.discard()
    return run, interrupted


def _live(scenario: Scenario, quiet: bool) -> Live:
    if quiet:
        return Live(None, scenario.duration.s)
    from rich.console import Console
    return Live(Console(stderr=True), scenario.duration.s)


def conduct(run: Run) -> int:
    """Run it; 0, or the status of the signal that ended it."""
    with run.live:
        match run.cluster:
            case SimulatedCluster() as cluster:
                return virtual.run(cluster.loop, interruptible(run))
            case _:
                return asyncio.run(interruptible(run))


def judge(folder: Folder, as_json: bool, keep: bool, report: bool = True) -> tuple[int, Path | None]:
    """Judge what was recorded and say it; write the verdict if it is to be kept, and then the report. The status, and the report."""
    try:
        concluded = conclude.conclude(folder.path)
        kept = _done(partial(conclude.keep, concluded)) if keep else 0
        unsaid = _done(partial(conclude.say, concluded.verdict, as_json))
        reported = report and keep and not kept
        if reported:
            kept = _done(partial(conclude.report, concluded))
        return kept or unsaid or conclude.status(concluded.verdict), folder.report if reported and not kept else None
    except SystemExit:
        complain(f"the history is whole: `diarchy check {folder.path}` judges it")
        raise


def _done(act: Callable[[], object]) -> int:
    """0, or the status of what went wrong, after saying it: what comes after is done all the same."""
    try:
        act()
    except CannotAnswer as error:
        status = unanswered(error)
        return 0 if error.gone else status
    except Exception as error:
        return told(error)
    return 0
