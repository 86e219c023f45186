"""What a report shows of a history, before anything is drawn."""
from collections import Counter

import pytest

from diarchy.checkers.verdict import Check, Finding, Verdict
from diarchy.history.columns import History
from diarchy.history.op import Recorder
from diarchy.history.spans import Span
from diarchy.history.tenures import tenures
from diarchy.reports.rows import rows
from diarchy.reports.view import view
from diarchy.reports.writes import SINGLE

S, MS = 1_000_000_000, 1_000_000


@pytest.fixture(scope="session")
def shown(story, history):
    return view(history, story.judged(history), tenures(history))


def bars(shown, kind, lane=None):
    return [(bar.start, bar.end) for bar in shown.bars if bar.kind == kind and lane in (None, bar.lane)]


def marks(shown, kind, lane):
    return [mark.time for mark in shown.marks if (mark.kind, mark.lane) == (kind, lane)]


def written(lines, **setup):
    """A history of lines (time, process, type, f, fields) by a recorder with a clock of its own."""
    ops, now = [], [0]
    recorder = Recorder(lambda: now[0])
    recorder.listeners.append(ops.append)
    recorder.append("harness", "ok", "setup", value={"candidates": ["c1", "c2"], "nodes": ["n1"], "ttl": 5 * S, **setup})
    for time, process, type_, f, fields in lines:
        now[0] = time
        recorder.append(process, type_, f, **fields)
    return History(ops)


def empty(*findings):
    return Verdict("valid", True, "s", 1, (Check("overlap", "valid", findings),))


def test_lanes_from_top_to_bottom(shown):
    assert [(lane.kind, lane.label) for lane in shown.lanes] == [
        ("findings", "findings"), ("gaps", "nobody led"), ("candidate", "c1"), ("candidate", "c2"), ("candidate", "c3"), ("resource", "resource"),
        ("node", "n1"), ("node", "n2"), ("node", "n3"), ("nemesis", "1-pause"), ("nemesis", "2-partition"), ("nemesis", "3-latency"), ("nemesis", "4-kill")]


def test_nodes_that_elect_among_themselves_have_one_lane_each_and_claims_without_a_lease():
    lines = [(S, "n2/elect", "invoke", "acquire", {"claimant": "n2#1"}), (S, "n2/elect", "ok", "acquire", {"claimant": "n2#1"}),
             (4 * S, "n2/elect", "ok", "step-down", {"claimant": "n2#1", "tenure": 1})]
    history = written(lines, candidates=[], nodes=["n1", "n2"], ttl=0, authority="none")
    seen = view(history, empty(), tenures(history))
    assert [(lane.kind, lane.label) for lane in seen.lanes] == [("candidate", "n1"), ("candidate", "n2")]
    assert [(bar.lane, bar.kind, bar.start, bar.end) for bar in seen.bars if bar.lane == "n2"] == [("n2", "claimed", S, 4 * S)]


def test_a_tenure_is_certain_then_late_and_paused_then_late_and_awake(shown):
    assert bars(shown, "certain", "c1") == [(3512 * MS, 7500 * MS)]
    assert bars(shown, "late-paused", "c1") == [(7500 * MS, 12_016 * MS)]
    assert bars(shown, "late-awake", "c1") == [(12_016 * MS, 12_030 * MS)]
    assert bars(shown, "lease", "c1") == [(3500 * MS, 7500 * MS)]
    assert marks(shown, "deadline", "c1") == [7500 * MS]
    assert marks(shown, "step-down", "c1") == [12_030 * MS]
    assert [bar.label for bar in shown.bars if bar.kind == "certain"] == ["token 7", "token 9", "token 12"]


def test_writes_lie_where_they_were_sent_and_where_they_were_decided(shown):
    assert marks(shown, "refused", "c1") == [12_018 * MS, 12_023 * MS]
    assert marks(shown, "refused", "resource") == [12_020 * MS, 12_025 * MS, 18_302 * MS]
    assert marks(shown, "unknown", "c2") == [13_799 * MS]
    assert marks(shown, "unknown", "c3") == [17_998 * MS]
    assert len(marks(shown, "accepted", "resource")) == sum(len(marks(shown, "accepted", lane)) for lane in ("c1", "c2", "c3")) == 2068


def test_faults_as_asked_and_as_realised_and_on_the_lanes_of_their_hosts(shown):
    assert bars(shown, "asked", "nemesis/1-pause") == [(6000 * MS, 12_015 * MS)]
    assert bars(shown, "fault", "nemesis/1-pause") == bars(shown, "stopped", "c1") == [(6020 * MS, 12_015 * MS)]
    assert bars(shown, "down", "c2") == [(13_820 * MS, 16_315 * MS)]
    assert bars(shown, "missed", "nemesis/3-latency") == [(16_500 * MS, 16_520 * MS)]
    assert Counter(band.label for band in shown.bands) == {
        "pause c1#1": 1, "kill c2#1": 1, "slow c3 ↔ n3 by 200.0 ms ± 50.0 ms": 1, "cut n2 ↔ c1, c2, c3 and 2 more": 1}
    tip = next(bar.tip for bar in shown.bars if bar.kind == "stopped")
    assert "in force from 6.020 s for 5.995 s" in tip
    assert "state T" in tip


def test_nodes_lead_by_their_own_account_and_fall_silent(shown):
    assert bars(shown, "leads", "n2") == [(3260 * MS, 14_157 * MS)]
    assert bars(shown, "leads", "n1") == [(14_453 * MS, 18_250 * MS)]
    [(start, end)] = bars(shown, "silent", "n3")
    assert (9 * S, 10_600 * MS) < (start, end) < (9200 * MS, 10_600 * MS)


