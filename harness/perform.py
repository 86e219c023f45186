"""`diarchy run`: load, run, judge, report, and say how it ended."""
import asyncio
import random
import secrets
import shlex
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

import msgspec
from rich.console import Console

from diarchy.clusters import virtual
from diarchy.clusters.simulated.cluster import SimulatedCluster
from diarchy.harness import conclude
from diarchy.harness.run import Run, interruptible
from diarchy.harness.scenario import dump, load
from diarchy.harness.statuses import complain, told, unanswered
from diarchy.harness.store import ROOT, Command, Folder, put
from diarchy.harness.streams import CannotAnswer
from diarchy.reports.live import Live


def perform(path: Path, seed: int | None, out: Path, sets: Sequence[str], *, as_json: bool, quiet: bool) -> int:
    """The exit status. Raises what `statuses.known` knows, before there is anything to judge; after that it is said here."""
    scenario = load(path, sets)
    seed = next(s for s in (seed, scenario.seed, random.SystemRandom().randrange(2**31)) if s is not None)
    folder = Folder.create(out, scenario.name)
    run_id = secrets.token_hex(4)
    command = Command(run_id, str(path), seed, again(path, seed, out, sets))
    errors = Console(stderr=True)
    try:
        put(folder.scenario, dump(msgspec.structs.replace(scenario, seed=seed)).encode())
        put(folder.command, msgspec.json.encode(command))
        if not quiet:
            errors.print(f"{scenario.name}, seed {seed}, into {folder.path}", highlight=False, soft_wrap=True, markup=False)
        run = Run(scenario, seed, run_id, folder, Live(None if quiet else errors, total_s=scenario.duration.s), version("diarchy"))
        interrupted = conduct(run)
    except BaseException:
        folder.discard()
        raise
    for warning in run.warnings:
        complain(warning)
    wrong = next(iter([told(problem) for problem in run.problems]), 0)
    if not run.begun:
        folder.discard()
        return interrupted or wrong
    keep = all(getattr(problem, "path", None) != folder.history for problem in run.problems)
    judged, report = judge(folder, as_json, keep)
    if not quiet:
        told_where = f"report: {report}\n" if report else ""
        errors.print(f"{told_where}again:  {command.again}", highlight=False, soft_wrap=True, markup=False)
    return interrupted or wrong or judged


def conduct(run: Run) -> int:
    """Run it; 0, or the status of the signal that ended it."""
    with run.live:
        match run.cluster:
            case SimulatedCluster() as cluster:
                return virtual.run(cluster.loop, interruptible(run))
            case _:
                return asyncio.run(interruptible(run))


def judge(folder: Folder, as_json: bool, keep: bool) -> tuple[int, Path | None]:
    """Judge what was recorded and say it; write verdict and report if they are to be kept. The status, and the report."""
    try:
        concluded = conclude.conclude(folder.path)
        kept = _done(partial(conclude.keep, concluded)) if keep else 0
        unsaid = _done(partial(conclude.say, concluded.verdict, as_json))
        reported = keep and not kept
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


def again(path: Path, seed: int, out: Path, sets: Sequence[str]) -> str:
    """The command that runs the same again, from this folder."""
    here = Path.cwd()
    shown = path.relative_to(here) if path.is_absolute() and path.is_relative_to(here) else path
    words = ["diarchy", "run", str(shown), "--seed", str(seed)]
    if out != ROOT:
        words += ["--out", str(out)]
    for change in sets:
        words += ["--set", change]
    return shlex.join(words)
