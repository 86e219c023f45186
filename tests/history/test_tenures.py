"""Tenures: certain time, belief, and what cuts them."""
from typing import Any

import pytest
from told import S, acquire, fault, line, ns, tell

from diarchy.history.columns import History
from diarchy.history.injected import injected
from diarchy.history.lives import lives
from diarchy.history.spans import Span, clipped, total, united, without
from diarchy.history.tenures import Tenure, possible_holds, tenures


def only(*lines: dict[str, Any], end: float = 30) -> Tenure:
    (tenure,) = tenures(tell(lines, end=end))
    return tenure


def renew(asked: float, got: float, type: str = "ok", tenure: int = 1) -> list[dict[str, Any]]:
    lease = {"sent": asked, "ttl": 5, "until": asked + 5} if type == "ok" else {}
    return [line(asked, "c1/renew", "invoke", "renew", tenure=tenure), line(got, "c1/renew", type, "renew", tenure=tenure, **lease)]


def down(at: float, tenure: int = 1) -> dict[str, Any]:
    return line(at, "c1/elect", "ok", "step-down", tenure=tenure)


ACQUIRED = acquire("c1", 0, 0.1, 1)


def seconds(spans: tuple[Span, ...]) -> list[tuple[float, float]]:
    return [(start / S, end / S) for start, end in spans]


def test_what_a_tenure_is() -> None:
    tenure = only(*ACQUIRED, *renew(2, 2.1), line(3, "c1/write", "invoke", "write", tenure=1, id="w"), down(4))
    assert (tenure.id, tenure.ok, tenure.claimant, tenure.candidate, tenure.token, tenure.again) == (1, 2, "c1#1", "c1", 1, False)
    assert (tenure.grants, tenure.sent, tenure.writes, tenure.step_down) == ((2, 4), (0, 2 * S), (5,), 6)
    assert seconds(tenure.certain) == [(0.1, 4)]
    assert (tenure.belief, tenure.stepped_down) == (Span(ns(0.1), 4 * S), 4 * S)


def test_certain_time_may_have_holes() -> None:
    assert seconds(only(*ACQUIRED, *renew(6, 6.5)).certain) == [(0.1, 5), (6.5, 11)]


def test_certain_time_may_be_empty() -> None:
    assert only(line(0, "c1/elect", "invoke", "acquire"), line(6, "c1/elect", "ok", "acquire", until=5)).certain == ()


@pytest.mark.parametrize(("lines", "certain", "belief"), [
    ([down(2)], 2, 2),
    ([line(2, "c1/elect", "invoke", "release", tenure=1)], 2, 30),
    ([line(2, "c1/elect", "invoke", "release", tenure=1), down(3)], 2, 3),
    (fault("kill", "start", 2, None, host="c1#1"), 2, 2),
    (fault("kill", "start", 2, None, host="c1"), 2, 2),
    (fault("kill", "start", 2, None, host="c2#1"), 5, 30),
    ([line(2, "c1/tick", "ok", "tick"), line(4, "c1", "ok", "exit", claimant="c1#1")], 2, 2),
    ([down(2), line(3, "c1/write", "invoke", "write", tenure=1, id="w")], 2, 3),
    ([], 5, 30),
], ids=["step-down", "release", "release, then step-down", "kill", "kill by bare name", "another's kill", "exit", "a write after it", "nothing"])
def test_what_ends_them(lines: list[dict[str, Any]], certain: float, belief: float) -> None:
    tenure = only(*ACQUIRED, *lines)
    assert seconds(tenure.certain) == [(0.1, certain)]
    assert tenure.belief.end == ns(belief)


def test_the_end_of_the_run_ends_both() -> None:
    tenure = only(*ACQUIRED, end=3)
    assert (seconds(tenure.certain), tenure.belief.end) == ([(0.1, 3)], 3 * S)


def test_an_op_without_a_tenure_means_the_newest() -> None:
    assert only(*ACQUIRED, line(2, "c1/elect", "ok", "step-down")).stepped_down == 2 * S


def test_a_reference_to_nothing_or_to_anothers_tenure_is_left_out() -> None:
    assert only(*ACQUIRED, down(2, tenure=77), line(3, "c2/elect", "ok", "step-down", tenure=1)).stepped_down is None


def test_the_next_tenure_of_one_that_never_stepped_down_ends_its_belief_when_it_asks() -> None:
    first, second = tenures(tell([*ACQUIRED, *acquire("c1", 7, 8, 2)]))
    assert (first.belief.end, second.belief.start) == (7 * S, 8 * S)


def test_an_acquire_that_answers_with_the_open_token_is_a_renewal_and_its_name_leads_to_the_tenure() -> None:
    tenure = only(*ACQUIRED, *acquire("c1", 4, 4.1, 1), down(8, tenure=3))
    assert (tenure.grants, tenure.stepped_down, seconds(tenure.certain)) == ((2, 4), 8 * S, [(0.1, 8)])


def test_again_after_a_step_down_is_a_new_tenure_with_the_same_root() -> None:
    first, second = tenures(tell([*ACQUIRED, down(3), *acquire("c1", 3.2, 3.3, 1, again=True), down(4, tenure=4)]))
    assert (first.root, second.root, second.id, second.again) == (1, 1, 4, True)
    other, = (t for t in tenures(tell([*ACQUIRED, down(3), *acquire("c1", 3.2, 3.3, 2, again=True)])) if t.id == 4)
    assert other.root == 4


