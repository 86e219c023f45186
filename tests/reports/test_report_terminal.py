"""The verdict on a terminal of 80 columns and in a log."""
import io

import pytest
from rich.console import Console

from diarchy.checkers.verdict import Check, Finding, Verdict
from diarchy.reports.terminal import show


def printed(verdict, **options):
    out = io.StringIO()
    show(Console(file=out, width=80, **options), verdict)
    return out.getvalue()


def test_it_tells_the_findings_with_their_proof_and_every_check(story, history):
    text = printed(story.judged(history, violation=True))
    assert text.startswith("VIOLATION, not as expected   paused-leader-naive, seed 7\n")
    assert "\nnot as expected\n  overlap: expected valid, found violation (accepted)\n" in text
    assert "\n1. overlap: frozen, accepted (fails the run)\n   c1#1, c2#1   8.062 to 12.015 s, 3.953 s\n" in text
    assert "Overlap 12.015 - 8.062 = 3.953 s" in " ".join(text.split())
    assert f"   ops {', '.join(map(str, story.judged(history).checks[1].findings[0].ops))}\n" in text
    assert "\noverlap      violation\n" in text
    assert "overlaps: frozen 1, possible 1" in text
    assert "\nwarnings\n  history.jsonl:7012: the last line is cut off" in text


def test_a_log_has_no_colours_no_trailing_blanks_and_no_line_beyond_80_columns(story, history):
    text = printed(story.judged(history))
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 80
    assert [line for line in text.splitlines() if line != line.rstrip()] == []


@pytest.mark.parametrize("hostile", ["[bold red]markup[/]", "\x1b[2J\x1b[31mred", "a\u202eb", "x" * 200_000])
def test_text_from_outside_is_shown_as_text(hostile):
    verdict = Verdict("valid", True, "s", 1, (Check("overlap", "valid", (Finding(hostile, hostile, hostile, (hostile,)),), {hostile: hostile}),), (hostile,), (hostile,))
    text = printed(verdict, force_terminal=True, color_system=None)
    assert "\x1b[2J" not in text
    assert "\u202e" not in text
    assert len(text) < 20_000
    if hostile.startswith("["):
        assert hostile in text


def test_many_findings_that_fail_nothing_are_counted_and_all_that_fail_are_told():
    findings = (*(Finding("possible", f"p{i}", start=i) for i in range(50)), *(Finding("granted", f"g{i}", start=i, fails=True) for i in range(30)))
    text = printed(Verdict("violation", False, "s", 1, (Check("overlap", "violation", findings),)))
    assert all(f"   g{i}\n" in text for i in range(30))
    assert text.index("g29") < text.index("p0")
    assert "… and 30 more that fail nothing" in text
