"""Availability: gaps, what excuses them, and how long each failover took."""
from typing import Any

import pytest
from told import S, acquire, fault, line, ns, tell

from diarchy.checkers.availability import Availability
from diarchy.checkers.verdict import Check
from diarchy.history.units import Duration

Lines = list[dict[str, Any]]
NODES = {"nodes": ("n1", "n2", "n3"), "quorum": 2, "candidates": ("c1", "c2")}
READY = [line(0, "c1", "ok", "ready", claimant="c1#1"), line(0, "c2", "ok", "ready", claimant="c2#1")]
"""Lines 1 and 2."""


def deadline(at: float) -> dict[str, Any]:
    return line(at, "harness", "ok", "deadline")


def gaps(check: Check) -> list[tuple[str, float, float, bool]]:
    return [(f.kind, (f.start or 0) / S, (f.end or 0) / S, f.fails) for f in check.findings]


def both_ways(*pairs: tuple[str, str]) -> list[tuple[str, str]]:
    return [link for a, b in pairs for link in ((a, b), (b, a))]


def test_nobody_came() -> None:
    assert Availability().check(tell([])).verdict == "inconclusive"


def test_the_first_election_and_the_gaps_up_to_the_deadline() -> None:
    history = tell([*READY, *acquire("c1", 0.5, 1, 1), *acquire("c2", 7, 7.5, 2), line(9, "c2/elect", "ok", "step-down", tenure=5), deadline(12)])
    check = Availability().check(history)
    assert gaps(check) == [("first-election", 0, 1, False), ("gap", 5.5, 7.5, False), ("gap", 9, 12, False)]
    stats = check.stats
    assert (stats["window_ns"], stats["led_ns"], stats["first_election_ns"]) == (12 * S, 6 * S, S)
    assert (stats["gaps"], stats["gaps_ns"], stats["longest_gap_ns"], stats["excused_ns"]) == (2, 5 * S, 3 * S, 0)


@pytest.mark.parametrize(("limit", "word"), [(2, "valid"), (1.9, "violation")])
def test_a_gap_longer_than_the_limit(limit: float, word: str) -> None:
    history = tell([*READY, *acquire("c1", 0, 0, 1), *acquire("c2", 7, 7, 2), deadline(12)])
    assert Availability(longest_gap=Duration(limit * S)).check(history).verdict == word


def test_the_first_election_has_a_limit_of_its_own() -> None:
    history = tell([*READY, *acquire("c1", 3, 4, 1), deadline(7)])
    assert Availability(longest_gap=Duration(S)).check(history).verdict == "valid"
    assert Availability(first_election=Duration(S)).check(history).verdict == "violation"


def test_nobody_leads_while_the_leader_is_paused_or_dead() -> None:
    paused = tell([*READY, *acquire("c1", 0, 0, 1, ttl=20), *fault("pause", "resume", 2, 4, host="c1#1"), deadline(10)])
    assert gaps(Availability().check(paused)) == [("gap", 2, 4, False)]
    killed = tell([*READY, *acquire("c1", 0, 0, 1, ttl=20), *fault("kill", "start", 2, None, host="c1#1"), deadline(10)])
    assert gaps(Availability().check(killed)) == [("gap", 2, 10, False)]


LOST_QUORUM = both_ways(("n1", "n2"), ("n1", "n3"), ("n2", "n3"))
CUT_OFF = [link for who in ("c1", "c2") for node in ("n1", "n2", "n3") for link in both_ways((who, node))]


@pytest.mark.parametrize(("lines", "left"), [
    (fault("cut", "heal", 6, 9, links=LOST_QUORUM), 2),
    (fault("stall", "heal", 6, 9, links=CUT_OFF), 2),
    (fault("cut", "heal", 6, 9, links=CUT_OFF[::2]), 2),
    (fault("cut", "heal", 6, 9, links=both_ways(("n1", "n2"), ("n1", "n3"))), 5),
    (fault("slow", "heal", 6, 9, links=LOST_QUORUM, latency=S), 5),
    (fault("cut", "heal", 6, 9, links=LOST_QUORUM, bit=False), 5),
    ([*fault("kill", "start", 6, 9, host="n1"), *fault("pause", "resume", 7, 8, host="n2", process="nemesis/2")], 4),
    ([*fault("pause", "resume", 6, 9, host="c1#1"), *fault("pause", "resume", 6, 8, host="c2#1", process="nemesis/2")], 3),
    ([*fault("kill", "start", 6, None, host="c1#1"), *fault("kill", "start", 9, None, host="c2#1", process="nemesis/2")], 4),
], ids=["no quorum", "candidates stalled", "one direction cut", "a majority is left", "only slow", "did not bite", "two nodes gone", "all paused",
        "all dead"])
def test_only_what_made_an_election_impossible_is_excused(lines: Lines, left: float) -> None:
    """A gap from 5 s to 10 s."""
    history = tell([*READY, *acquire("c1", 0, 0, 1), *lines, deadline(10)], **NODES)
    check = Availability(longest_gap=Duration(left * S)).check(history)
    assert (check.verdict, check.stats["longest_unexcused_ns"], check.stats["excused_ns"]) == ("valid", left * S, (5 - left) * S)
    assert Availability(longest_gap=Duration(left * S - 1)).check(history).verdict == "violation"


