"""Scenarios are read, changed from the command line, written back and found; what is generated from them is fresh."""
import ast
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import msgspec
import pytest
import yaml

from diarchy.checkers.kinds import DEFAULTS, CheckOptions
from diarchy.clusters.simulated.network import Network
from diarchy.clusters.simulated.options import Simulated
from diarchy.clusters.simulated.services.lease import Lease
from diarchy.clusters.simulated.services.redis import Redis
from diarchy.harness.catalog import COMMAND, catalog, kinds, targets
from diarchy.harness.listing import show
from diarchy.harness.scenario import BadScenario, Expect, Scenario, dump, expand, load, schema, world
from diarchy.history.units import Duration
from diarchy.nemeses.kinds import NemesisOptions
from diarchy.nemeses.plan import World
from diarchy.nemeses.skew import SkewClock

ROOT = Path(__file__).parent.parent.parent
SHIPPED = expand([ROOT / "scenarios"])

SMALL = """\
name: small
cluster: {kind: etcd}
workload: {kind: lock, ttl: 2s, renew_every: 500ms}
duration: 10s
"""

EVERYTHING = """\
name: everything
about: |
  Two lines, a "quote",
  and a colon: so.
cluster: {kind: etcd, nodes: 5, heartbeat: 50ms, election: 500ms, image: "registry.test/etcd:3.6"}
workload: {kind: lock, recipe: naive, wait: predecessor, candidates: 4, ttl: 3s, renew_every: 1s, write_every: 1500us, timeout: 1s,
           stay: 2m, fence: off, command: ["./own", "--no", "012"]}
duration: 1m
settle: 0s
nemeses:
  - {kind: partition, target: leader, direction: in, how: packets, at: 0s, for: 1500ms, every: 3s, times: 2, within: 1s}
  - {kind: partition, target: "candidate:leader", peers: [nodes, resource]}
  - {kind: partition, shape: ring, after: 1s}
  - {kind: latency, target: candidates, latency: 10ms, jitter: 1ms, bandwidth: 100}
  - {kind: stall, target: c1, peers: resource, direction: out}
  - {kind: reset, target: n2}
  - {kind: pause, target: any}
  - {kind: kill, target: minority, every: 20s}
checks:
  - {kind: overlap, fail_on: [granted]}
  - {kind: availability, longest_gap: 5s}
expect:
  overlap: {verdict: violation, kinds: [granted], levels: [accepted]}
seed: 0
tags: [known-unsafe, "no", 1e3]
"""

SIMULATED = """\
name: simulated
cluster: {kind: simulated, nodes: 5, service: {kind: redis, wait: 1, release: blind}, drift: 0.001, offset: 2s,
          network: {latency: 0s, jitter: 3ms, distribution: exponential, loss: 0.01, duplicate: 0.02, reorder: 0}}
workload: {kind: lock, candidates: 2}
duration: 10s
nemeses:
  - {kind: skew, target: n1, ahead: 10s, at: 2s, for: 3s}
"""

PEERS = """\
name: peers
cluster: {kind: simulated, nodes: 4}
workload: {kind: raft, spread: 0s, pre_vote: no}
duration: 10s
"""


def file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "scenario.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_scenarios_load_and_teach(path: Path) -> None:
    scenario = load(path)
    assert scenario.name == path.stem
    assert len(scenario.about.splitlines()) >= 2
    looking_for_luck = path.parent.name == "known-unsafe"  # not run in CI
    assert looking_for_luck or not scenario.cluster.real or scenario.duration + scenario.settle <= Duration.parse("20s")
    unsafe = any(expected.verdict == "violation" for expected in scenario.expect.values())
    assert unsafe == ("known-unsafe" in scenario.tags)


def test_every_story_of_an_etcd_cluster_is_there() -> None:
    assert {path.stem for path in SHIPPED} >= {
        "paused-leader", "paused-leader-naive", "paused-leader-naive-no-fence", "late-write", "late-write-no-fence", "candidate-cut-off",
        "isolated-etcd-leader", "one-way", "server-paused", "server-killed", "slow-network", "quorum-lost", "graceful-handover"}


@pytest.mark.parametrize("text", [SMALL, EVERYTHING, SIMULATED, PEERS, *(path.read_text() for path in SHIPPED)],
                         ids=["small", "everything", "simulated", "peers", *(p.stem for p in SHIPPED)])
def test_what_is_written_back_loads_to_the_same(tmp_path: Path, text: str) -> None:
    scenario = load(file(tmp_path, text))
    again = dump(scenario)
    assert load(file(tmp_path, again)) == scenario
    assert dump(load(file(tmp_path, again))) == again
    assert list(yaml.safe_load(again)) == [key for key in Scenario.__struct_encode_fields__ if key in yaml.safe_load(again)]


def test_what_is_written_back_has_every_default(tmp_path: Path) -> None:
    plain = yaml.safe_load(dump(load(file(tmp_path, SMALL))))
    assert plain["workload"]["recipe"] == "careful"
    assert plain["settle"] == "3s"
    assert [check["kind"] for check in plain["checks"]] == ["assumptions", "overlap", "fencing", "availability", "stability", "herd"]
    assert "seed" not in plain


