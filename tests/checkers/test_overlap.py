"""Overlap: each kind and level, where it begins and where it must not."""
import pytest
from told import S, acquire, fault, line, tell

from diarchy.checkers.overlap import SHOWN, Overlap
from diarchy.checkers.verdict import Check, Finding
from diarchy.history.columns import History


def kinds(check: Check) -> list[str]:
    return [finding.kind for finding in check.findings]


def only(check: Check) -> Finding:
    (finding,) = check.findings
    return finding


def at(finding: Finding) -> tuple[float, float]:
    assert finding.start is not None
    assert finding.end is not None
    return finding.start / S, finding.end / S


def down(who: str, time: float, tenure: int) -> dict[str, object]:
    return line(time, f"{who}/elect", "ok", "step-down", tenure=tenure)


def write(who: str, time: float, tenure: int, id: str) -> dict[str, object]:
    return line(time, f"{who}/write", "invoke", "write", tenure=tenure, id=id)


def took(time: float, id: str, order: int) -> dict[str, object]:
    return line(time, "resource", "ok", "write", id=id, order=order)


def two_grants(**setup: object) -> History:
    """The second is granted 1 s after the first, which holds on for 3 s more."""
    return tell([*acquire("c1", 0, 0.1, 1), *acquire("c2", 1, 1.1, 2), down("c1", 4, 1), down("c2", 5, 3)], **setup)


def test_no_leader_at_all_proves_nothing() -> None:
    assert Overlap().check(tell([])).verdict == "inconclusive"


def test_granted_is_exact_and_says_that_nobody_freed_the_lock() -> None:
    finding = only(Overlap().check(two_grants()))
    assert (finding.kind, finding.level, finding.fails, at(finding)) == ("granted", "belief", True, (1.1, 4.0))
    assert "Nobody had released c1#1's grant" in finding.text


def test_granted_names_the_release_that_may_have_freed_the_lock() -> None:
    history = tell([*acquire("c3", 0, 0.1, 1), down("c3", 1, 1), *acquire("c1", 2, 2.1, 2),
                    line(2.5, "c3/elect", "invoke", "release", tenure=1), *acquire("c2", 3, 3.1, 3), down("c1", 4, 4), down("c2", 5, 7)])
    finding = only(Overlap().check(history))
    assert finding.kind == "granted"
    assert "c3#1 sent a release at 2.500 s (op 6)" in finding.text
    assert 6 in finding.ops


def test_what_fails_is_the_scenarios_choice() -> None:
    check = Overlap(fail_on=("overstayed",)).check(two_grants())
    assert (check.verdict, kinds(check), only(check).fails) == ("valid", ["granted"], False)


