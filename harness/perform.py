"""`diarchy run`: load, run, judge, report, and say how it ended."""
import asyncio
import random
import secrets
import shlex
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import msgspec
from rich.console import Console

from diarchy.harness import conclude
from diarchy.harness.run import Interrupted, Run, interruptible
from diarchy.harness.scenario import Scenario, dump, load
from diarchy.harness.store import Command, Folder, put
from diarchy.history.jsonl import BadHistory
from diarchy.reports.live import Live


def perform(path: Path, seed: int | None, out: Path, sets: Sequence[str], *, as_json: bool, quiet: bool) -> int:
    """The exit status. Raises what `statuses.known` knows."""
    scenario = load(path, sets)
    seed = next(s for s in (seed, scenario.seed, random.SystemRandom().randrange(2**31)) if s is not None)
    folder = Folder.create(out, scenario.name)
    run_id = secrets.token_hex(4)
    command = Command(run_id, str(path), seed, again(path, seed, out, sets))
    put(folder.scenario, dump(msgspec.structs.replace(scenario, seed=seed)).encode())
    put(folder.command, msgspec.json.encode(command))
    errors = Console(stderr=True)
    if not quiet:
        errors.print(f"{scenario.name}, seed {seed}, into {folder.path}", highlight=False, soft_wrap=True)
    try:
        interrupted = conduct(scenario, seed, run_id, folder, None if quiet else errors)
    except BaseException:
        folder.discard()
        raise
    try:
        concluded = conclude.conclude(folder.path)
    except BadHistory:
        if interrupted:
            folder.discard()
            return interrupted
        raise
    report = conclude.report(concluded)
    conclude.say(concluded.verdict, as_json)
    if not quiet:
        errors.print(f"report: {report}\nagain:  {command.again}", highlight=False, soft_wrap=True, markup=False)
    return interrupted or conclude.status(concluded.verdict)


def conduct(scenario: Scenario, seed: int, run_id: str, folder: Folder, console: Console | None) -> int:
    """Run it; 0, or the status of the signal that ended it."""
    live = Live(console, total_s=scenario.duration.s)
    run = Run(scenario, seed, run_id, folder, live, version("diarchy"))
    with live:
        try:
            asyncio.run(interruptible(run))
        except Interrupted as ended:
            return ended.status
    return 0


def again(path: Path, seed: int, out: Path, sets: Sequence[str]) -> str:
    """The command that runs the same again, from this folder."""
    here = Path.cwd()
    shown = path.relative_to(here) if path.is_absolute() and path.is_relative_to(here) else path
    words = ["diarchy", "run", str(shown), "--seed", str(seed)]
    if out != Path("runs"):
        words += ["--out", str(out)]
    for change in sets:
        words += ["--set", change]
    return shlex.join(words)
