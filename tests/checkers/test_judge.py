"""The judge: which checks run, what is expected of them, and bytes that never differ."""
import json
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from told import S, acquire, line, tell

from diarchy.checkers import fencing, judge
from diarchy.checkers.kinds import DEFAULTS, CheckOptions
from diarchy.checkers.verdict import Check, Finding, Verdict, merge
from diarchy.history import units
from diarchy.history.columns import History

ONLY_OVERLAP = ({"kind": "overlap"}, {"kind": "assumptions", "min_writes": 0})
SPLIT = [*acquire("c1", 0, 0.1, 1), *acquire("c2", 1, 1.1, 2), line(4, "c1/elect", "ok", "step-down", tenure=1)]
"""Granted: both certain for 2.9 s."""
CALM = acquire("c1", 0, 0.1, 1)
EVERY = ["assumptions", "overlap", "fencing", "availability", "stability", "herd"]


def judged(lines: list[dict[str, Any]], checks: Any = ONLY_OVERLAP, **expect: Any) -> Verdict:
    return judge.judge(tell(lines, checks=checks, expect=expect, scenario="s", seed=7))


def test_every_check_where_none_is_named() -> None:
    assert [check.check for check in judged(CALM, ()).checks] == EVERY
    assert len(DEFAULTS) == len(get_args(CheckOptions))


def test_the_assumptions_are_always_checked() -> None:
    assert [check.check for check in judged(CALM, ({"kind": "overlap"},)).checks] == ["assumptions", "overlap"]


def test_options_reach_their_check() -> None:
    checks = ({"kind": "overlap", "fail_on": ["late"]}, {"kind": "availability", "longest_gap": "1s"}, ONLY_OVERLAP[1])
    overlap, availability, _ = judged(SPLIT, checks).checks
    assert (overlap.verdict, availability.verdict) == ("valid", "violation")


def test_options_that_cannot_be_read_make_their_check_inconclusive() -> None:
    verdict = judged(CALM, ({"kind": "overlap", "fail_on": ["nonsense"]}, ONLY_OVERLAP[1]))
    assert (verdict.checks[0].verdict, verdict.checks[0].findings[0].kind) == ("inconclusive", "bad-options")
    assert judged(CALM, ({"kind": "astrology"},)).verdict == "inconclusive"


def test_a_check_that_crashes_is_inconclusive_and_the_others_still_speak(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(_: History) -> list[Any]:
        raise ZeroDivisionError("an odd history")
    monkeypatch.setattr(fencing, "tenures", crash)
    verdict = judged(SPLIT, ())
    broken = verdict.checks[2]
    assert (broken.check, broken.verdict, broken.findings[0].kind) == ("fencing", "inconclusive", "crashed")
    assert "ZeroDivisionError: an odd history" in broken.findings[0].text
    assert verdict.verdict == "violation"


@pytest.mark.parametrize(("lines", "expect", "unexpected"), [
    (CALM, {}, []),
    (SPLIT, {}, ["overlap: valid was expected, it is violation (granted)"]),
    (SPLIT, {"overlap": {"verdict": "violation"}}, []),
    (SPLIT, {"overlap": {"verdict": "violation", "kinds": ["granted"], "levels": ["belief"]}}, []),
    (SPLIT, {"overlap": {"verdict": "violation", "levels": ["accepted"]}}, ["overlap: level accepted was expected and not found"]),
    (SPLIT, {"overlap": {"verdict": "violation", "kinds": ["overstayed"]}},
     ["overlap: kind overstayed was expected and not found", "overlap: granted was found, which was not expected"]),
    (CALM, {"overlap": {"verdict": "violation"}}, ["overlap: violation was expected, it is valid"]),
    (CALM, {"fencing": {"verdict": "valid"}}, ["fencing: expected something of it, but it was not checked"]),
    ([], {"overlap": {"verdict": "inconclusive"}, "assumptions": {"verdict": "inconclusive", "kinds": ["no-leader"]}}, []),
])
def test_what_a_scenario_expects(lines: list[dict[str, Any]], expect: dict[str, Any], unexpected: list[str]) -> None:
    verdict = judged(lines, **expect)
    assert list(verdict.unexpected) == unexpected
    assert verdict.as_expected == (not unexpected)


def test_the_worst_word_wins() -> None:
    assert merge(["valid", "violation", "inconclusive"]) == "violation"
    assert merge(["valid", "inconclusive"]) == "inconclusive"
    assert merge([]) == "inconclusive"


def test_verdict_json_is_plain_and_stable() -> None:
    first = judge.encode(judged(SPLIT, ()))
    assert first == judge.encode(judged(SPLIT, ()))
    assert first.endswith(b"\n")
    plain = json.loads(first)
    assert (plain["verdict"], plain["as_expected"], plain["scenario"], plain["seed"]) == ("violation", False, "s", 7)
    assert [check["check"] for check in plain["checks"]] == EVERY
    (granted,) = (f for f in plain["checks"][1]["findings"] if f["kind"] == "granted")
    assert (granted["level"], granted["claimants"], granted["start"], granted["end"]) == ("belief", ["c1#1", "c2#1"], 1.1 * S, 4 * S)
    assert msgspec.json.decode(first, type=Verdict).checks[0].check == "assumptions"


def test_stats_are_sorted_whatever_their_order_was() -> None:
    def verdict(stats: dict[str, Any]) -> bytes:
        return judge.encode(Verdict("valid", True, "", 0, (Check("x", "valid", (Finding("k", "t"),), stats),)))
    assert verdict({"a": 1, "b": {"c": 1, "d": 2}}) == verdict({"b": {"d": 2, "c": 1}, "a": 1})


def test_a_cut_off_last_line_gives_the_verdict_of_the_history_without_it_and_a_warning(tmp_path: Path) -> None:
    case = (Path(__file__).parent.parent / "histories" / "hard-cases" / "05-unlock-before-stopping.jsonl").read_bytes()
    lines = case.splitlines(keepends=True)
    whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    whole.write_bytes(b"".join(lines[:-1]))
    cut.write_bytes(b"".join(lines[:-1]) + lines[-1][:20])
    first, second = judge.judge(History.read(whole)), judge.judge(History.read(cut))
    assert len(second.warnings) == 1
    assert "cut.jsonl:10" in second.warnings[0]
    assert msgspec.structs.replace(second, warnings=()) == first


def test_every_check_says_what_it_is_for_and_its_options_are_documented() -> None:
    schema = msgspec.json.schema(CheckOptions, schema_hook=units.schema)
    for name, options in schema["$defs"].items():
        assert options.get("description"), name
        for option, described in options["properties"].items():
            assert option == "kind" or described.get("description"), f"{name}.{option}"
