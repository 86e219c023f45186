"""From a run's folder alone: read the history, judge it, write `verdict.json` and `report.html`."""
import sys
from pathlib import Path

import msgspec

from diarchy.checkers.judge import encode, judge
from diarchy.checkers.verdict import Verdict
from diarchy.harness.store import Command, Folder, put
from diarchy.history.columns import History
from diarchy.history.jsonl import BadHistory


class Concluded(msgspec.Struct, frozen=True):
    """A history and what the checkers say of it."""

    history: History
    verdict: Verdict
    folder: Folder | None


def find(path: Path) -> tuple[Path, Folder | None]:
    """The history that a path means: a run's folder, or a history file. Raises BadHistory."""
    if path.is_dir():
        folder = Folder(path)
        if not folder.history.exists():
            raise BadHistory(f"{path}: no history.jsonl here; name a run's folder, such as runs/<scenario>/<time>, or a history file")
        return folder.history, folder
    return path, None


def conclude(path: Path) -> Concluded:
    """Judge a run's folder or a history file; nothing is written. Raises BadHistory."""
    file, folder = find(path)
    history = History.read(file)
    if len(history) == 0:
        raise BadHistory(f"{file}: the history is empty: the run ended before anything was recorded; see {file.parent / 'logs'}")
    return Concluded(history, judge(history), folder)


def keep(concluded: Concluded) -> None:
    """Write `verdict.json`, where it is a run's folder that was judged. Raises CannotWrite."""
    if concluded.folder is not None:
        put(concluded.folder.verdict, encode(concluded.verdict))


def report(concluded: Concluded, to: Path | None = None) -> Path:
    """Write the HTML report; into the run's folder unless another file is named. Raises CannotWrite."""
    from diarchy.reports.html import render

    folder = concluded.folder
    target = to or (folder.report if folder else Path("report.html"))
    scenario = folder.scenario.read_text() if folder and folder.scenario.exists() else ""
    again = msgspec.json.decode(folder.command.read_bytes(), type=Command).again if folder and folder.command.exists() else ""
    put(target, render(concluded.history, concluded.verdict, scenario, again).encode())
    return target


def status(verdict: Verdict) -> int:
    """0 as expected, 3 inconclusive, 1 anything else."""
    if verdict.as_expected:
        return 0
    return 3 if verdict.verdict == "inconclusive" else 1


def say(verdict: Verdict, as_json: bool) -> None:
    """Print a verdict on stdout, for people or for scripts. Raises CannotAnswer."""
    from rich.console import Console

    from diarchy.reports.terminal import show
    if as_json:
        sys.stdout.write(encode(verdict).decode())
    else:
        show(Console(), verdict)
    sys.stdout.flush()