def test_beliefs_that_meet_no_longer_than_the_tolerance_are_no_overlap() -> None:
    lines = [*acquire("c1", 0, 0.1, 1), *acquire("c2", 1, 1.1, 2), down("c2", 1.102, 3), down("c1", 4, 1)]
    assert kinds(Overlap().check(tell(lines))) == ["granted"]
    assert kinds(Overlap().check(tell(lines, tolerance=2 * S // 1000))) == []


def test_both_certain_no_longer_than_the_tolerance_is_only_possible() -> None:
    lines = [*acquire("c1", 3.9, 4, 1, ttl=1.202), *acquire("c2", 5, 5.1, 2), down("c1", 5.3, 1), down("c2", 6, 3)]
    assert kinds(Overlap().check(tell(lines))) == ["granted"]
    check = Overlap().check(tell(lines, tolerance=2 * S // 1000))
    assert (kinds(check), check.verdict) == (["possible"], "valid")


@pytest.mark.parametrize(("step_down", "kind"), [(5.26, "possible"), (5.3, "overstayed")])
def test_overstaying_begins_when_the_grace_is_used_up(step_down: float, kind: str) -> None:
    finding = only(Overlap().check(tell([*acquire("c1", 0, 0.1, 1), *acquire("c2", 5.01, 5.2, 2), down("c1", step_down, 1), down("c2", 6, 3)],
                                        grace=270 * 10**6)))
    assert finding.kind == kind
    if kind == "overstayed":
        assert at(finding) == (5.27, 5.3)


def test_awake_time_is_added_up_over_pauses() -> None:
    """0.15 s before the pause and 0.15 s after it are more than a grace of 0.25 s."""
    history = tell([*acquire("c1", 0, 0.1, 1), *fault("pause", "resume", 5.15, 7.0, host="c1#1"), *acquire("c2", 5.5, 5.6, 2),
                    down("c1", 7.15, 1), down("c2", 8, 7)])
    check = Overlap().check(history)
    assert [(f.kind, at(f)) for f in check.findings] == [("overstayed", (7.1, 7.15)), ("frozen", (5.6, 7.0))]


def test_a_recorded_stall_is_a_pause() -> None:
    stalled = line(9, "c1/tick", "ok", "stall", value={"since": 2 * S})
    history = tell([*acquire("c1", 0, 0.1, 1), *acquire("c2", 6, 6.1, 2), stalled, down("c1", 9.01, 1), down("c2", 10, 3)])
    finding = only(Overlap().check(history))
    assert (finding.kind, at(finding)) == ("frozen", (6.1, 9.01 - 0.01))
    assert 5 in finding.ops


def test_a_pause_that_did_not_bite_excuses_nobody() -> None:
    missed = [line(2, "nemesis", "invoke", "pause", value={"host": "c1#1"}),
              line(2.5, "nemesis", "ok", "pause", value={"host": "c1#1", "bit": False, "evidence": "state R"})]
    history = tell([*acquire("c1", 0, 0.1, 1), *missed, *acquire("c2", 6, 6.1, 2), down("c1", 9, 1), down("c2", 10, 5)])
    finding = only(Overlap().check(history))
    assert (finding.kind, at(finding)) == ("overstayed", (6.1, 9))


def test_a_resume_that_is_in_doubt_ends_the_pause_at_the_next_sign_of_life() -> None:
    history = tell([*acquire("c1", 0, 0.1, 1), line(2, "nemesis", "invoke", "pause", value={"host": "c1#1"}),
                    line(2.1, "nemesis", "ok", "pause", value={"host": "c1#1"}), line(7, "nemesis", "invoke", "resume", value={"host": "c1#1"}),
                    line(7.1, "nemesis", "info", "resume"), *acquire("c2", 6, 6.1, 2), line(8, "c1/tick", "ok", "tick"), down("c1", 10, 1),
                    down("c2", 11, 7)])
    check = Overlap().check(history)
    assert [(f.kind, at(f)) for f in check.findings] == [("overstayed", (8.25, 10)), ("frozen", (6.1, 8))]


def test_a_killed_claimant_holds_nothing_and_its_pause_is_over() -> None:
    history = tell([*acquire("c1", 0, 0.1, 1), *fault("pause", "resume", 2, None, host="c1#1"), *fault("kill", "start", 3, None, host="c1#1"),
                    *acquire("c2", 3.2, 3.3, 2), down("c2", 9, 7)])
    assert kinds(Overlap().check(history)) == []


def test_a_kill_that_did_not_bite_frees_nobody() -> None:
    missed = [line(2, "nemesis", "invoke", "kill", value={"host": "c1#1"}),
              line(2.1, "nemesis", "ok", "kill", value={"host": "c1#1", "bit": False})]
    history = tell([*acquire("c1", 0, 0.1, 1), *missed, *acquire("c2", 3, 3.1, 2), down("c1", 4, 1), down("c2", 9, 5)])
    assert at(only(Overlap().check(history))) == (3.1, 4.0)


def test_an_exit_ends_the_claim_at_the_last_line_before_it() -> None:
    gone = line(3, "c1", "ok", "exit", claimant="c1#1", value={"status": 1})
    history = tell([*acquire("c1", 0, 0.1, 1), line(2, "c1/tick", "ok", "tick"), gone, *acquire("c2", 2.1, 2.2, 2), down("c2", 9, 5)])
    assert kinds(Overlap().check(history)) == []


def test_a_new_tenure_of_the_same_claimant_ends_an_old_one_that_it_never_left() -> None:
    history = tell([*acquire("c1", 0, 0.1, 1), *acquire("c2", 6, 6.1, 2), down("c2", 7, 3), *acquire("c1", 6.05, 8, 3), down("c1", 12, 6)])
    assert kinds(Overlap().check(history)) == []


def test_an_acquire_that_answers_with_the_open_tenures_token_renews_it() -> None:
    history = tell([*acquire("c1", 0, 0.1, 1), *acquire("c1", 4, 4.1, 1), *acquire("c2", 8, 8.1, 2), down("c1", 8.5, 3), down("c2", 9, 5)])
    finding = only(Overlap().check(history))
    assert (finding.kind, at(finding), finding.claimants) == ("granted", (8.1, 8.5), ("c1#1", "c2#1"))


def test_a_renewal_of_a_tenure_that_was_given_back_revives_nothing() -> None:
    history = tell([*acquire("c1", 0, 0.1, 1), down("c1", 1, 1), line(1, "c1/elect", "invoke", "release", tenure=1),
                    *acquire("c2", 2, 2.1, 2), line(3, "c1/renew", "invoke", "renew", tenure=1),
                    line(3.1, "c1/renew", "ok", "renew", tenure=1, until=8), down("c2", 4, 5)])
    assert kinds(Overlap().check(history)) == []


def test_a_stale_write_that_was_taken_fails_whatever_the_kind() -> None:
    """The leader was frozen, which is nobody's fault; but the resource took its write after its successor's."""
    history = tell([*acquire("c1", 0, 0.1, 1), *fault("pause", "resume", 2, 9, host="c1#1"), *acquire("c2", 6, 6.1, 2),
                    write("c2", 6.2, 7, "w2"), took(6.3, "w2", 1), write("c1", 9.001, 1, "w1"), took(9.002, "w1", 2),
                    down("c1", 9.01, 1), down("c2", 11, 7)])
    finding = only(Overlap().check(history))
    assert (finding.kind, finding.level, finding.fails) == ("frozen", "accepted", True)
    assert "order 2) after write w2 of c2#1 (op 10, order 1)" in finding.text


def test_a_stale_write_taken_before_the_successor_wrote_is_an_attempt() -> None:
    history = tell([*acquire("c1", 0, 0.1, 1), *fault("pause", "resume", 2, 9, host="c1#1"), *acquire("c2", 6, 6.1, 2),
                    write("c1", 9.001, 1, "w1"), took(9.002, "w1", 1), down("c1", 9.01, 1), write("c2", 9.2, 7, "w2"), took(9.3, "w2", 2),
                    down("c2", 11, 7)])
    finding = only(Overlap().check(history))
    assert (finding.kind, finding.level, finding.fails) == ("frozen", "attempted", False)


def test_of_two_tenures_in_unknown_order_only_one_between_the_others_writes_proves_it() -> None:
    def wrote(*orders: tuple[str, str]) -> Check:
        lines = [*acquire("c1", 0, 0.2), *acquire("c2", 0.1, 0.3), down("c1", 0.25, 1)]
        for number, (who, id) in enumerate(orders, 1):
            lines += [write(who, 0.2 if who == "c1" else 1, 1 if who == "c1" else 3, id), took(2 + number, id, number)]
        return Overlap().check(tell([*lines, down("c2", 20, 3)]))
    assert wrote(("c1", "a"), ("c2", "b")).verdict == "valid"
    assert wrote(("c2", "b"), ("c1", "a")).verdict == "valid"
    check = wrote(("c1", "a"), ("c2", "b"), ("c1", "c"))
    assert (only(check).kind, only(check).level) == ("late", "accepted")


def test_tenures_joined_by_again_are_one() -> None:
    """The write of the first part comes after the successor's: accepted, and the pair is named once."""
    history = tell([*acquire("c1", 0, 0.1, 1), write("c1", 0.2, 1, "a"), down("c1", 1, 1), *acquire("c1", 1.1, 1.2, 1, again=True),
                    down("c1", 2, 5), *acquire("c2", 8, 8.1, 2), write("c2", 8.2, 8, "b"), took(8.3, "b", 1), took(9, "a", 2), down("c2", 10, 8)])
    finding = only(Overlap().check(history))
    assert (finding.kind, finding.claimants) == ("late", ("c1#1", "c2#1"))


def test_smoke_writes_count_for_nothing() -> None:
    history = tell([*acquire("c1", 0, 0.1, 1), write("c1", 0.2, 1, "a"), took(0.3, "a", 1), down("c1", 1, 1), *acquire("c2", 8, 8.1, 2),
                    write("c2", 8.2, 6, "b"), took(8.3, "b", 2), down("c2", 9, 6), line(20, "smoke", "invoke", "write", id="s", token=1),
                    took(20.1, "s", 3), line(20.2, "smoke", "ok", "write", id="s")])
    assert kinds(Overlap().check(history)) == []


def test_a_lower_term_beside_a_higher_is_superseded_and_one_term_has_one_leader_at_whatever_times() -> None:
    def elected(who: str, asked: float, got: float, term: int) -> list[dict[str, object]]:
        return acquire(who, asked, got, None, None, term=term)
    beside = tell([*elected("c1", 0, 1, 1), *elected("c2", 2, 3, 2), down("c1", 5, 1), down("c2", 8, 3)], authority="term")
    check = Overlap().check(beside)
    assert [(f.kind, f.fails, at(f)) for f in check.findings] == [("superseded", False, (3, 5))]
    apart = tell([*elected("c1", 0, 1, 7), down("c1", 2, 1), *elected("c2", 10, 11, 7), down("c2", 12, 4)], authority="term")
    finding = only(Overlap().check(apart))
    assert (finding.kind, finding.fails, finding.ops) == ("granted", True, (2, 5))


def test_claims_with_neither_lease_nor_term_are_granted_once_they_outlast_the_handover() -> None:
    def claims(until: float, *more: dict[str, object]) -> Check:
        lines = [*acquire("c1", 0, 1, None, None), *acquire("c2", 2, 3, None, None), *more, down("c1", until, 1), down("c2", 20, 3)]
        return Overlap().check(tell(lines, authority="none", handover=S))
    assert kinds(claims(3.9)) == ["possible"]
    assert [(f.kind, at(f)) for f in claims(6).findings] == [("granted", (4, 6))]
    paused = claims(9.5, *fault("pause", "resume", 2.5, 9, host="c1#1"))
    assert [(f.kind, at(f)) for f in paused.findings] == [("frozen", (3, 9))]


def test_a_claim_without_lease_counts_no_further_than_the_last_sign_of_life() -> None:
    lines = [*acquire("c1", 0, 1, None, None), *acquire("c2", 2, 3, None, None), down("c2", 20, 3)]
    assert kinds(Overlap().check(tell(lines, authority="none", handover=S))) == ["possible"]


def test_overdue_with_nobody_else_in_office_is_a_statistic() -> None:
    check = Overlap().check(tell([*acquire("c1", 0, 0.1, 1), down("c1", 7, 1)]))
    assert (check.verdict, check.findings) == ("valid", ())
    assert (check.stats["overdue"], check.stats["overdue_ns"]) == (1, round(1.75 * S))


def test_totals_are_kept_by_kind() -> None:
    history = tell([*acquire("c1", 0, 0.1, 1), *acquire("c2", 4, 4.1, 2), down("c1", 6, 1), down("c2", 7, 3)])
    stats = Overlap().check(history).stats
    assert stats["certain_overlap_ns"] == round(0.9 * S)
    assert stats["belief_overlap_ns"] == round(1.9 * S)
    assert {kind: time for kind, time in stats["overlap_ns"].items() if time} == {
        "granted": round(0.9 * S), "possible": round(0.25 * S), "overstayed": round(0.75 * S)}


def test_of_many_possible_overlaps_the_longest_are_listed_and_all_are_counted() -> None:
    lines, at_ = [], 1
    for number in range(SHOWN + 5):
        start = 10.0 * number
        lines += [*acquire("c1", start, start + 0.1, 2 * number + 1), *acquire("c2", start + 5, start + 5.1, 2 * number + 2),
                  down("c1", start + 5.11 + number / 1000, at_), down("c2", start + 9, at_ + 2)]
        at_ += 6
    check = Overlap().check(tell(lines, end=400))
    assert (len(check.findings), check.stats["found"]["possible"], check.verdict) == (SHOWN, SHOWN + 5, "valid")
    assert all((f.end or 0) - (f.start or 0) > 14 * 10**6 for f in check.findings)


def test_a_live_lease_that_a_stale_server_revoked() -> None:
    """From a run on etcd 3.6.6 (docs/decisions/0005): c3's renewal was answered at 13.362 s; the server that had led before and was
    stopped for 3 s woke up at 13.48 s and revoked the lease; c2 had the lock at 13.511 s."""
    history = tell([
        *acquire("c3", 2.42, 2.444, 3, ttl=2), line(13.3572, "c3/renew", "invoke", "renew", tenure=1),
        line(13.3617, "c3/renew", "ok", "renew", tenure=1, token=3, sent=13.3572, ttl=2, until=15.3572),
        *fault("pause", "resume", 10.4554, 13.4561, host="n2"),
        *acquire("c2", 13.5017, 13.511, 5, ttl=2), line(13.5538, "resource", "fail", "write", id="c3#1-223", token=3),
        line(13.5546, "c3/elect", "ok", "step-down", tenure=1)])
    (finding,) = Overlap().check(history).findings
    assert (finding.kind, finding.claimants, finding.fails) == ("granted", ("c3#1", "c2#1"), True)
    assert ((finding.start or 0) / S, (finding.end or 0) / S) == (13.511, 13.5546)
