"""Every scenario that ships for etcd, on real etcd: what its author expects is what is found."""
from pathlib import Path
from typing import Any

import pytest
from cluster_runs import ROOT, diarchy, findings, history, left_behind, run_of, verdict

from diarchy.history.op import Op

pytestmark = pytest.mark.docker

NO_OVERLAP = {"candidate-cut-off", "fair-queue", "graceful-handover", "late-write"}
NAMES = sorted(path.stem for path in (ROOT / "scenarios/etcd").glob("*.yaml"))


@pytest.fixture(scope="module", params=NAMES)
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The scenario's name and the folder of its run, which ended as expected."""
    name, out = str(request.param), tmp_path_factory.mktemp(str(request.param))
    done = diarchy("run", ROOT / f"scenarios/etcd/{name}.yaml", "--out", out)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return name, run_of(out)


def stats(folder: Path, check: str) -> dict[str, Any]:
    return next(dict(c["stats"]) for c in verdict(folder)["checks"] if c["check"] == check)


def bitten(ops: list[Op]) -> list[Op]:
    """Completions of faults and of their ends that were verified."""
    return [op for op in ops if op.process.startswith("nemesis/") and op.type == "ok" and op.value.get("bit", True)]


def test_it_ends_as_expected_with_its_evidence(ran: tuple[str, Path]) -> None:
    name, folder = ran
    assert verdict(folder)["as_expected"]
    assert (folder / "report.html").stat().st_size > 100_000
    overlaps = findings(folder, "overlap")
    assert not [f for f in overlaps if f["kind"] == "granted"], "never on etcd"
    assert all(f["ops"] for f in overlaps), "each with its proof"
    if name in NO_OVERLAP:
        assert overlaps == []


def test_every_fault_bit_and_healed(ran: tuple[str, Path]) -> None:
    _, folder = ran
    ops = history(folder)
    asked = [op for op in ops if op.process.startswith("nemesis/") and op.type == "invoke"]
    assert len(bitten(ops)) == len(asked)
    lifted = {op.value["lifts"] for op in bitten(ops) if "lifts" in op.value}
    assert lifted == {op.index for op in asked if "lifts" not in op.value}


def test_the_story_is_the_one_that_the_scenario_tells(ran: tuple[str, Path]) -> None:
    name, folder = ran
    availability, fencing = stats(folder, "availability"), stats(folder, "fencing")
    match name:
        case "paused-leader-naive" | "late-write":
            assert fencing["refused_stale"] > 0
            assert fencing["smoke"] == "refused"
        case "paused-leader-naive-no-fence" | "late-write-no-fence":
            assert fencing["refused"] == 0
            assert any(f["level"] == "accepted" for f in findings(folder, "overlap"))
            assert fencing["smoke"] == "taken"
        case "quorum-lost":
            assert availability["excused_ns"] > 2_000_000_000
        case "graceful-handover":
            assert availability["changes"] >= 3
            assert availability["longest_gap_ns"] < 500_000_000, "far shorter than the TTL of 2 s"
        case "fair-queue":
            turns = [op.claimant for op in history(folder) if op.f == "acquire" and op.type == "ok"]
            assert len(set(turns[:5])) == 5, "each has its turn before anybody has a second one"
            assert turns[5:] == turns[:-5], "in the same order again"
        case "slow-network":
            assert availability["changes"] >= 1, "a needless change of leader"
        case "isolated-etcd-leader" | "server-paused" | "server-killed" | "one-way":
            assert len(own_leaders(folder)) >= 2, "etcd elected another leader of its own"
        case "candidate-cut-off" | "paused-leader":
            assert availability["changes"] >= 1
            assert fencing["refused_stale"] == 0


def own_leaders(folder: Path) -> set[tuple[str | None, int | None]]:
    """Which boot of which server said that it leads, in which term."""
    return {(op.claimant, op.term) for op in history(folder) if op.f == "observe" and op.type == "ok" and op.value["leads"]}


def test_nothing_is_left(ran: tuple[str, Path]) -> None:
    _, folder = ran
    run = (folder / "run.json").read_text().split('"id":"')[1].split('"')[0]
    assert left_behind(run) == []