def test_nodes_that_elect_among_themselves_are_excused_too() -> None:
    """Three nodes, each alone from 6 s to 9 s; n1 leaves office at 5 s."""
    ready = [line(0, node, "ok", "ready", claimant=f"{node}#1") for node in NODES["nodes"]]
    office = [*acquire("n1", 0, 0, 1, ttl=None, term=1), line(5, "n1/elect", "ok", "step-down", tenure=4)]
    history = tell([*ready, *office, *fault("cut", "heal", 6, 9, links=LOST_QUORUM), deadline(10)],
                   **NODES | {"candidates": ()}, authority="term", ttl=0)
    assert Availability().check(history).stats["excused_ns"] == 3 * S


def test_without_nodes_in_the_set_up_nothing_is_excused() -> None:
    history = tell([*READY, *acquire("c1", 0, 0, 1), *fault("cut", "heal", 6, 9, links=LOST_QUORUM), deadline(10)])
    assert Availability().check(history).stats["excused_ns"] == 0


def test_a_failover_in_three_parts() -> None:
    """Killed at 2 s; the lease runs to 5 s, an attempt at 5.2 s fails, one at 5.5 s wins at 5.6 s, and writes at 6 s."""
    lines = [*READY, *acquire("c1", 0, 0, 1), *fault("kill", "start", 2, None, host="c1#1"),
             line(5.2, "c2/elect", "invoke", "acquire"), line(5.3, "c2/elect", "fail", "acquire"), *acquire("c2", 5.5, 5.6, 2),
             line(5.7, "c2/write", "invoke", "write", tenure=9, id="w"), line(6, "resource", "ok", "write", id="w", order=1), deadline(9)]
    stats = Availability().check(tell(lines)).stats
    assert (stats["changes"], stats["changes_no_fault_near"]) == (1, 0)
    parts = {"detection_ns": 3.2, "election_ns": 0.4, "initialisation_ns": 0.4, "failover_ns": 4}
    assert stats["failover"] == {"kill candidate": {"count": 1} | {
        part: dict.fromkeys(("p50", "p90", "max"), ns(time)) for part, time in parts.items()}}


def test_quantiles_are_of_the_nearest_rank() -> None:
    """Ten failovers; the successor's attempt begins 1, 2, … 10 s after the kill."""
    lines, at = [*READY], 0.0
    for number in range(1, 11):
        lines += acquire("c1", at, at, 2 * number, ttl=0.5, claimant=f"c1#{number}")
        lines += fault("kill", "start", at + 0.1, None, host=f"c1#{number}", process=f"nemesis/{number}")
        lines += acquire("c2", at + 0.1 + number, at + 0.1 + number, 2 * number + 1, ttl=0.5)
        at += 20
    failover = Availability().check(tell(lines, end=300)).stats["failover"]["kill candidate"]
    assert (failover["count"], failover["detection_ns"]) == (10, {"p50": 5 * S, "p90": 9 * S, "max": 10 * S})


def test_a_change_with_no_fault_near_is_unexplained() -> None:
    lines = [*READY, *fault("pause", "resume", 0, 1, host="n1"), *acquire("c1", 2, 2, 1, ttl=15), line(14, "c1/elect", "ok", "step-down", tenure=7),
             line(14, "c1/elect", "invoke", "release", tenure=7), line(14.1, "c1/elect", "ok", "release", tenure=7), *acquire("c2", 14.1, 14.2, 2), deadline(16)]
    stats = Availability().check(tell(lines, **NODES)).stats
    assert (stats["changes"], stats["changes_no_fault_near"], stats["changes_released"], stats["failover"]) == (1, 1, 1, {})
    assert Availability(near=Duration(20 * S)).check(tell(lines, **NODES)).stats["changes_no_fault_near"] == 0


def test_a_gap_names_the_faults_and_the_acquire_that_may_hold_the_office() -> None:
    lines = [*READY, *acquire("c1", 0, 0, 1), *fault("cut", "heal", 6, 9, links=[("c2", "n1")]), line(5.5, "c2/elect", "invoke", "acquire"),
             line(7.5, "c2/elect", "info", "acquire"), deadline(10)]
    (finding,) = Availability().check(tell(lines)).findings
    assert "cut (op 5)" in finding.text
    assert "c2#1 (op 9)" in finding.text


def test_a_release_after_the_successor_had_the_office_explains_nothing() -> None:
    """It woke up, stepped down and gave back what it had lost long before."""
    history = tell([*READY, *acquire("c1", 0, 0, 1, ttl=2), *acquire("c2", 3, 3.1, 2, ttl=20),
                    line(6, "c1/elect", "ok", "step-down", tenure=3), line(6, "c1/elect", "invoke", "release", tenure=3),
                    line(6.1, "c1/elect", "ok", "release", tenure=3), deadline(8)])
    stats = Availability().check(history).stats
    assert (stats["changes"], stats["changes_released"]) == (1, 0)
