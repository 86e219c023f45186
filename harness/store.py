"""Where runs are kept: `runs/<name>/<stamp>/`, one folder for each, written so that a crash leaves what was known until then."""
import os
from datetime import datetime
from pathlib import Path

import msgspec

ROOT = Path("runs")


class Command(msgspec.Struct, frozen=True):
    """How the run was asked for (`run.json`)."""

    id: str
    scenario: str
    seed: int
    again: str


class Folder:
    """The files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.history = path / "history.jsonl"
        self.scenario = path / "scenario.yaml"
        self.command = path / "run.json"
        self.logs = path / "logs"
        self.database = path / "resource.db"
        self.verdict = path / "verdict.json"
        self.report = path / "report.html"

    @classmethod
    def create(cls, root: Path, name: str) -> "Folder":
        """A new folder under `root/name`, named by the local time; two runs of one instant get two folders. Raises OSError."""
        parent = root / name
        parent.mkdir(parents=True, exist_ok=True)
        while True:
            stamp = datetime.now().strftime("%Y-%m-%dT%H-%M-%S.%f")[:-3]
            try:
                (parent / stamp).mkdir()
            except FileExistsError:
                continue
            folder = cls(parent / stamp)
            folder.logs.mkdir()
            return folder

    def discard(self) -> None:
        """Remove the folder of a run that never began (no history): its logs stay if there are any."""
        if self.history.exists() and self.history.stat().st_size:
            return
        for file in (self.history, self.scenario, self.command, *self.path.glob(f"{self.database.name}*")):
            file.unlink(missing_ok=True)
        for empty in (self.logs, self.path, self.path.parent):
            if empty.exists() and not any(empty.iterdir()):
                empty.rmdir()


def put(path: Path, data: bytes) -> None:
    """Write a whole file or none of it."""
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        half.write_bytes(data)
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)
