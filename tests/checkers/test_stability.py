"""Stability: flapping, monopoly, healthy leaders deposed, terms used up."""
from typing import Any

import pytest
from told import S, acquire, fault, line, tell

from diarchy.checkers.stability import Stability
from diarchy.checkers.verdict import Check
from diarchy.history.columns import History
from diarchy.history.units import Duration

Lines = list[dict[str, Any]]
NODES = {"nodes": ("n1", "n2", "n3"), "quorum": 2, "candidates": (), "ttl": 0, "authority": "term"}
SERVED = {"nodes": ("n1", "n2", "n3"), "quorum": 2}
"""Candidates on a service of three nodes."""


def ready(*names: str) -> Lines:
    return [line(0, who, "ok", "ready", claimant=f"{who}#1") for who in names]


def turns(*wins: tuple[float, str], ttl: float | None = 0.5) -> History:
    """Each of c1, c2, c3 is there from the beginning; these acquire at these times. The `ok`s are lines 5, 7, 9 …"""
    told = ready("c1", "c2", "c3")
    for token, (at, who) in enumerate(wins, 1):
        told += acquire(who, at, at, token, ttl=ttl)
    return tell(told)


def deadline(at: float) -> dict[str, Any]:
    return line(at, "harness", "ok", "deadline")


def kinds(check: Check) -> list[str]:
    return [f.kind for f in check.findings if f.fails]


FLAPS = ((1, "c1"), (4, "c2"), (5, "c1"), (6, "c2"), (20, "c3"))
"""Changes at 4, 5, 6 and 20 s."""


@pytest.mark.parametrize(("most", "length", "word", "worst"), [
    (3, 2, "valid", 3), (2, 2, "violation", 3), (2, 1.999, "valid", 2), (2, 15.999, "violation", 3), (3, 16, "violation", 4),
    (0, 0.001, "violation", 1)])
def test_changes_within_a_window_its_ends_included(most: int, length: float, word: str, worst: int) -> None:
    check = Stability(most_changes=most, window=Duration(length * S)).check(turns(*FLAPS))
    assert (check.verdict, check.stats["changes_in_window"], check.stats["changes"]) == (word, worst, 4)
    assert kinds(check) == (["flapping"] if word == "violation" else [])


def test_flapping_names_the_changes_of_the_worst_window() -> None:
    (finding,) = (f for f in Stability(most_changes=2, window=Duration(5 * S)).check(turns(*FLAPS)).findings if f.fails)
    assert (finding.start, finding.end, finding.ops, finding.claimants) == (4 * S, 6 * S, (7, 9, 11), ("c2#1", "c1#1"))
    assert "3 times" in finding.text
    assert "c1#1 → c2#1 at 4.000 s (op 7)" in finding.text


def test_without_limits_nothing_fails_and_all_is_counted() -> None:
    check = Stability().check(tell([*ready("c1", "c2", "c3"), *acquire("c1", 0, 0, 1, ttl=3), *acquire("c2", 4, 4, 2, ttl=1), deadline(10)]))
    assert (check.verdict, kinds(check)) == ("valid", [])
    assert check.stats == {
        "changes": 1, "changes_per_hour": 360.0, "changes_in_window": 1, "window_ns": 60 * S, "unexplained": 1, "contested": 1, "won": {"c2": 1},
        "largest_won_share": 1.0, "led_share": {"c1": 0.75, "c2": 0.25}, "deposed": 0, "terms": {}, "terms_per_change": {}}


def test_what_comes_after_the_deadline_does_not_count() -> None:
    history = tell([*ready("c1", "c2"), *acquire("c1", 0, 0, 1, term=1), deadline(10), *acquire("c2", 11, 11, 2, term=50)])
    check = Stability(most_changes=0, most_deposed=0, most_terms=0).check(history)
    assert (check.verdict, check.stats["changes"], check.stats["terms"]) == ("valid", 0, {"claimed": 0})


def test_nobody_came_and_nobody_led() -> None:
    assert Stability().check(tell([])).verdict == "inconclusive"
    assert Stability().check(tell([line(1, "c1/elect", "invoke", "acquire")])).verdict == "inconclusive"


