"""The known bugs are found, each within its seeds, and no sound twin is ever flagged."""
import pytest
from corpus import BUGS, UNSAFE, Bug, differences

from diarchy.harness.scenario import load
from diarchy.harness.seeds import trial

pytestmark = pytest.mark.storm

EACH = pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.scenario)


@EACH
def test_the_bug_is_found(bug: Bug) -> None:
    """As its scenario expects, and by the very kinds of the table."""
    scenario = load(bug.unsafe)
    tried = []
    for seed in range(1, bug.within + 1):
        tried.append(trial(scenario, seed))
        if tried[-1].as_expected and set(tried[-1].kinds) == set(bug.kinds):
            return
    pytest.fail(f"not found by the seeds 1 to {bug.within}: {tried}")


@EACH
def test_its_sound_twin_is_never_flagged(bug: Bug) -> None:
    """Valid on every seed: a run that is inconclusive does not pass."""
    scenario = load(bug.sound)
    tried = [trial(scenario, seed) for seed in range(1, bug.sound_seeds + 1)]
    assert [each for each in tried if not each.as_expected or each.verdict != "valid"] == []


@EACH
def test_the_twin_differs_in_what_mends_it_alone(bug: Bug) -> None:
    assert differences(bug) == bug.mended_by


def test_every_simulated_bug_is_in_the_table_once() -> None:
    listed = [bug.scenario for bug in BUGS]
    there = sorted(path.stem for path in UNSAFE.glob("*.yaml") if "simulated" in load(path).tags)
    assert sorted(listed) == there


def test_what_the_table_says_is_what_the_scenario_expects() -> None:
    for bug in BUGS:
        expected = load(bug.unsafe).expect
        fails = {f"{check}: {kind}" for check, each in expected.items() if each.verdict == "violation" for kind in each.kinds}
        assert fails == set(bug.kinds), bug.scenario
