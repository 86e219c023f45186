"""Herd: how many attempts a change of leader sets off."""
from typing import Any

import pytest
from told import S, acquire, fault, line, tell

from diarchy.checkers.herd import Herd
from diarchy.history.columns import History
from diarchy.history.units import Duration

Lines = list[dict[str, Any]]


def attempts(f: str, *at: tuple[str, float]) -> Lines:
    return [line(time, f"{who}/elect", "invoke", f) for who, time in at]


def released(at: float, answer: str = "ok") -> Lines:
    return [line(at, "c1/elect", "ok", "step-down", tenure=1, value={"why": "resigned"}), line(at, "c1/elect", "invoke", "release", tenure=1),
            line(at + 0.01, "c1/elect", answer, "release", tenure=1)]


def rush(*more: Lines, ttl: int = 5 * S, **setup: Any) -> History:
    """c1 leads from 0 s and gives back at 2 s; c2 asks at 2.1 s (line 6) and has it at 2.2 s."""
    told = [*acquire("c1", 0, 0, 1), *released(2), *acquire("c2", 2.1, 2.2, 2, ttl=20)]
    return tell([*told, *(each for part in more for each in part)], ttl=ttl, **setup)


THREE = attempts("acquire", ("c3", 2.05), ("c4", 2.1), ("c5", 2.2))
"""Lines 8 to 10."""


@pytest.mark.parametrize(("most", "word"), [(4, "valid"), (3, "violation")])
def test_attempts_of_one_change(most: int, word: str) -> None:
    check = Herd(most=most).check(rush(THREE))
    assert (check.verdict, [(f.kind, f.fails) for f in check.findings]) == (word, [("herd", True)] if word == "violation" else [])
    assert check.stats == {"changes": 1, "attempts": 4, "settle_ns": 5 * S, "attempts_per_change": {"p50": 4, "p90": 4, "max": 4}}


@pytest.mark.parametrize(("more", "count"), [
    ([], 1),
    ([attempts("enqueue", ("c3", 3))], 2),
    ([attempts("acquire", ("c3", 1.999))], 1),
    ([attempts("acquire", ("c3", 2))], 2),
    ([attempts("acquire", ("c3", 7.2))], 2),
    ([attempts("acquire", ("c3", 7.201))], 1),
    ([attempts("renew", ("c2", 3))], 1),
    ([[line(2.5, "c3/elect", "fail", "acquire")]], 1),
    ([[line(3, "harness", "ok", "deadline")], attempts("acquire", ("c3", 3), ("c4", 3.001))], 2),
], ids=["the winner's alone", "a place in a queue", "before it was free", "when it was free", "when it has settled", "after that", "a renewal",
        "an answer", "after the deadline"])
def test_what_counts_as_an_attempt(more: list[Lines], count: int) -> None:
    assert Herd().check(rush(*more)).stats["attempts"] == count


@pytest.mark.parametrize(("settle", "ttl", "count"), [(None, 0, 2), (Duration(S), 5 * S, 2), (Duration(S - 1), 5 * S, 1), (None, 5 * S, 3)])
def test_how_long_a_change_takes_to_settle(settle: Duration | None, ttl: int, count: int) -> None:
    """One second where there is no TTL."""
    assert Herd(settle=settle).check(rush(attempts("acquire", ("c3", 3.2), ("c4", 3.201)), ttl=ttl)).stats["attempts"] == count


@pytest.mark.parametrize(("lines", "got", "count"), [
    ([], 5.2, 3),
    (fault("kill", "start", 2, None, host="c1#1"), 5.2, 3),
    (released(2), 5.2, 4),
    (released(2, "info"), 4.95, 2),
], ids=["its lease ran out", "it died", "it gave back", "never, for all that is known"])
def test_when_an_office_was_free(lines: Lines, got: float, count: int) -> None:
    """A lease until 5 s; attempts at 4, 5 and 5.1 s, and the winner's at 4.9 s, which counts in any case."""
    told = [*acquire("c1", 0, 0, 1), *lines, *attempts("acquire", ("c3", 4)), *acquire("c2", 4.9, got, 2, ttl=20),
            *attempts("acquire", ("c3", 5), ("c4", 5.1))]
    assert Herd(settle=Duration(S // 10)).check(tell(told)).stats["attempts"] == count


def test_the_attempts_of_the_next_change_are_its_own() -> None:
    """The second begins at 3 s, while the first has not settled."""
    told = [line(3, "c2/elect", "invoke", "release", tenure=6), line(3.01, "c2/elect", "ok", "release", tenure=6),
            *attempts("acquire", ("c4", 3), ("c5", 3.1)), *acquire("c3", 3.2, 3.3, 3, ttl=20)]
    stats = Herd().check(rush(THREE, told)).stats
    assert (stats["changes"], stats["attempts"], stats["attempts_per_change"]) == (2, 7, {"p50": 3, "p90": 4, "max": 4})


def test_quantiles_are_of_the_nearest_rank() -> None:
    """Ten changes with 1, 2, … 10 attempts."""
    told = acquire("c1", 0, 0, 1, ttl=1)
    for number in range(1, 11):
        told += acquire("c2", 10 * number, 10 * number, 1 + number, ttl=1)
        told += attempts("acquire", *((f"c{other}", 10 * number + 0.5) for other in range(2, number + 1)))
    assert Herd().check(tell(told, end=200)).stats["attempts_per_change"] == {"p50": 5, "p90": 9, "max": 10}


def test_a_herd_is_named_with_its_attempts_and_how_many_there_were() -> None:
    """c5 is stopped; c6 asks much later."""
    lines = [fault("pause", "resume", 1, 25, host="c5#1"), attempts("acquire", ("c6", 20))]
    told = rush(THREE[:2], attempts("acquire", ("c5", 0.5)), *lines)
    (finding,) = Herd(most=2).check(told).findings
    assert (finding.ops, finding.claimants) == ((6, 8, 9, 7), ("c1#1", "c2#1"))
    assert (finding.start, finding.end) == (2 * S, 7.2 * S)
    assert "3 attempts from 2.000 s to 7.200 s, of 4 candidates that were alive and awake; at most 2 are allowed" in finding.text


def test_a_herd_of_nodes_that_elect_their_leader_themselves() -> None:
    """n3, the coordinator, is killed; all others hold an election."""
    told = [*acquire("n3", 0, 0, ttl=None), *fault("kill", "start", 4, None, host="n3#1"), *attempts("acquire", ("n1", 5.5), ("n4", 5.6)),
            *acquire("n2", 5.5, 5.8, ttl=None), *attempts("acquire", ("n4", 6.8), ("n4", 6.801))]
    history = tell(told, ttl=0, candidates=(), nodes=("n1", "n2", "n3", "n4"), quorum=1, authority="none")
    check = Herd(most=3).check(history)
    assert (check.verdict, check.stats["attempts"]) == ("violation", 4)
    assert Herd(most=4).check(history).verdict == "valid"


def test_without_a_change_a_limit_proves_nothing() -> None:
    calm = tell(acquire("c1", 0, 0, 1))
    assert (Herd().check(calm).verdict, Herd().check(calm).stats["attempts_per_change"]) == ("valid", None)
    check = Herd(most=3).check(calm)
    assert (check.verdict, [(f.kind, f.fails) for f in check.findings]) == ("inconclusive", [("no-change", False)])
    assert Herd(most=3).check(tell([])).verdict == "inconclusive"
