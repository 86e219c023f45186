"""Leaves out what this machine cannot run, and says at the end what that was and why.

DIARCHY_REQUIRE_DOCKER=1, DIARCHY_REQUIRE_BROWSER=1 and DIARCHY_REQUIRE_PYTHONS=1 turn leaving out into failing.
"""
import os
from collections import Counter
from collections.abc import Generator
from functools import cache

import pytest

NEEDS = ("docker", "browser", "pythons")


@cache
def lacks_docker() -> str:
    """Why tests on a real engine cannot run here; empty where they can."""
    from diarchy.clusters.cluster import ClusterError
    from diarchy.clusters.docker import images

    try:
        missing = [entry.name for entry in images.entries() if entry.state == "missing"]
    except ClusterError as error:
        return str(error)
    return f"missing images: run `diarchy images build {' '.join(missing)}`" if missing else ""


@cache
def lacks_browser() -> str:
    """Why tests in a browser cannot run here; empty where they can."""
    from diarchy.harness.doctor import browser

    finding = browser()
    return "" if finding.state == "ok" else f"{finding.seen}: {finding.remedy}"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite", action="store_true", help="write the stories of tests/workloads/machines anew with what came of them")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("docker") and (reason := lacks_docker()):
        pytest.skip(reason)
    if item.get_closest_marker("browser") and (reason := lacks_browser()):
        pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that is required here and was left out, for whatever reason, has failed."""
    report = yield
    required = [need for need in NEEDS if item.get_closest_marker(need) and os.environ.get(f"DIARCHY_REQUIRE_{need.upper()}") == "1"]
    if report.skipped and required and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"left out, but DIARCHY_REQUIRE_{required[0].upper()}=1: {reason_of(report)}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    stats = terminalreporter.stats
    reasons = Counter(reason_of(report) for report in stats.get("skipped", ()))
    if deselected := len(stats.get("deselected", ())):
        reasons["deselected on the command line"] = deselected
    if reasons:
        terminalreporter.section(f"left out: {reasons.total()}")
        for reason, count in reasons.most_common():
            terminalreporter.line(f"{count:4d}  {reason}")


def reason_of(report: pytest.TestReport) -> str:
    """What the skip said."""
    match report.longrepr:
        case (_, _, str() as reason):
            return reason.removeprefix("Skipped: ")
    return str(report.longrepr)