def test_everything_is_understood(tmp_path: Path) -> None:
    scenario = load(file(tmp_path, EVERYTHING))
    assert scenario.workload.fence is False
    assert scenario.workload.write_every == 1_500_000
    assert scenario.workload.command == ("./own", "--no", "012")
    assert scenario.tags == ("known-unsafe", "no", "1e3")
    assert scenario.expect == {"overlap": Expect("violation", ("granted",), ("accepted",))}
    assert {type(nemesis) for nemesis in scenario.nemeses} | {SkewClock} == set(NemesisOptions.__args__)


def test_a_simulated_world_is_understood(tmp_path: Path) -> None:
    cluster = load(file(tmp_path, SIMULATED)).cluster
    assert isinstance(cluster, Simulated)
    assert isinstance(cluster.service, Redis)
    assert (cluster.service.wait, cluster.service.release, cluster.service.poll) == (1, "blind", 10**8)
    assert cluster.network == Network(Duration(0), Duration(3 * 10**6), "exponential", 0.01, 0.02, 0.0)
    assert (cluster.drift, cluster.offset) == (0.001, 2 * 10**9)
    changed = load(file(tmp_path, SIMULATED), ["cluster.network.latency=7ms", "cluster.service={kind: lease}", "nemeses.0.ahead=1s"])
    assert isinstance(changed.cluster, Simulated)
    assert changed.cluster.network.latency == 7 * 10**6
    assert changed.cluster.service == Lease()


@pytest.mark.parametrize("check", DEFAULTS, ids=lambda check: check.__struct_config__.tag)
def test_every_kind_of_finding_can_be_expected(tmp_path: Path, check: CheckOptions) -> None:
    name = check.__struct_config__.tag
    words = f"kinds: [{', '.join(check.kinds)}], levels: [{', '.join(check.levels)}]"
    assert load(file(tmp_path, SMALL + f"expect: {{{name}: {{verdict: valid, {words}}}}}\n")).expect[name].kinds == check.kinds


def test_the_checks_name_every_kind_of_finding_that_they_make() -> None:
    """Read from their sources: a kind that is left out could not be expected."""
    declared = {kind for check in DEFAULTS for kind in check.kinds} | {"bad-options", "crashed"}
    made = {word for path in (ROOT / "checkers").glob("*.py") for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding" and node.args
            for word in _words(node.args[0])}
    assert len(made) > 20
    assert made <= declared


def _words(node: ast.expr) -> list[str]:
    match node:
        case ast.Constant(value=str(word)):
            return [word]
        case ast.IfExp(body=body, orelse=orelse):
            return [*_words(body), *_words(orelse)]
    return []


def test_anchors_work(tmp_path: Path) -> None:
    scenario = load(file(tmp_path, SMALL + "nemeses: [&one {kind: pause, target: leader, for: 1s}, *one]\n"))
    assert scenario.nemeses[0] == scenario.nemeses[1]


def test_a_change_of_an_anchored_entry_leaves_its_twin_alone(tmp_path: Path) -> None:
    path = file(tmp_path, SMALL + "nemeses: [&one {kind: pause, target: leader, for: 1s}, *one]\n")
    scenario = load(path, ["nemeses.1.for=2s"])
    assert [nemesis.for_ for nemesis in scenario.nemeses] == [10**9, 2 * 10**9]


def test_values_from_the_command_line(tmp_path: Path) -> None:
    path = file(tmp_path, EVERYTHING)
    scenario = load(path, ["workload.fence=true", "nemeses.0.for=2s", "seed=9", "about=''", "tags=[a, b]", "workload.stay=null"])
    assert scenario.workload.fence is True
    assert scenario.nemeses[0].for_ == 2 * 10**9
    assert (scenario.seed, scenario.tags, scenario.workload.stay) == (9, ("a", "b"), None)
    assert load(file(tmp_path, SMALL), ["expect.overlap.verdict=violation"]).expect == {"overlap": Expect("violation")}


@pytest.mark.parametrize(("change", "said"), [
    ("seed", "--set seed: write path=value, such as workload.fence=false or nemeses.0.for=5s"),
    ("=5", "--set =5: write path=value"),
    ("a..b=5", "--set a..b=5: write path=value"),
    ("workload.fance=false", "--set workload.fance: unknown key 'fance'; did you mean 'fence'?"),
    ("nemeses.8.for=5s", "--set nemeses.8.for: there is no nemeses.8; nemeses has the entries nemeses.0, nemeses.1"),
    ("nemeses.first.for=5s", "--set nemeses.first.for: there is no nemeses.first; nemeses has the entries nemeses.0"),
    ("duration.s=5", "--set duration.s: there is nothing inside duration, it is the plain value '1m'"),
    ("nemeses.0.for=5", "--set nemeses.0.for: expected a duration"),
    ("nemeses.0.for=50h", "--set nemeses.0.for: 50h is not shorter than `every` (3s)"),
    ("workload.ttl=[2s", "--set workload.ttl: this is no YAML"),
    ("tags=&a [*a]", "nested deeper than 30 levels"),
    ("workload.fence=:", "--set workload.fence: "),
])
def test_changes_that_cannot_be_made(tmp_path: Path, change: str, said: str) -> None:
    with pytest.raises(BadScenario) as error:
        load(file(tmp_path, EVERYTHING), [change])
    assert any(said in line for line in str(error.value).splitlines()), error.value


