"""Assumptions: thin or damaged evidence makes a run inconclusive; oddities are reported."""
from typing import Any

import pytest
from told import S, acquire, fault, line, tell

from diarchy.checkers.assumptions import UNSOUND, Assumptions
from diarchy.checkers.verdict import Check, Finding
from diarchy.history.columns import History

Lines = list[dict[str, Any]]


def writes(count: int, start: float = 0.2) -> Lines:
    """Accepted writes of the tenure of line 1."""
    told: Lines = []
    for number in range(1, count + 1):
        at, id = start + number / 100, f"w{number}"
        told += [line(at, "c1/write", "invoke", "write", tenure=1, id=id), line(at, "resource", "ok", "write", id=id, order=number),
                 line(at, "c1/write", "ok", "write", tenure=1, id=id)]
    return told


LEADER = acquire("c1", 0, 0.1, 1)
GOOD = [*LEADER, *writes(10)]


def judged(*lines: dict[str, Any], **setup: Any) -> Check:
    return Assumptions().check(tell(lines, **setup))


def kinds(check: Check) -> list[str]:
    return [finding.kind for finding in check.findings]


def only(check: Check) -> Finding:
    (finding,) = check.findings
    return finding


def test_enough_evidence() -> None:
    check = judged(*GOOD)
    assert (check.verdict, check.findings, check.stats["accepted_writes"], check.stats["tenures"]) == ("valid", (), 10, 1)


def test_no_leader_and_too_few_writes() -> None:
    check = judged()
    assert (check.verdict, kinds(check)) == ("inconclusive", ["few-writes", "no-leader"])
    assert Assumptions(min_writes=0).check(tell(LEADER)).verdict == "valid"
    check = judged(*LEADER, *writes(9))
    assert (check.verdict, kinds(check)) == ("inconclusive", ["few-writes"])


def test_writes_of_the_smoke_alarm_are_no_evidence() -> None:
    smoke = [line(20, "smoke", "invoke", "write", id="s", token=0), line(20, "resource", "ok", "write", id="s", order=10)]
    assert judged(*LEADER, *writes(9), *smoke).stats["accepted_writes"] == 9


@pytest.mark.parametrize(("faults", "word", "found"), [
    (fault("pause", "resume", 1, 3, host="c1#1"), "valid", []),
    ([], "inconclusive", ["no-fault-bit"]),
    (fault("pause", "resume", 1, 3, host="c1#1", bit=False), "inconclusive", ["no-fault-bit", "did-not-bite"]),
    (fault("cut", "heal", 1, 3, links=[("c1", "n1")]), "valid", []),
])
def test_a_nemesis_that_tested_nothing(faults: Lines, word: str, found: list[str]) -> None:
    check = judged(*GOOD, *faults, nemeses=1)
    assert (check.verdict, kinds(check)) == (word, found)
    assert judged(*GOOD, *faults).verdict == "valid"


def test_a_fault_that_bit_when_nobody_was_in_office() -> None:
    lines = [*GOOD, line(2, "c1/elect", "ok", "step-down", tenure=1), *fault("pause", "resume", 5, 6, host="c1#1")]
    assert kinds(judged(*lines, nemeses=1)) == ["no-fault-bit"]


def test_what_was_not_lifted_is_reported() -> None:
    check = judged(*GOOD, *fault("cut", "heal", 1, None, links=[("c1", "n1")]))
    assert (check.verdict, only(check).kind) == ("valid", "not-healed")
    assert judged(*GOOD, *fault("kill", "start", 1, None, host="c1#1")).findings == ()


def test_a_fault_without_completion_is_reported() -> None:
    assert kinds(judged(*GOOD, line(1, "nemesis/1", "invoke", "cut", value={"links": [("c1", "n1")]}))) == ["unanswered"]


def test_a_target_that_was_never_found() -> None:
    gave_up = line(9, "nemesis/1-pause", "fail", "find", value={"target": "leader"}, error="no leader was found within 5 s")
    finding = only(judged(*GOOD, gave_up))
    assert finding.kind == "no-target"
    assert "no leader was found within 5 s" in finding.text