def test_a_change_with_a_fault_near_is_explained() -> None:
    lines = [*ready("c1", "c2"), *fault("kill", "start", 1, 2, host="n1"), *acquire("c1", 0, 0, 1, ttl=2), *acquire("c2", 12, 12, 2)]
    assert Stability().check(tell(lines)).stats["unexplained"] == 0
    assert Stability(near=Duration(S // 10)).check(tell(lines)).stats["unexplained"] == 0, "in force when the lease ended"
    later = [*ready("c1", "c2"), *fault("kill", "start", 1, 1.5, host="n1"), *acquire("c1", 0, 0, 1, ttl=2), *acquire("c2", 12, 12, 2)]
    assert Stability(near=Duration(S // 2)).check(tell(later)).stats["unexplained"] == 0
    assert Stability(near=Duration(S // 2 - 1)).check(tell(later)).stats["unexplained"] == 1


WINS = ((0, "c3"), (1, "c1"), (2, "c2"), (3, "c1"), (4, "c1"), (5, "c1"))
"""c1 wins four changes of five."""


@pytest.mark.parametrize(("share", "least", "word"), [
    (0.8, 5, "valid"), (0.79, 5, "violation"), (0.79, 6, "valid"), (0.1, 1, "violation"), (1, 1, "valid")])
def test_one_that_wins_nearly_always(share: float, least: int, word: str) -> None:
    check = Stability(largest_share=share, least_changes=least).check(turns(*WINS))
    assert (check.verdict, check.stats["largest_won_share"], check.stats["won"]) == (word, 0.8, {"c1": 4, "c2": 1})
    assert kinds(check) == (["monopoly"] if word == "violation" else [])


def test_monopoly_names_the_wins() -> None:
    (finding,) = (f for f in Stability(largest_share=0.5).check(turns(*WINS)).findings if f.fails)
    assert "c1 won 4 of the 5 changes" in finding.text
    assert (finding.claimants, finding.ops) == (("c1#1",), (7, 9, 11, 13, 15))


@pytest.mark.parametrize(("lines", "contested"), [
    ([], 1),
    (fault("kill", "start", 3, None, host="c2#1"), 0),
    (fault("pause", "resume", 3, 20, host="c2#1"), 0),
    (fault("pause", "resume", 3, 8, host="c2#1"), 1),
    ([line(3, "c2", "ok", "exit", claimant="c2#1", value={"status": 0})], 0),
    ([line(12, "c2", "ok", "exit", claimant="c2#1", value={"status": 0})], 1),
], ids=["alive", "dead", "paused", "was paused", "ended", "ends later"])
def test_a_win_counts_for_a_monopoly_only_where_there_was_a_rival(lines: Lines, contested: int) -> None:
    """c1 follows itself at 10 s."""
    told = [*ready("c1", "c2"), *acquire("c1", 0, 0, 1), *lines, *acquire("c1", 10, 10, 2)]
    assert Stability().check(tell(told)).stats["contested"] == contested


def test_boots_of_one_candidate_are_one_winner() -> None:
    history = tell([*ready("c1", "c2"), *acquire("c2", 0, 0, 1, ttl=1), *acquire("c1", 2, 2, 2, ttl=1),
                    *acquire("c1", 4, 4, 3, ttl=1, claimant="c1#2")])
    check = Stability(largest_share=0.9, least_changes=2).check(history)
    assert (kinds(check), check.stats["won"], check.stats["led_share"]) == (["monopoly"], {"c1": 2}, {"c1": 0.666667, "c2": 0.333333})


def both_ways(*pairs: tuple[str, str]) -> list[tuple[str, str]]:
    return [link for a, b in pairs for link in ((a, b), (b, a))]


def elected(who: str, asked: float, got: float, term: int) -> Lines:
    return acquire(who, asked, got, term, ttl=None, term=term)


def raft(*faults: Lines, why: str | None = "term 4 has begun", left: float = 10.0) -> History:
    """n1 leads from 1 s, steps down at 10 s, and n2 follows it at 10.3 s."""
    value = {} if why is None else {"value": {"why": why}}
    return tell([*ready("n1", "n2", "n3"), *elected("n1", 0.9, 1, 1), *(each for part in faults for each in part),
                 line(left, "n1/elect", "ok", "step-down", tenure=4, **value), *elected("n2", 10.2, 10.3, 5)], **NODES)


ALONE = both_ways(("n1", "n3"), ("n2", "n3"))
"""What cuts n3 off, and a link of the leader with it."""


@pytest.mark.parametrize(("faults", "why", "count"), [
    ([], "term 4 has begun", 1),
    ([], None, 1),
    ([], "resigned", 0),
    ([fault("cut", "heal", 3, 9.9, links=ALONE)], "term 4 has begun", 1),
    ([fault("cut", "heal", 3, 9.9, links=ALONE[::2])], "term 4 has begun", 1),
    ([fault("kill", "start", 3, 9.9, host="n3#1")], "term 4 has begun", 1),
    ([fault("skew", "unskew", 3, 9.9, host="n2#1", offset=S)], "term 4 has begun", 1),
    ([fault("pause", "resume", 3, 9, host="n1#1")], "term 4 has begun", 0),
    ([fault("skew", "unskew", 3, 9, host="n1#1", offset=S)], "term 4 has begun", 0),
    ([fault("slow", "heal", 3, 9, links=both_ways(("n1", "n2"), ("n1", "n3")), latency=S)], "term 4 has begun", 0),
    ([fault("cut", "heal", 3, 9, links=[("n2", "n1"), ("n1", "n3")])], "term 4 has begun", 0),
    ([fault("cut", "heal", 3, 9, links=[("n2", "n1"), ("n1", "n3")], bit=False)], "term 4 has begun", 1),
    ([fault("cut", "heal", 3, 9, links=[("n1", "resource")])], "term 4 has begun", 0),
    ([fault("kill", "start", 3, 9, host="n2#1"), fault("kill", "start", 3, 9, process="nemesis/2", host="n3#1")], "term 4 has begun", 0),
    ([fault("kill", "start", 3, 9, host="n2#1"), fault("cut", "heal", 3, 9, process="nemesis/2", links=ALONE)], "term 4 has begun", 0),
], ids=["nothing", "no reason", "resigned", "another cut off", "another cut off one way", "another killed", "another skewed", "it was paused",
        "its clock", "its links slow", "its links cut one way", "did not bite", "cut off from the resource", "no majority left",
        "no majority left in sum"])
def test_a_node_that_was_deposed_though_it_was_healthy(faults: list[Lines], why: str | None, count: int) -> None:
    check = Stability(most_deposed=0).check(raft(*faults, why=why))
    assert (check.stats["deposed"], check.verdict) == (count, "violation" if count else "valid")
    assert kinds(check) == ["deposed"] * count


@pytest.mark.parametrize(("healed", "count"), [(8, 0), (7.999, 1)])
def test_a_fault_excuses_for_two_seconds_without_a_ttl(healed: float, count: int) -> None:
    history = raft(fault("pause", "resume", 3, healed, host="n1#1"))
    assert Stability().check(history).stats["deposed"] == count


@pytest.mark.parametrize(("near", "count"), [(1000, 1), (1001, 1), (2000, 1), (2001, 0)])
def test_a_fault_excuses_for_as_long_as_is_asked(near: int, count: int) -> None:
    history = raft(fault("pause", "resume", 3, 7.999, host="n1#1"))
    assert Stability(near=Duration(near * 10**6)).check(history).stats["deposed"] == count


def test_a_fault_that_begins_after_the_fall_excuses_nothing() -> None:
    assert Stability().check(raft(fault("pause", "resume", 10.1, 20, host="n1#1"))).stats["deposed"] == 1


def test_deposed_names_what_ended_it_and_what_did_not() -> None:
    (finding,) = Stability().check(raft(fault("cut", "heal", 3, 9.9, links=ALONE))).findings
    assert (finding.kind, finding.fails, finding.claimants) == ("deposed", False, ("n1#1", "n2#1"))
    assert (finding.start, finding.end, finding.ops) == (10 * S, 10.3 * S, (5, 6, 10, 12))
    assert "It stepped down (op 10): term 4 has begun." in finding.text
    assert "from 8.000 s on no fault touched it" in finding.text
    assert "Faults elsewhere: cut (op 6)." in finding.text


def test_a_leader_that_a_rival_replaced_while_it_wrote_was_deposed() -> None:
    """Bully: the highest number comes back and takes over; the other hears of it later."""
    told = [*ready("n1", "n2", "n3"), *acquire("n1", 1, 1, ttl=None), *acquire("n3", 10, 10, ttl=None),
            line(10.2, "n1/elect", "ok", "step-down", tenure=4, value={"why": "n3 is coordinator"})]
    check = Stability().check(tell(told, **NODES))
    assert [(f.start, f.ops) for f in check.findings] == [(10 * S, (5, 7))]


@pytest.mark.parametrize(("last", "count"), [(9.9, 0), (10, 1)])
def test_a_leader_of_which_nothing_is_heard_any_more_may_be_gone(last: float, count: int) -> None:
    told = [*ready("n1", "n2", "n3"), *acquire("n1", 1, 1, ttl=None), line(last, "n1/tick", "ok", "tick"), *acquire("n3", 10, 10, ttl=None)]
    assert Stability().check(tell(told, **NODES)).stats["deposed"] == count


def test_one_whose_office_nobody_takes_was_deposed_all_the_same() -> None:
    told = [*ready("n1", "n2", "n3"), *elected("n1", 1, 1, 1), line(10, "n1/elect", "ok", "step-down", tenure=4, value={"why": "term 2 has begun"})]
    (finding,) = Stability().check(tell(told, **NODES)).findings
    assert (finding.claimants, finding.start, finding.end) == (("n1#1",), 10 * S, 10 * S)


def leased(*between: Lines, **setup: Any) -> History:
    """c1's lease ends at 5 s; it lives on, and c2 follows at 6 s."""
    return tell([*ready("c1", "c2"), *acquire("c1", 0, 0, 1), *(each for part in between for each in part), *acquire("c2", 6, 6, 2),
                 line(7, "c1/tick", "ok", "tick")], **(SERVED | setup))


@pytest.mark.parametrize(("between", "count"), [
    ([], 1),
    ([[line(2, "c1/elect", "invoke", "release", tenure=3), line(2.1, "c1/elect", "ok", "release")]], 0),
    ([[line(3, "c1/stall", "ok", "stall", value={"since": 2 * S})]], 0),
    ([fault("cut", "heal", 1, 5, links=[("c1", "n2")])], 0),
    ([fault("cut", "heal", 1, 5, links=[("c2", "n2")])], 1),
    ([fault("kill", "start", 1, 5, host="n1")], 1),
    ([fault("cut", "heal", 1, 5, links=both_ways(("n1", "n2"), ("n1", "n3")))], 1),
    ([fault("cut", "heal", 1, 5, links=both_ways(("n1", "n2"), ("n1", "n3"), ("n2", "n3")))], 0),
    ([fault("kill", "start", 1, 5, host="n1"), fault("pause", "resume", 1, 5, process="nemesis/2", host="n2")], 0),
    ([acquire("c1", 5.5, 5.5, 7)[:1]], 1),
], ids=["nothing", "gave it back", "had stalled", "its link", "another's link", "a server", "a server cut off", "all servers apart", "two servers",
        "asks again"])
def test_a_candidate_that_lost_its_lease_though_it_was_healthy(between: list[Lines], count: int) -> None:
    assert Stability().check(leased(*between)).stats["deposed"] == count


def test_without_nodes_in_the_set_up_only_its_own_faults_excuse_a_leader() -> None:
    assert Stability().check(leased(nodes=(), quorum=0)).stats["deposed"] == 1
    assert Stability().check(leased(fault("cut", "heal", 1, 5, links=[("c1", "n2")]), nodes=(), quorum=0)).stats["deposed"] == 0


def test_one_that_asks_for_a_new_tenure_itself_was_not_deposed() -> None:
    history = tell([*ready("c1", "c2"), *acquire("c1", 0, 0, 1), *acquire("c1", 6, 6, 2)])
    assert Stability().check(history).stats["deposed"] == 0


def test_more_deposed_than_allowed() -> None:
    told = ready("n1", "n2", "n3")
    for term, who in enumerate(("n1", "n2", "n1"), 1):
        told += [*elected(who, 5 * term, 5 * term, term), line(5 * term + 4, f"{who}/elect", "ok", "step-down", value={"why": "term"})]
    assert [Stability(most_deposed=most).check(tell(told, **NODES)).verdict for most in (2, 3)] == ["violation", "valid"]
    assert kinds(Stability(most_deposed=2).check(tell(told, **NODES))) == ["deposed"] * 3


def inflated(*fields: tuple[str, int]) -> History:
    """n1 leads in term 1, attempts of n3 in between, n2 leads in term 7."""
    attempts = [line(2, "n3/elect", type, "acquire", term=term) for type, term in fields]
    return tell([*ready("n1", "n2", "n3"), *elected("n1", 1, 1, 1), *attempts, *elected("n2", 8, 8, 7)], **NODES)


@pytest.mark.parametrize(("fields", "most", "word"), [
    ((), 6, "valid"), ((), 5.9, "violation"), ((("invoke", 9),), 6, "violation"), ((("invoke", 9),), 8, "valid"), ((("fail", 9),), 6, "valid")])
def test_terms_used_up_for_one_change(fields: tuple[tuple[str, int], ...], most: float, word: str) -> None:
    check = Stability(most_terms=most).check(inflated(*fields))
    assert check.verdict == word
    assert kinds(check) == (["term-inflation"] if word == "violation" else [])


def test_term_inflation_names_the_ops_and_the_arithmetic() -> None:
    (finding,) = (f for f in Stability(most_terms=5).check(inflated(("invoke", 9))).findings if f.fails)
    assert (finding.ops, finding.start, finding.end) == ((5, 6), S, 2 * S)
    assert "from 1 (op 5, 1.000 s) to 9 (op 6, 2.000 s): 8 used up; changes of leader: 1. That is 8 for each change; at most 5" in finding.text


def test_terms_that_are_used_up_though_nobody_is_elected_count_too() -> None:
    """An election whose tie repeats."""
    told = ready("n1", "n2", "n3")
    for term in range(1, 9):
        told += [line(term, "n1/elect", "invoke", "acquire", term=term), line(term + 0.5, "n1/elect", "fail", "acquire")]
    assert [Stability(most_terms=most).check(tell(told, **NODES)).verdict for most in (6, 7)] == ["violation", "inconclusive"]


def observed(node: str, at: float, term: int) -> Lines:
    """An observer is told twice that this node leads."""
    who = {"claimant": f"{node}#1", "node": node}
    return [each for time in (at, at + 0.2) for each in (
        line(time, f"observer/{node}", "invoke", "observe", node=node),
        line(time + 0.1, f"observer/{node}", "ok", "observe", term=term, value={"leads": True}, **who))]


def test_terms_of_a_system_s_own_leader_count_against_its_own_changes() -> None:
    """From term 2 to 8 for two changes, while the candidate's lock stays where it is."""
    told = [*ready("c1"), *acquire("c1", 0, 0, 1, ttl=30), *observed("n1", 1, 2), *observed("n2", 3, 5), *observed("n3", 5, 8)]
    stats = Stability().check(tell(told)).stats
    assert (stats["changes"], stats["terms"], stats["terms_per_change"]) == (0, {"observed": 6}, {"observed": 3.0})
    assert [Stability(most_terms=most).check(tell(told)).verdict for most in (3, 2.99)] == ["valid", "violation"]


def test_the_system_s_own_leader_is_evidence_too() -> None:
    """No candidate ever led."""
    told = [*ready("c1"), *observed("n1", 1, 2), *observed("n2", 3, 3)]
    assert Stability().check(tell(told)).verdict == "valid"
