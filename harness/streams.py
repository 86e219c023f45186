"""Standard output and error as they are out there: closed, full, or read by somebody who has gone."""
import errno
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO, cast


class CannotAnswer(Exception):
    """Standard output does not take what was asked for. `gone`: its reader has what it wanted, which is no error."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"standard output cannot be written: {error.strerror}")
        self.gone = error.errno == errno.EPIPE


class Stream:
    """A text stream that stops at the first error: what follows is dropped. An answer says so, by CannotAnswer; progress does not."""

    def __init__(self, stream: TextIO, answer: bool) -> None:
        self._stream, self._answer = stream, answer
        self._error: OSError | None = None

    def write(self, text: str) -> int:
        """Write all of it."""
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Hand what was written to the system."""
        self._try(self._stream.flush)

    def _try(self, act: Callable[[], object]) -> None:
        try:
            if self._error is None:
                act()
        except OSError as error:
            self._error = error
            # What the stream still holds goes nowhere: else Python would try again at its end, and complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
        # Each time: libraries that try a stream out swallow what it raises.
        if self._error is not None and self._answer:
            raise CannotAnswer(self._error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def guard() -> None:
    """From now on the process's own streams are such ones. Those that it was started without are nowhere: else the next file that
    is opened would be taken for them."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    out, err = sys.stdout or os.fdopen(1, "w", closefd=False), sys.stderr or os.fdopen(2, "w", closefd=False)
    sys.stdout, sys.stderr = cast(TextIO, Stream(out, answer=True)), cast(TextIO, Stream(err, answer=False))
