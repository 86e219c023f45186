"""One scenario under many seeds: each run in memory, judged there; a run is a function of scenario and seed alone."""
from importlib.metadata import version
from pathlib import Path

from diarchy.checkers.judge import judge
from diarchy.checkers.verdict import Verdict
from diarchy.clusters import virtual
from diarchy.clusters.simulated.cluster import SimulatedCluster
from diarchy.harness.run import Run
from diarchy.harness.scenario import Scenario
from diarchy.harness.store import Folder
from diarchy.history.columns import Columns, History
from diarchy.reports.live import Live

VERSION = version("diarchy")


def once(scenario: Scenario, seed: int) -> Verdict:
    """One simulated run, judged; nothing is written. Raises what ended the run before its time."""
    return judge(told(scenario, seed))


def told(scenario: Scenario, seed: int) -> History:
    """The history of one simulated run, kept in memory alone. Raises what ended the run before its time."""
    columns = Columns(f"{scenario.name}, seed {seed}")
    run = Run(scenario, seed, "", Folder(Path()), Live(None, scenario.duration.s), VERSION, columns)
    assert isinstance(run.cluster, SimulatedCluster)
    virtual.run(run.cluster.loop, run.conduct())
    if run.problems:
        raise run.problems[0]
    return columns.history()