def test_a_time_after_it_was_read_is_a_broken_clock() -> None:
    late = line(10, "c1/tick", "ok", "tick", seen=9.999)
    assert (judged(*GOOD, late).verdict, kinds(judged(*GOOD, late))) == ("inconclusive", ["clock"])
    assert judged(*GOOD, late, tolerance=S // 1000).verdict == "valid"


def test_time_that_runs_backwards_within_one_process_is_a_broken_clock() -> None:
    back = [line(10, "c1/tick", "ok", "tick"), line(9, "c1/tick", "ok", "tick")]
    assert kinds(judged(*GOOD, *back)) == ["clock"]
    apart = [line(10, "c1/tick", "ok", "tick"), line(9, "c2/tick", "ok", "tick")]
    assert kinds(judged(*GOOD, *apart)) == []


def test_a_comparison_of_clocks_that_failed_is_a_broken_clock() -> None:
    check = judged(*GOOD, line(1, "harness", "info", "clock", error="c1#1 answered before it was asked"))
    assert (check.verdict, only(check).kind) == ("inconclusive", "clock")
    assert "before it was asked" in only(check).text


@pytest.mark.parametrize(("lines", "kind"), [
    ([line(1, "c1/renew", "invoke", "renew", tenure=400)], "broken-reference"),
    ([line(1, "c1/renew", "invoke", "renew", tenure=3)], "broken-reference"),
    ([line(1, "c2/elect", "ok", "step-down", tenure=1)], "broken-reference"),
    ([line(1, "c1/renew", "ok", "renew", tenure=1, until=8)], "broken-reference"),
    ([line(1, "c1/write", "ok", "write", tenure=1, of=2)], "broken-reference"),
    ([line(1, "c1/write", "invoke", "write", id="x")], "broken-reference"),
    ([line(1, "resource", "ok", "write", id="x")], "broken-reference"),
    ([line(1, "c1/write", "invoke", "write", tenure=1, id="x"), line(2, "c1/write", "invoke", "write", tenure=1, id="y")], "not-sequential"),
])
def test_damage_is_inconclusive(lines: Lines, kind: str) -> None:
    check = judged(*GOOD, *lines)
    assert (check.verdict, kinds(check)) == ("inconclusive", [kind])


def test_a_release_of_an_acquire_that_nobody_knows_of_is_sound() -> None:
    unknown = [line(5, "c1/elect", "invoke", "acquire"), line(6, "c1/elect", "info", "acquire")]
    asked = len(GOOD) + 1
    assert kinds(judged(*GOOD, *unknown, line(6, "c1/elect.1", "invoke", "release", tenure=asked), line(7, "c1/elect.1", "ok", "release", tenure=asked))) == []


@pytest.mark.parametrize(("value", "found"), [({"status": 0}, []), ({"status": 3}, ["candidate-exit"]), ({"signal": 11}, ["candidate-exit"]),
                                              (0, []), (None, ["candidate-exit"])])
def test_a_candidate_that_ended_by_itself_is_reported(value: object, found: list[str]) -> None:
    check = judged(*GOOD, line(9, "c1", "ok", "exit", claimant="c1#1", value=value))
    assert (check.verdict, kinds(check)) == ("valid", found)
    killed = fault("kill", "start", 8, None, host="c1#1")
    assert kinds(judged(*GOOD, *killed, line(9, "c1", "ok", "exit", claimant="c1#1", value=value))) == []


def test_lines_that_are_not_of_the_protocol_are_reported_once_for_each_claimant() -> None:
    wrong = [line(1, "harness", "info", "protocol-error", claimant="c1#1", error="it is no JSON") for _ in range(3)]
    finding = only(judged(*GOOD, *wrong))
    assert (finding.kind, finding.claimants, len(finding.ops)) == ("protocol-error", ("c1#1",), 3)
    assert "it is no JSON" in finding.text


def test_every_finding_says_something_and_names_a_known_kind() -> None:
    check = judged(line(1, "c1/renew", "invoke", "renew", tenure=400), nemeses=1)
    assert {"no-leader", "few-writes", "no-fault-bit", "broken-reference"} == set(kinds(check)) <= set(UNSOUND)
    assert all(len(finding.text) > 40 for finding in check.findings)


def test_an_empty_history_is_inconclusive() -> None:
    assert Assumptions().check(History([])).verdict == "inconclusive"


@pytest.mark.parametrize("other", [
    [line(3, "nemesis/2-kill", "fail", "find", error="no leader was found within 1 s", value={"target": "leader"})],
    fault("kill", "start", 3, 4, host="n1", process="nemesis/2-kill", bit=False),
    []])
def test_a_nemesis_that_did_nothing_leaves_its_story_untold(other: Lines) -> None:
    lines = [*fault("pause", "resume", 1, 3, host="c1#1", process="nemesis/1-pause"), *other]
    check = judged(*lines, nemeses=2)
    assert check.verdict == "inconclusive"
    (finding,) = [f for f in check.findings if f.kind == "idle-nemesis"]
    assert "2-kill" in finding.text or "1 that never began" in finding.text
    assert "idle-nemesis" not in kinds(judged(*lines[:4], nemeses=1))


def test_a_fault_of_unknown_outcome_is_no_evidence() -> None:
    """The engine did not answer: nobody knows whether anything was killed."""
    unknown = [line(1, "nemesis/1-kill", "invoke", "kill", value={"host": "n1"}), line(3, "nemesis/1-kill", "info", "kill", error="no answer")]
    check = judged(*GOOD, *unknown, nemeses=1)
    assert (check.verdict, check.stats["faults_bit_in_office"]) == ("inconclusive", 0)
    assert "no-fault-bit" in kinds(check)
