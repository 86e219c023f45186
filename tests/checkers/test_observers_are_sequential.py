"""An observer's question names no boot, its answer does: that is one op after the other all the same."""
from diarchy.checkers.references import broken_references
from diarchy.history.columns import History
from diarchy.history.op import Op, Recorder


def recorded(steps: list[tuple[str, str | None]]) -> History:
    ops: list[Op] = []
    recorder = Recorder(lambda: len(ops))
    recorder.listeners.append(ops.append)
    recorder.append("harness", "ok", "setup", value={})
    for type_, claimant in steps:
        recorder.append("observer/n1", type_, "observe", node="n1", claimant=claimant)  # type: ignore[arg-type]
    return History(ops)


def test_questions_and_answers_in_turn_are_sequential() -> None:
    assert not list(broken_references(recorded([("invoke", None), ("ok", "n1#1")] * 3)))


def test_two_questions_at_once_are_not() -> None:
    (finding,) = broken_references(recorded([("invoke", None), ("invoke", None), ("ok", "n1#1")]))
    assert finding.kind == "not-sequential"
    assert finding.ops == (2,)