def test_unknown_acquires_are_possible_holds_and_open_no_tenure() -> None:
    history = tell([line(1, "c1/elect", "invoke", "acquire"), line(2, "c1/elect", "info", "acquire"), line(3, "c2/elect", "invoke", "acquire"),
                    line(4, "c3/elect", "invoke", "acquire"), line(5, "c3/elect", "fail", "acquire"),
                    line(6, "c1/elect.1", "invoke", "release", tenure=1), line(7, "c1/elect.1", "ok", "release", tenure=1)])
    assert tenures(history) == []
    assert [(hold.op, hold.claimant, hold.start, hold.end) for hold in possible_holds(history)] == [(1, "c1#1", S, 7 * S), (3, "c2#1", 3 * S, None)]


def test_a_completion_without_its_invoke_opens_a_tenure_that_may_have_been_asked_for_at_any_time() -> None:
    tenure = only(line(4, "c1/elect", "ok", "acquire", token=1, until=8))
    assert (tenure.id, tenure.invoked, seconds(tenure.certain)) == (1, 0, [(4, 8)])


@pytest.mark.parametrize(("lines", "naps"), [
    (fault("pause", "resume", 2, 4, host="c1#1"), [(2, 4)]),
    (fault("pause", "resume", 2, 4, host="c1"), [(2, 4)]),
    (fault("pause", "resume", 2, None, host="c1#1"), [(2, 30)]),
    ([*fault("pause", "resume", 2, 4, host="c1#1"), *fault("pause", "resume", 3, 6, host="c1#1", process="nemesis/2")], [(2, 6)]),
    ([*fault("pause", "resume", 2, None, host="c1#1"), *fault("kill", "start", 5, None, host="c1#1")], [(2, 5)]),
    (fault("pause", "resume", 2, 4, host="c1#1", bit=False), [(2, 2.01)]),
    ([line(2, "nemesis", "invoke", "pause", value={"host": "c1#1"}), line(3, "nemesis", "fail", "pause", error="no such process")], [(2, 3)]),
    ([line(2, "nemesis", "invoke", "pause", value={"host": "c1#1"}), line(3, "nemesis", "info", "pause")], [(2, 30)]),
    (fault("pause", "resume", 2, 4, host="n1"), []),
    ([line(4, "c1/tick", "ok", "stall", value={"since": 2 * S})], [(2, 4)]),
    ([line(4, "c1/tick", "ok", "stall", value="nonsense")], []),
    ([line(4, "nemesis/1", "ok", "stall", value={"since": 2 * S})], []),
], ids=["pause", "by bare name", "never resumed", "united", "closed by a kill", "did not bite", "refused", "unknown", "a node's", "stall", "odd stall",
        "a nemesis's stall"])
def test_pauses(lines: list[dict[str, Any]], naps: list[tuple[float, float]]) -> None:
    history = tell([*ACQUIRED, *lines])
    assert seconds(lives(history)["c1#1"].paused) == naps
    assert seconds(tenures(history)[0].paused) == naps


def test_a_kill_of_unknown_outcome_did_not_happen_if_its_victim_spoke_after_it() -> None:
    unknown = [line(2, "nemesis", "invoke", "kill", value={"host": "c1#1"}), line(3, "nemesis", "info", "kill")]
    assert only(*ACQUIRED, *unknown).killed == 2 * S
    assert only(*ACQUIRED, *unknown, line(4, "c1/tick", "ok", "tick")).killed is None


def test_the_last_sign_of_life_is_the_claimants_own() -> None:
    history = tell([*ACQUIRED, line(2, "c1/tick", "ok", "tick"), line(3, "harness", "info", "protocol-error", claimant="c1#1"),
                    line(4, "c1", "ok", "exit", claimant="c1#1")])
    assert lives(history)["c1#1"].last == 2 * S


def test_faults_are_paired_by_what_they_lift_or_by_host_and_links() -> None:
    links = [("c1", "n1")]
    lines = [line(1, "nemesis/1", "invoke", "cut", value={"links": links}), line(2, "nemesis/2", "invoke", "cut", value={"links": [("c2", "n1")]}),
             line(2.1, "nemesis/1", "ok", "cut", value={"links": links}), line(2.2, "nemesis/2", "ok", "cut", value={"links": [("c2", "n1")]}),
             line(4, "nemesis/2", "invoke", "heal", value={"links": [("c2", "n1")], "lifts": 2}), line(5, "nemesis/2", "ok", "heal"),
             line(6, "nemesis/1", "invoke", "heal", value={"links": links}), line(7, "nemesis/1", "ok", "heal", value={"links": links})]
    first, second = injected(tell(lines))
    assert (first.op, first.end, first.healed, first.bit) == (1, 7 * S, 8, True)
    assert (second.op, second.end, second.healed, second.lift) == (2, 5 * S, 6, 5)


def test_what_cannot_be_read_is_left_out() -> None:
    odd = [line(1, "nemesis", "invoke", "pause", value="everything"), line(2, "nemesis", "ok", "pause", value=[3]), line(3, "nemesis", "ok", "kill"),
           line(4, "nemesis", "invoke", "heal"), line(5, "c1/renew", "ok", "renew", until=9), line(6, "c1/elect", "ok", "step-down")]
    history = tell(odd)
    assert (len(injected(history)), tenures(history)) == (1, [])
    assert (injected(History([])), tenures(History([])), possible_holds(History([]))) == ([], [], [])


def test_spans() -> None:
    assert united([Span(5, 7), Span(1, 3), Span(3, 4), Span(9, 9), Span(6, 8)]) == (Span(1, 4), Span(5, 8))
    assert clipped((Span(1, 4), Span(5, 8)), 2, 6) == (Span(2, 4), Span(5, 6))
    assert clipped((Span(1, 4), Span(5, 8)), 4, 5) == ()
    assert without((Span(0, 10), Span(20, 30)), (Span(2, 3), Span(9, 21), Span(29, 40))) == (Span(0, 2), Span(3, 9), Span(21, 29))
    assert total((Span(1, 4), Span(5, 8))) == 6
