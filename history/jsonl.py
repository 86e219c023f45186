"""JSON Lines, the master format: read it with the place of every error."""
from collections.abc import Iterator
from pathlib import Path

import msgspec

from diarchy.history.op import Op


class BadHistory(Exception):
    """A history that cannot be read; the text names file and line."""


def ops(path: Path, warnings: list[str]) -> Iterator[Op]:
    """The ops of a file, one by one. A last line that was cut off is dropped, with a warning; any other fault is BadHistory."""
    decode = msgspec.json.Decoder(Op).decode
    try:
        file = path.open("rb")
    except OSError as error:
        raise BadHistory(f"{path}: {error.strerror}") from None
    with file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                warnings.append(f"{path.name}:{number}: the last line is cut off and was left out")
                return
            try:
                op = decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise BadHistory(f"{path}:{number}: {error}") from None
            if op.index != number - 1:
                raise BadHistory(f"{path}:{number}: index {op.index} where {number - 1} was expected: lines are missing or doubled")
            yield op
