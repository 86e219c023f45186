"""Columns: a history that stays in memory is the one that its bytes would have been."""
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diarchy.history import columns
from diarchy.history.columns import NAMES, NUMBERS, Columns, History
from diarchy.history.faults import Realised
from diarchy.history.jsonl import BadHistory
from diarchy.history.op import Op, Recorder
from diarchy.history.setup import Setup

INTS = st.none() | st.integers(-2**63 + 1, 2**63 - 1)
TEXTS = st.none() | st.sampled_from(["a", "b#1", "c/é", ""])
VALUES = st.none() | st.booleans() | st.integers(-9, 9) | st.just({"links": [("n1", "n2")]}) | st.just(Realised(host="c1#1", pids=(1, 2)))
REST = st.fixed_dictionaries({}, optional={
    **{name: INTS for name in NUMBERS if name not in ("time", "seen", "of")}, "claimant": TEXTS, "id": TEXTS, "node": TEXTS,
    "again": st.booleans(), "value": VALUES, "error": TEXTS})
LINE = st.tuples(st.sampled_from(["c1/elect", "c2/write", "resource"]), st.sampled_from(["invoke", "ok", "fail", "info"]),
                 st.sampled_from(["acquire", "write", "observe"]), INTS, REST)


def record(lines: list[Any], tell: Callable[[Recorder], Callable[..., object]], **sinks: Any) -> None:
    now = iter(range(0, 10 * len(lines) + 10, 10))
    recorder = Recorder(lambda: next(now), **sinks)
    tell(recorder)("harness", "ok", "setup", value=Setup(ttl=5, nodes=("n1",), checks=({"kind": "overlap"},)))
    for process, type_, f, time, rest in lines:
        tell(recorder)(process, type_, f, time, **rest)


def same(one: History, other: History) -> None:
    for name in NUMBERS:
        assert getattr(one, name).tolist() == getattr(other, name).tolist(), name
    for name in NAMES:
        ours, theirs = getattr(one, name), getattr(other, name)
        assert (ours.codes.tolist(), ours.table) == (theirs.codes.tolist(), theirs.table), name
    assert one.again.tolist() == other.again.tolist()
    assert (one.value, one.error, one.setup, one.end) == (other.value, other.error, other.setup, other.end)
    assert [type(value) for value in one.value.values()] == [type(value) for value in other.value.values()]
    assert one.by_time.tolist() == np.lexsort((np.arange(len(other)), other.time)).tolist()


@settings(max_examples=200, deadline=None)
@given(st.lists(LINE, max_size=12), st.sampled_from([1, 3, 2048]))
def test_in_memory_as_from_the_bytes(lines: list[Any], part: int) -> None:
    told, kept, made, written, ops = Columns(), Columns(), Columns(), bytearray(), list[Op]()
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(columns, "PART", part)
        record(lines, lambda recorder: recorder.tell, keep=told.add)
        record(lines, lambda recorder: recorder.append, keep=kept.add)
        record(lines, lambda recorder: recorder.tell, keep=made.add, write=written.extend)
        path = Path(folder) / "history.jsonl"
        path.write_bytes(written)
        read = History.read(path)
        for history in (told.history(), kept.history(), made.history()):
            same(history, read)
        ops += map(read.op, range(len(read)))
        same(History(ops), read)


def test_a_history_can_go_on_after_it_was_asked_for() -> None:
    told = Columns()
    recorder = Recorder(lambda: 7, keep=told.add)
    assert len(told.history()) == 0
    assert [recorder.tell("c1/elect", "invoke", "acquire"), recorder.tell("c1/elect", "ok", "acquire", token=3)] == [0, 1]
    before = told.history()
    assert before.op(1) == Op(1, 7, "c1/elect", "ok", "acquire", seen=7, of=0, token=3)
    assert recorder.append("harness", "ok", "end", value=1, error="late").index == 2
    assert told.history().op(2) == Op(2, 7, "harness", "ok", "end", seen=7, value=1, error="late")
    assert (len(before), before.value, before.error) == (2, {}, {})


def test_what_listens_hears_what_was_told() -> None:
    recorder, heard = Recorder(lambda: 7, keep=Columns().add), list[Op]()
    recorder.listeners.append(heard.append)
    assert recorder.tell("c1/elect", "invoke", "acquire", time=5) == 0
    assert heard == [Op(0, 5, "c1/elect", "invoke", "acquire", seen=7)]


@pytest.mark.parametrize("wrong", ["of", "seen", "sort"])
def test_a_field_that_an_op_does_not_have_is_refused(wrong: str) -> None:
    recorder = Recorder(lambda: 7, keep=Columns().add)
    with pytest.raises((TypeError, KeyError)):
        recorder.tell("c1/elect", "invoke", "acquire", **{wrong: 1})


@pytest.mark.parametrize("field", ["token", "time"])
def test_a_number_that_is_too_large_is_refused_with_its_line(field: str) -> None:
    told = Columns("here")
    recorder = Recorder(lambda: 7, keep=told.add)
    for number in (5, -2**63, 2**63 - 1, 2**63, 2**70):
        recorder.tell("c1/elect", "invoke", "acquire", **{field: number})
    with pytest.raises(BadHistory, match=r"here:4: a number of this op does not fit into 64 bits"):
        told.history()


def test_a_first_line_that_is_no_set_up_is_refused() -> None:
    told = Columns("here")
    Recorder(lambda: 7, keep=told.add).tell("harness", "ok", "setup", value={"ttl": "long"})
    with pytest.raises(BadHistory, match=r"here:1: the set-up"):
        told.history()
