"""How an ending becomes an exit status. The user's own mistakes get a sentence, never a traceback."""
import os
import sys
import tempfile
import traceback

import typer


def status(app: typer.Typer) -> int:
    """Run the command line and say how it ended; see `diarchy --help` for the numbers."""
    try:
        return int(app(standalone_mode=False) or 0)
    except typer.TyperException as error:
        complain(f"{error.format_message()}\nTry 'diarchy --help'.")
        return 64
    except (KeyboardInterrupt, typer.Abort):
        complain("interrupted")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        return known(error) or internal(error)


def known(error: Exception) -> int | None:
    """The status of an error that says all that its user needs, after saying it."""
    from diarchy.clusters.cluster import ClusterError
    from diarchy.harness.scenario import BadScenario
    from diarchy.history.jsonl import BadHistory
    from diarchy.workloads.launch import CandidateError

    match error:
        case BadScenario() | BadHistory() | CandidateError():
            complain(str(error))
            return 65
        case ClusterError():
            complain(str(error))
            return 69
        case ExceptionGroup(exceptions=[Exception() as only]):
            return known(only)
        case OSError(filename=str() as name):
            complain(f"{name}: {error.strerror}")
            return 70
    return None


def internal(error: Exception) -> int:
    """A fault of diarchy itself: a line for the user, the traceback in a file for the report of it."""
    with tempfile.NamedTemporaryFile("w", prefix="diarchy-", suffix=".log", delete=False) as file:
        traceback.print_exception(error, file=file)
    cause: BaseException = error
    while isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    complain(f"internal error: {type(cause).__name__}: {cause}\nThe traceback is in {file.name}; please report it.")
    return 70


def complain(text: str) -> None:
    """To stderr, with our name before it."""
    print(f"diarchy: {text}", file=sys.stderr)
