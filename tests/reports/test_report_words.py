"""How reports say things."""
import pytest

from diarchy.reports import words


@pytest.mark.parametrize(("ns", "said"), [
    (0, "0"), (740, "740 ns"), (85_000, "85 µs"), (12_400_000, "12.4 ms"), (1_443_000_000, "1.443 s"), (-2_000_000, "-2.0 ms"),
    (125_000_000_000, "2 min 5.0 s")])
def test_lengths_have_the_unit_that_reads_best(ns, said):
    assert words.length(ns) == said


@pytest.mark.parametrize(("pairs", "said"), [
    ([("n1", "n2"), ("n2", "n1")], "n1 ↔ n2"),
    ([("c1", "n2")], "c1 → n2"),
    ([("n2", "n1"), ("n1", "n2"), ("n2", "n3"), ("n3", "n2"), ("n3", "c1")], "n2 ↔ n1, n3; n3 → c1"),
    ([("n1", "n2"), ("n3", "n2")], "n1, n3 → n2"),
    ([(f"c{i}", "n1") for i in range(1, 9)], "c1, c2, c3 and 5 more → n1"),
    ([], "")])
def test_links_are_told_as_stars(pairs, said):
    assert words.links(pairs) == said


def test_no_link_is_lost_whatever_the_shape():
    complete = [(f"n{i}", f"n{j}") for i in range(4) for j in range(4) if i != j]
    assert words.links(complete) == "n0 ↔ n1, n2, n3; n1 ↔ n2, n3; n2 ↔ n3"
    assert words.links(complete[1:]) == "n2 ↔ n0, n1, n3; n3 ↔ n0, n1; n1 → n0"


def test_text_from_outside_cannot_steer_a_terminal_or_reorder_a_line():
    assert words.plain("a\x1b[31mb\nc\u202ed") == "a\\x1b[31mb\\nc\\u202ed"
    assert words.plain("x" * 30, 10) == "x" * 10 + " … (20 more characters)"


def test_a_fault_is_told_with_what_was_realised():
    assert words.fault("pause", {"host": "c1#1"}) == "pause c1#1"
    assert words.fault("slow", {"links": [["c1", "n1"], ["n1", "c1"]], "latency": 200_000_000, "jitter": 50_000_000}) == "slow c1 ↔ n1 by 200.0 ms ± 50.0 ms"
    assert words.fault("kill", None) == "kill"
