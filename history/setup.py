"""The first line of a history: all that a checker needs to know beside the ops themselves."""
from typing import Any, Literal

import msgspec


class Setup(msgspec.Struct, frozen=True, omit_defaults=True):
    """The `value` of the first op (`harness`, `ok`, `setup`). Times in ns.

    `authority` says what bounds a claim: a lease, a term, or nothing. `tolerance` is how far the clocks of two processes
    may be apart (0 simulated; measured for real runs). `quorum` is how many nodes must reach each other for an election.
    """

    version: str = ""
    scenario: str = ""
    seed: int = 0
    cluster: str = ""
    nodes: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()
    quorum: int = 0
    ttl: int = 0
    fence: bool = False
    tokens: bool = True
    authority: Literal["lease", "term", "none"] = "lease"
    real: bool = False
    tolerance: int = 0
    grace: int = 0
    handover: int | None = None
    nemeses: int = 0
    checks: tuple[dict[str, Any], ...] = ()
    expect: dict[str, Any] = {}
    versions: dict[str, str] = {}


def grace_ns(ttl: int, real: bool) -> int:
    """How long a claimant may be late and awake before it is overdue: 5 % of the TTL, in real runs at least 250 ms."""
    return max(ttl // 20, 250_000_000 if real else 0)
