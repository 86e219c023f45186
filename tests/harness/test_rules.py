"""What bounds a claim, and how exactly it is measured."""
from pathlib import Path

import pytest

from diarchy.harness.rules import rules_of
from diarchy.harness.scenario import Scenario, load
from diarchy.harness.seeds import once

DRIFTING = """
name: drifting
cluster: {kind: simulated, nodes: 3, service: {kind: lease}, drift: 0.02}
workload: {kind: lock, candidates: 3, ttl: 5s, write_every: 500ms}
duration: 40s
nemeses: [{kind: pause, target: "candidate:leader", after: 2s, for: 8s, every: 15s}]
"""
SKEWED = DRIFTING.replace("nemeses: [", "nemeses: [{kind: skew, target: nodes, drift: 0.5, at: 1s}, ").replace(", drift: 0.02}", "}")


def scenario(folder: Path, text: str) -> Scenario:
    path = folder / "scenario.yaml"
    path.write_text(text)
    return load(path)


def test_a_lease_that_drifting_clocks_end_early_for_a_paused_holder_is_nobody_s_fault(tmp_path: Path) -> None:
    drifting = scenario(tmp_path, DRIFTING)
    assert rules_of(drifting).tolerance == 200_000_000
    verdicts = [once(drifting, seed) for seed in range(1, 11)]
    assert {verdict.verdict for verdict in verdicts} == {"valid"}
    assert all("frozen" in {finding.kind for check in verdict.checks for finding in check.findings} for verdict in verdicts)


def test_a_lease_that_a_broken_clock_ends_early_is_found(tmp_path: Path) -> None:
    skewed = scenario(tmp_path, SKEWED)
    assert rules_of(skewed).tolerance == 0
    kinds = {finding.kind for check in once(skewed, 1).checks for finding in check.findings if finding.fails}
    assert "granted" in kinds


@pytest.mark.parametrize(("workload", "authority", "tokens", "fence", "quorum"), [
    ("{kind: raft}", "term", True, True, 3), ("{kind: raft, lease: true}", "lease", True, True, 3), ("{kind: bully}", "none", False, False, 1),
    ("{kind: ring, quorum: true}", "lease", True, True, 3), ("{kind: raft, fence: false}", "term", True, False, 3),
])
def test_what_bounds_the_claims_of_nodes(tmp_path: Path, workload: str, authority: str, tokens: bool, fence: bool, quorum: int) -> None:
    rules = rules_of(scenario(tmp_path, f"name: nodes\ncluster: {{kind: simulated, nodes: 5}}\nworkload: {workload}\nduration: 10s\n"))
    assert (rules.authority, rules.tokens, rules.fence, rules.quorum) == (authority, tokens, fence, quorum)
    assert rules.handover == 4_000_000
