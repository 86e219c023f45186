"""Histories that a naive reading of the definitions gets wrong, each with exactly what must be found in it."""
from pathlib import Path

import pytest

from diarchy.checkers.fencing import Fencing
from diarchy.checkers.judge import encode, judge
from diarchy.checkers.overlap import Overlap
from diarchy.checkers.verdict import Word
from diarchy.history.columns import History

CASES = Path(__file__).parent.parent / "histories" / "hard-cases"
MS = 10**6
A, B, C = "c1#1", "c2#1", "c3#1"

Found = tuple[str, str, bool, tuple[str, str], int, int]
EXPECTED: dict[str, tuple[Word, list[Found]]] = {
    "01-wake-up": ("valid", [("frozen", "belief", False, (A, B), 6100, 9005)]),
    "02-crash-frees-the-lock": ("valid", []),
    "03-late-write-no-overlap-no-token": ("violation", [("late", "accepted", True, (A, B), 8300, 8500)]),
    "04-writes-after-step-down": ("violation", [("overstayed", "attempted", True, (A, B), 1300, 3000)]),
    "05-unlock-before-stopping": ("violation", [("overstayed", "belief", True, (A, B), 1250, 2000)]),
    "06-tokens-answered-out-of-order": ("valid", []),
    "07-same-lease-re-acquired": ("valid", []),
    "08-both-late": ("violation", [("overstayed", "belief", True, (A, B), 11000, 14000)]),
    "09-graceful-handover": ("valid", []),
    "10-renewal-revives": ("violation", [("granted", "belief", True, (A, B), 9030, 12000), ("frozen", "belief", False, (A, B), 6100, 7000)]),
    "11-same-name-two-processes": ("violation", [("granted", "belief", True, (A, "c1#2"), 1100, 4000)]),
    "12-the-third-after-the-first": ("violation", [("late", "accepted", True, (A, C), 12600, 20000)]),
    "13-silence-at-the-end": ("valid", [("possible", "belief", False, (B, C), 25000, 29000)]),
}


def test_every_case_is_expected_something_of() -> None:
    assert sorted(EXPECTED) == sorted(path.stem for path in CASES.glob("*.jsonl"))


@pytest.mark.parametrize("case", EXPECTED)
def test_overlap_finds_exactly_what_is_there(case: str) -> None:
    check = Overlap().check(History.read(CASES / f"{case}.jsonl"))
    found = [(f.kind, f.level, f.fails, f.claimants, f.start, f.end) for f in check.findings]
    word, expected = EXPECTED[case]
    assert found == [(kind, level, fails, who, start * MS, end * MS) for kind, level, fails, who, start, end in expected]
    assert check.verdict == word
    counted = {kind: number for kind, number in check.stats["found"].items() if number}
    assert counted == {kind: sum(each[0] == kind for each in expected) for kind in {each[0] for each in expected}}


@pytest.mark.parametrize("case", EXPECTED)
def test_fencing_finds_only_the_token_that_was_used_twice(case: str) -> None:
    check = Fencing().check(History.read(CASES / f"{case}.jsonl"))
    assert [f.kind for f in check.findings if f.fails] == (["token-reused"] if case.startswith("11") else [])


@pytest.mark.parametrize("case", EXPECTED)
def test_the_same_bytes_twice(case: str) -> None:
    first, second = (encode(judge(History.read(CASES / f"{case}.jsonl"))) for _ in range(2))
    assert first == second
    assert first.endswith(b"}\n")


def test_a_proof_names_its_ops_and_its_arithmetic() -> None:
    history = History.read(CASES / "01-wake-up.jsonl")
    (finding,) = Overlap().check(history).findings
    assert finding.ops == (1, 2, 3, 5, 6, 9)
    assert "until 5.000 s (op 2: sent 0.000 s + TTL 5.000 s)" in finding.text
    assert "paused from 2.000 s to 9.020 s (ops 3 and 9)" in finding.text
    assert "c2#1 acquired at 6.100 s with token 2 (op 6)" in finding.text
