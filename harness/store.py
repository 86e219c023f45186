"""Where runs are kept: `runs/<name>/<stamp>/`, one folder for each, written so that a crash leaves what was known until then."""
import errno
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import msgspec

ROOT = Path("runs")


class CannotWrite(Exception):
    """A file or folder of a run cannot be written: the text names it and says what to do; `what` is the first half."""

    def __init__(self, path: Path, error: OSError, more: str = "") -> None:
        self.path = path
        self.what = f"{path} cannot be written: {error.strerror or error}{more}"
        super().__init__(f"{self.what}: {_remedy(error.errno)}, or name another place with --out")


def _remedy(number: int | None) -> str:
    match number:
        case errno.ENOSPC | errno.EDQUOT:
            return "free some space there"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return "make it writable"
        case errno.ENOTDIR | errno.EEXIST | errno.EISDIR:
            return "remove what has that name already"
        case _:
            return "look into what is wrong there"


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
        """A new folder under `root/name`, named by the local time; two runs of one instant get two folders. Raises CannotWrite."""
        parent = root / name
        try:
            parent.mkdir(parents=True, exist_ok=True)
            while True:
                folder = cls(parent / datetime.now().strftime("%Y-%m-%dT%H-%M-%S.%f")[:-3])
                with suppress(FileExistsError):
                    folder.path.mkdir()
                    break
        except OSError as error:
            raise CannotWrite(Path(error.filename or parent), error) from error
        try:
            folder.logs.mkdir()
        except OSError as error:
            folder.discard()
            raise CannotWrite(folder.logs, error) from error
        return folder

    def discard(self) -> None:
        """Remove the folder of a run that never began (no history): logs in which something was said stay."""
        with suppress(OSError):
            if self.history.exists() and self.history.stat().st_size:
                return
            silent = (log for log in self.logs.glob("*.log") if not log.stat().st_size)
            for file in (self.history, self.scenario, self.command, *self.path.glob(f"{self.database.name}*"), *silent):
                file.unlink(missing_ok=True)
            for empty in (self.logs, self.path, self.path.parent):
                if empty.exists() and not any(empty.iterdir()):
                    empty.rmdir()


class Lines:
    """The history while it is written: whole lines, each handed to the system at once.

    At the first line that does not fit, what fitted of it is taken back, `failed` is called, and nothing more is written.
    """

    def __init__(self, path: Path, failed: Callable[[CannotWrite], object]) -> None:
        self._whole = True
        self._path, self._failed = path, failed
        self._size = self._count = 0
        try:
            self._file = path.open("wb", buffering=0)
        except OSError as error:
            raise CannotWrite(path, error) from error

    def write(self, line: bytes) -> None:
        """Append one line, newline included. Never raises."""
        if not self._whole:
            return
        try:
            wrote = self._file.write(line)
            while wrote < len(line):
                wrote += self._file.write(line[wrote:])
        except OSError as error:
            with suppress(OSError):
                self._file.truncate(self._size)
            self._whole = False
            self._failed(CannotWrite(self._path, error, f" after {self._count} lines, with which the run was ended"))
            return
        self._size += wrote
        self._count += 1

    def close(self) -> None:
        """Nothing more is written."""
        with suppress(OSError):
            self._file.close()


def put(path: Path, data: bytes) -> None:
    """Write a whole file or none of it. Raises CannotWrite."""
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        half.write_bytes(data)
        half.replace(path)
    except OSError as error:
        raise CannotWrite(path, error) from error
    finally:
        with suppress(OSError):
            half.unlink(missing_ok=True)
