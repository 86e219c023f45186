"""Proofs: numbers that can be read, and ops that are there."""
import pytest
from told import acquire, fault, line, tell

from diarchy.checkers.overlap import Overlap
from diarchy.checkers.proofs import Proof, joined, seconds


@pytest.mark.parametrize(("time", "text"), [
    (0, "0.000 s"), (5 * 10**9, "5.000 s"), (1_234_567_891, "1.235 s"), (9_876_543, "0.009877 s"), (4_000_000, "0.004 s"), (-1_500_000_000, "-1.500 s"),
])
def test_seconds(time: int, text: str) -> None:
    assert seconds(time) == text


def test_joined_names_every_op_once_in_order() -> None:
    assert joined([Proof("One.", (5, 2)), Proof("", (9,)), Proof("Two.", (2, 1))]) == Proof("One. Two.", (1, 2, 5))


def test_pauses_that_meet_are_told_as_one() -> None:
    stall = line(9.1, "c1/tick", "ok", "stall", value={"since": 10**9 * 3 // 2})
    history = tell([*acquire("c1", 0, 0.1, 1), *fault("pause", "resume", 2, 9, host="c1#1"), *acquire("c2", 6, 6.1, 2), stall,
                    line(9.11, "c1/elect", "ok", "step-down", tenure=1), line(12, "c2/elect", "ok", "step-down", tenure=7)])
    (finding,) = Overlap().check(history).findings
    assert finding.text.count("paused from") == 1
    assert "paused from 1.500 s to 9.100 s (ops 3, 6 and 9)" in finding.text


def test_every_op_of_a_proof_is_in_the_history_and_every_op_in_the_text_is_in_the_proof() -> None:
    history = tell([*acquire("c1", 0, 0.1, 1), *acquire("c2", 1, 1.1, 2), line(3, "c1/renew", "invoke", "renew", tenure=1),
                    line(3.1, "c1/renew", "ok", "renew", tenure=1, sent=3, ttl=5, until=8), line(9, "c1/elect", "ok", "step-down", tenure=1)])
    for finding in Overlap().check(history).findings:
        named = {int(word.strip("op():,.;")) for a, word in zip(finding.text.split(), finding.text.split()[1:], strict=False) if a.strip("(") == "op"}
        assert named
        assert named <= set(finding.ops) <= set(range(len(history)))
