"""The order in which findings are told."""
from diarchy.checkers.verdict import Check, Finding, Verdict

GAPS = "availability"
"""The check whose findings are gaps. They come last, and have a lane of their own in the timeline."""


def ranked(verdict: Verdict) -> list[tuple[Check, Finding]]:
    """Those that fail first, then those of checks that are inconclusive, gaps last; else in the order of time."""
    found = [(check, finding) for check in verdict.checks for finding in check.findings]
    found.sort(key=lambda pair: _rank(*pair))
    return found


def _rank(check: Check, finding: Finding) -> tuple[bool, bool, bool, bool, int]:
    return (not finding.fails, check.verdict != "inconclusive", check.check == GAPS, finding.start is None, finding.start or 0)


def outcome(check: Check, finding: Finding) -> str:
    """What a finding does to the run, in a word or two."""
    if finding.fails:
        return "fails the run"
    return "check inconclusive" if check.verdict == "inconclusive" else "reported"