def test_changes_are_told_apart_from_the_file(tmp_path: Path) -> None:
    path = file(tmp_path, SMALL)
    with pytest.raises(BadScenario) as error:
        load(path, ["seed=-1", "settle=never", "workload.ttl=1s"])
    assert sorted(line.split(": ")[0] for line in str(error.value).splitlines()) == ["--set seed", "--set settle", "--set workload.ttl"]


def test_files_are_found_by_name_folder_and_pattern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a/one.yaml", "a/b/two.yml", "a/notes.md", "c/three.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = expand([tmp_path / "c" / "three.yaml", tmp_path / "a", str(tmp_path / "*" / "*.yaml"), "gone.yaml"])
    assert [path.name for path in found] == ["three.yaml", "two.yml", "one.yaml", "gone.yaml"]
    monkeypatch.chdir(tmp_path)
    assert expand(["a/*.yaml", "*/b/*"]) == [Path("a/one.yaml"), Path("a/b/two.yml")]


@pytest.mark.parametrize("name", [".", "none*.yaml"])
def test_names_that_stand_for_no_file_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadScenario, match=r"\.yaml|no file"):
        expand([tmp_path / name])


def test_the_world_of_a_scenario(tmp_path: Path) -> None:
    assert world(load(file(tmp_path, SMALL))) == World(("n1", "n2", "n3"), ("c1", "c2", "c3"), 10 * 10**9)
    assert world(load(file(tmp_path, PEERS))) == World(("n1", "n2", "n3", "n4"), (), 10 * 10**9)


def test_a_good_scenario_loads_quickly() -> None:
    load(SHIPPED[0])
    began = time.perf_counter()
    for path in SHIPPED:
        load(path)
    assert (time.perf_counter() - began) / len(SHIPPED) < 0.05


def test_the_validator_is_not_loaded_for_a_good_scenario() -> None:
    program = f"""
import sys
from pathlib import Path
from diarchy.harness.scenario import load
load(Path({str(SHIPPED[0])!r}))
sys.exit(any(name in sys.modules for name in ("jsonschema", "docker", "bokeh", "jinja2", "networkx", "aiohttp")))
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_schema_is_one_and_accepts_what_is_shipped() -> None:
    validator = jsonschema.Draft202012Validator(schema())
    validator.check_schema(schema())
    for path in SHIPPED:
        assert not list(validator.iter_errors(yaml.safe_load(path.read_text())))
    assert list(validator.iter_errors({"name": "x"}))


def test_the_schema_in_the_tree_is_fresh() -> None:
    stored = (ROOT / "scenarios" / "schema.json").read_bytes()
    fresh = msgspec.json.format(msgspec.json.encode(schema()), indent=2) + b"\n"
    assert stored == fresh, "stale: write it anew with `diarchy schema > scenarios/schema.json`"


def test_the_catalog_is_fresh() -> None:
    assert (ROOT / "docs" / "catalog.md").read_text() == catalog(), f"stale: write it anew with `{COMMAND}`"


def test_everything_in_the_catalog_is_explained() -> None:
    assert {kind.group for kind in kinds()} == {"clusters", "services", "workloads", "nemeses", "checks"}
    for kind in kinds():
        assert kind.about, kind.name
        assert all(option.about for option in kind.options), kind
    assert all(row.about for row in targets())
    page = catalog()
    assert all(f"### {kind.name}\n" in page for kind in kinds())
    assert "| `for` |" in page
    assert "| `network.latency` | duration | `1ms` |" in page
    assert "share of the messages that are lost (0 to 0.9)" in page


def test_services_and_the_keys_of_mappings_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert show("clusters", as_json=False) == 0
    assert "network.latency" in capsys.readouterr().out
    assert show("services", as_json=False) == 0
    said = capsys.readouterr().out
    assert all(f"\n  {kind.name}\n" in said for kind in kinds() if kind.group == "services")


def test_the_examples_in_the_guide_are_scenarios(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "scenarios.md").read_text()
    blocks = [block.split("```")[0] for block in guide.split("```yaml\n")[1:]]
    examples = [load(file(tmp_path, block)) for block in blocks if block.startswith("name:")]
    assert all(f"| `{kind.name}` |" in guide for kind in kinds() if kind.group == "services")
    assert [example.name for example in examples] == ["paused-leader", "redis-failover", "bully-under-a-partition"]


def test_the_rows_of_the_guide_are_nemeses(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "scenarios.md").read_text()
    rows = [line.split("`")[1] for line in guide.splitlines() if line.startswith("| `{kind:")]
    assert len(rows) > 8
    load(file(tmp_path, SMALL + "nemeses:\n" + "".join(f"  - {row}\n" for row in rows)))
