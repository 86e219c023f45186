"""What checkers say."""
from collections.abc import Iterable
from typing import Any, Literal, Protocol

import msgspec

from diarchy.history.columns import History

Word = Literal["valid", "inconclusive", "violation"]
RANK: dict[Word, int] = {"valid": 0, "inconclusive": 1, "violation": 2}


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing found, with its proof: the ops by index and a sentence with the arithmetic. Times in ns.

    `fails` says whether it makes the check a violation; the others are reported or counted.
    """

    kind: str
    text: str
    level: str | None = None
    claimants: tuple[str, ...] = ()
    start: int | None = None
    end: int | None = None
    ops: tuple[int, ...] = ()
    fails: bool = False


class Check(msgspec.Struct, frozen=True):
    """The answer of one checker. `stats` holds plain JSON values; times in it are ns, names end in `_ns`."""

    check: str
    verdict: Word
    findings: tuple[Finding, ...] = ()
    stats: dict[str, Any] = {}


class Checker(Protocol):
    """An option struct (frozen, tagged by `kind`) that can judge a history: pure, synchronous, no clock, no files."""

    def check(self, history: History) -> Check: ...


class Verdict(msgspec.Struct, frozen=True):
    """`verdict.json`."""

    verdict: Word
    as_expected: bool
    scenario: str
    seed: int
    checks: tuple[Check, ...]
    unexpected: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def merge(words: Iterable[Word]) -> Word:
    """violation > inconclusive > valid; nothing at all proves nothing."""
    return max(words, key=RANK.__getitem__, default="inconclusive")
