"""How an ending becomes an exit status. The user's own mistakes get a sentence, never a traceback."""
import errno
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

import typer

from diarchy.harness import streams


def status(app: typer.Typer) -> int:
    """Run the command line and say how it ended; see `diarchy --help` for the numbers."""
    streams.guard()
    _hear_signals()
    try:
        ended = int(app(standalone_mode=False) or 0)
        sys.stdout.flush()
        return ended
    except typer.TyperException as error:
        complain(f"{error.format_message()}\nTry 'diarchy --help'.")
        return 64
    except SystemExit as ended:
        complain("interrupted")
        return int(ended.code or 0)
    except streams.CannotAnswer as error:
        return unanswered(error)
    except Exception as error:
        return told(error)


def told(error: Exception) -> int:
    """Say what happened; its status."""
    return known(error) or internal(error)


def known(error: Exception) -> int | None:
    """The status of an error that says all that its user needs, after saying it; of several at once, if that holds of each."""
    sentences = list(dict.fromkeys(_sentence(one) for one in _each(error)))
    if None in sentences:
        return None
    said = [sentence for sentence in sentences if sentence is not None]
    for _, text in said:
        complain(text)
    return said[0][0]


def unanswered(error: streams.CannotAnswer) -> int:
    """The status where standard output took no answer: as a program that was ended by SIGPIPE has it, if nobody listens."""
    sys.stdout = sys.__stdout__  # which leads nowhere since then; this error has been told
    if error.gone:
        return 141
    complain(str(error))
    return 70


def _sentence(error: Exception) -> tuple[int, str] | None:
    from diarchy.clusters.cluster import ClusterError
    from diarchy.clusters.virtual import Deadlock
    from diarchy.harness.scenario import BadScenario
    from diarchy.harness.store import CannotWrite
    from diarchy.history.jsonl import BadHistory
    from diarchy.workloads.launch import CandidateError, ResourceError

    match error:
        case BadScenario() | BadHistory() | CandidateError():
            return 65, str(error)
        case ClusterError():
            return 69, str(error)
        case CannotWrite() | ResourceError() | Deadlock():
            return 70, str(error)
        case OSError(filename=str() as name, errno=errno.ENOSPC | errno.EDQUOT | errno.EROFS):
            return 70, str(CannotWrite(Path(name), error))
        case OSError(filename=str() as name):
            return 70, f"{name}: {error.strerror}"
    return None


def _each(error: Exception) -> Iterator[Exception]:
    """The errors of a group, and of groups in it."""
    if isinstance(error, ExceptionGroup):
        for inner in error.exceptions:
            yield from _each(inner)
    else:
        yield error


def internal(error: Exception) -> int:
    """A fault of diarchy itself: a line for the user, the traceback in a file for the report of it."""
    cause = next(_each(error))
    text = f"internal error: {type(cause).__name__}: {cause}"
    try:
        with tempfile.NamedTemporaryFile("w", prefix="diarchy-", suffix=".log", delete=False) as file:
            traceback.print_exception(error, file=file)
    except OSError:
        complain(text + "\nPlease report it with this traceback:")
        traceback.print_exception(error)
    else:
        complain(f"{text}\nThe traceback is in {file.name}; please report it.")
    return 70


def complain(text: str) -> None:
    """To stderr, with our name before it."""
    print(f"diarchy: {text}", file=sys.stderr)


def _hear_signals() -> None:
    """Ctrl-C, SIGTERM and SIGHUP become SystemExit with their status, so that what is half done is put away. SIGINT also for a
    background job of a non-interactive shell, which has it ignored; a hang-up that is ignored is nohup's doing, and is meant."""
    def end(number: int, frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, end)