def test_gaps_are_those_of_the_availability_check(shown):
    assert bars(shown, "gap") == [(3500 * MS, 3512 * MS), (6000 * MS, 8062 * MS), (13_799 * MS, 15_962 * MS)]
    assert bars(shown, "excused") == [(6 * S, 8050 * MS)]


def test_the_axis_begins_where_something_happens(shown):
    assert (shown.start, shown.end) == (3050 * MS, 18_400 * MS)


def test_findings_that_fail_come_first_and_gaps_last(story, history):
    found = view(history, story.judged(history, violation=True), tenures(history)).findings
    assert [(f.number, f.kind, f.fails) for f in found] == [(1, "frozen", True), (2, "possible", False), (3, "gap", False), (4, "gap", False)]
    assert found[0].outcome == "fails the run"


def test_a_finding_without_times_is_placed_by_its_ops_and_one_without_both_is_kept():
    history = written([(S, "c1/elect", "invoke", "acquire", {"claimant": "c1#1"}), (2 * S, "c1/elect", "fail", "acquire", {"claimant": "c1#1"})])
    shown = view(history, empty(Finding("odd", "text", ops=(1, 2, 99)), Finding("bare", "text")), [])
    assert [(f.kind, f.start, f.end, f.ops) for f in shown.findings] == [("odd", S, 2 * S, (1, 2)), ("bare", None, None, ())]
    assert [bar.label for bar in shown.bars if bar.lane == "findings"] == ["1 odd"]


def test_binning_hides_no_finding_and_no_refused_or_unknown_write():
    lines = []
    for i in range(SINGLE + 500):
        at = S + i * MS
        lines += [(at, "c1/write", "invoke", "write", {"claimant": "c1#1", "id": f"w{i}"}),
                  (at + 100, "resource", "ok", "write", {"id": f"w{i}", "order": i}),
                  (at + 200, "c1/write", "ok", "write", {"claimant": "c1#1", "id": f"w{i}"})]
    lines += [(9 * S, "c1/write", "invoke", "write", {"claimant": "c1#1", "id": "r"}), (9 * S + 1, "resource", "fail", "write", {"id": "r"}),
              (9 * S + 2, "c1/write", "fail", "write", {"claimant": "c1#1"}), (9 * S + 3, "c1/write", "invoke", "write", {"claimant": "c1#1", "id": "u"})]
    history = written(lines)
    named = 1 + 3 * 1000
    shown = view(history, empty(Finding("late", "text", ops=(named, named + 1), fails=True)), [])
    assert marks(shown, "accepted", "c1") == [S + 1000 * MS]
    assert marks(shown, "accepted", "resource") == [S + 1000 * MS + 100]
    assert marks(shown, "named", "c1") == [S + 1000 * MS]
    assert marks(shown, "refused", "resource") == [9 * S + 1]
    assert marks(shown, "unknown", "c1") == [9 * S + 3]
    binned = [bar for bar in shown.bars if bar.kind == "accepted-many" and bar.lane == "resource"]
    assert sum(int(bar.tip.split()[0]) for bar in binned) == SINGLE + 499
    assert len(binned) < 1500


def test_a_write_long_on_its_way_is_drawn_from_its_sender_to_the_resource():
    history = written([(S, "c1/write", "invoke", "write", {"claimant": "c1#1", "id": "w"}), (2 * S, "c1/write", "info", "write", {"claimant": "c1#1"}),
                       (6 * S, "resource", "ok", "write", {"id": "w", "order": 1})])
    [flight] = view(history, empty(), []).flights
    assert (flight.lane, flight.sent, flight.decided, flight.accepted) == ("c1", S, 6 * S, True)


def test_a_write_that_its_client_knows_to_have_failed_is_not_unknown():
    history = written([(S, "c1/write", "invoke", "write", {"claimant": "c1#1", "id": "w"}), (2 * S, "c1/write", "fail", "write", {"claimant": "c1#1"})])
    assert [mark.kind for mark in view(history, empty(), []).marks] == []


def test_what_a_nemesis_could_not_do_is_marked():
    history = written([(S, "nemesis/1-kill", "fail", "find", {"value": {"target": "leader"}, "error": "no leader was found within 5 s"})])
    shown = view(history, empty(), [])
    assert [mark.tip for mark in shown.marks] == ["find: no leader was found within 5 s\nop 1"]
    assert [lane.label for lane in shown.lanes if lane.kind == "nemesis"] == ["1-kill"]


def test_a_fault_that_was_never_lifted_lasts_to_the_end():
    history = written([(S, "nemesis", "invoke", "pause", {"value": {"host": "n1"}}), (2 * S, "nemesis", "ok", "pause", {"value": {"host": "n1"}}),
                       (9 * S, "harness", "ok", "end", {})])
    shown = view(history, empty(), [])
    assert bars(shown, "stopped", "n1") == [(2 * S, 9 * S)]
    assert "never lifted" in next(bar.tip for bar in shown.bars if bar.kind == "fault")


def test_a_history_of_one_line_has_a_view():
    shown = view(written([]), empty(), [])
    assert (shown.bars, shown.marks, shown.findings) == ((), (), ())


def test_bars_that_meet_get_rows_of_their_own_up_to_a_limit():
    assert rows([Span(0, 5), Span(1, 3), Span(4, 9), Span(6, 7)], 4) == [0, 1, 1, 0]
    assert rows([Span(0, 9), Span(1, 9), Span(2, 9), Span(3, 9)], 2) == [0, 1, 1, 1]
