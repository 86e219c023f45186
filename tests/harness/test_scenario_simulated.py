"""Worlds that cannot be are refused at load, each with its place: clusters, services, networks, and who is not in them."""
from pathlib import Path
from typing import Literal

import msgspec
import pytest
from refused import wrong

from diarchy.harness.mistakes import mistakes
from diarchy.harness.places import Document
from diarchy.harness.scenario import load

ETCD = """\
name: small
cluster: {kind: etcd}
workload: {kind: lock, ttl: 2s, renew_every: 500ms}
duration: 10s
"""

SIMULATED = """\
name: small
cluster: {kind: simulated, nodes: 5, service: {kind: lease}, network: {latency: 1ms}}
workload: {kind: lock}
duration: 10s
"""


@pytest.mark.parametrize(("old", "new", "said"), [
    ("{kind: lease}", "{kind: leese}", ["2:54: unknown kind: 'leese'; did you mean 'lease'?"]),
    ("{kind: lease}", "{kind: [lease]}", ["2:54: unknown kind: a list; did you mean 'lease'?"]),
    ("{kind: lease}", "{election: 1s}", ["2:47: the key 'kind' is missing; known: "]),
    ("{kind: lease}", "lease", ["2:47: expected a mapping such as {kind: lease}, got the text 'lease'"]),
    ("{kind: lease}", "[lease]", ["2:47: expected a mapping such as {kind: "]),
    ("{kind: lease}", "{kind: lease, elecion: 1s}", ["2:61: unknown key 'elecion'; did you mean 'election'?"]),
    ("{kind: lease}", "{kind: lease, election: 1}", ["2:71: expected a duration (a number and a unit, such as 250ms, 3s or 2m), got the number 1"]),
    ("{kind: lease}", "{kind: lease, election: 0s}", ["2:71: must be more than nothing"]),
    ("{kind: lease}", "{kind: lease, election: 169h}", ["2:71: 169h is longer than 168h"]),
    ("lease", "redis, wait: 5", ["2:67: 5 replicas are asked for, and 5 nodes have 4: nothing would ever be written"]),
    ("lease", "redis, tick: 1s, renew: bling", ["2:61: unknown key 'tick'; known: kind, replication", "2:78: 'bling' is no value of renew; did you mean 'blind'?"]),
    ("nodes: 5, service: {kind: lease}", "nodes: 4, service: {kind: redlock}", ["2:35: Redlock takes an odd number of servers, three or more, not 4"]),
    ("{kind: lock}", "{kind: lock, ttl: 0s}", ["3:11: renew_every: 1s is not shorter than the TTL (0s)", "3:29: must be more than nothing"]),
    ("service: {kind: lease}, ", "", ["2:10: the key 'service' is missing: what the candidates elect their leader on, such as {kind: lease}"]),
    ("{latency: 1ms}", "1ms", ["2:71: expected a mapping, got the text '1ms'"]),
    ("{latency: 1ms}", "[1ms]", ["2:71: expected a mapping, got a list"]),
    ("{latency: 1ms}", "null", ["2:71: expected a mapping, got nothing"]),
    ("latency: 1ms", "latancy: 1ms", ["2:72: unknown key 'latancy'; did you mean 'latency'?"]),
    ("latency: 1ms", "latency: -1ms", ["2:81: '-1ms' is no duration; write a number and a unit"]),
    ("latency: 1ms", "latency: 1000h", ["2:81: 1000h is longer than 168h"]),
    ("latency: 1ms", "loss: 1.5", ["2:78: 1.5 is more than 0.9, the maximum of loss"]),
    ("latency: 1ms", "loss: -0.1", ["2:78: -0.1 is less than 0, the minimum of loss"]),
    ("latency: 1ms", "loss: half", ["2:78: expected a number, got the text 'half'"]),
    ("latency: 1ms", "loss: .nan", ["2:78: .nan is no number that can be counted with"]),
    ("latency: 1ms", "loss: .inf", ["2:78: .inf is no number that can be counted with"]),
    ("latency: 1ms", "loss: 2, distribution: gauss, reorder: no", [
        "2:78: 2 is more than 0.9", "2:95: 'gauss' is no value of distribution; known: exponential, uniform",
        "2:111: expected a number, got no, which means false in YAML"]),
    ("{latency: 1ms}", "{}, drift: 0.6, offset: 1", ["2:82: 0.6 is more than 0.5, the maximum of drift", "2:95: expected a duration"]),
    ("nodes: 5", "nodes: 0", ["2:35: 0 is less than 1, the minimum of nodes"]),
    ("nodes: 5", "nodes: 0.5", ["2:35: expected a whole number, got the number 0.5"]),
    ("nodes: 5", "nodes: 16", ["2:35: 16 is more than 15, the maximum of nodes"]),
    ("nodes: 5", "heartbeat: 1s", ["2:28: unknown key 'heartbeat'; known: kind, nodes, service, network, drift, offset"]),
    ("{kind: lock}", "{kind: lock, command: [./own]}", ["3:33: a program of your own runs in real time; it needs a real cluster"]),
    ("{kind: lock}", "{kind: raft}", ["2:47: the nodes of this workload elect their leader among themselves; leave the service out"]),
    ("{kind: lock}", "{candidates: 3}", ["3:11: the key 'kind' is missing; known: lock"]),
])
def test_one_thing_changed_in_the_simulator(tmp_path: Path, old: str, new: str, said: list[str]) -> None:
    text = SIMULATED.replace(old, new)
    assert text != SIMULATED
    found = wrong(tmp_path, text)
    assert [line[:len(start)] for line, start in zip(found, said, strict=True)] == said


@pytest.mark.parametrize(("service", "workload", "said"), [
    ("redis", "{kind: lock, wait: predecessor}", ["3:30: this service keeps no queue, so that nobody has a predecessor; give `holder`"]),
    ("kubernetes", "{kind: lock, wait: predecessor}", ["3:30: this service keeps no queue"]),
    ("kubernetes", "{kind: lock, ttl: 4500ms}", ["3:29: 4500ms is no whole number of seconds, which is what leaseDurationSeconds takes"]),
    ("redlock", "{kind: lock, wait: predecessor}", ["3:30: this service keeps no queue"]),
    ("redis", "{kind: lock, ttl: 4.0001s}", ["3:29: 4000100us is no whole number of milliseconds, which is what Redis takes"]),
    ("redlock", "{kind: lock, ttl: 2ms, renew_every: 1ms}", ["3:29: 2ms is too short: nothing is left of it"]),
])
def test_what_a_service_cannot_give(tmp_path: Path, service: str, workload: str, said: list[str]) -> None:
    found = wrong(tmp_path, SIMULATED.replace("lease", service).replace("{kind: lock}", workload))
    assert [line[:len(start)] for line, start in zip(found, said, strict=True)] == said


PEERS = """\
name: small
cluster: {kind: simulated, nodes: 5}
workload: {kind: raft}
duration: 10s
"""


@pytest.mark.parametrize(("old", "new", "said"), [
    ("nodes: 5", "nodes: 0", ["2:35: 0 is less than 1, the minimum of nodes"]),
    ("{kind: simulated, nodes: 5}", "{kind: etcd}", ["3:18: only the nodes of a simulated cluster run this; real servers elect by their own algorithm"]),
    ("raft", "rapt", ["3:18: unknown kind: 'rapt'; did you mean 'raft'?"]),
    ("raft", "raft, candidates: 3", ["3:24: unknown key 'candidates'; known: kind, write_every"]),
    ("raft", "raft, command: [./own]", ["3:24: unknown key 'command'; known: kind, write_every"]),
    ("raft", "raft, heartbeat: 0s, write_every: 0s", ["3:35: must be more than nothing", "3:52: must be more than nothing"]),
    ("raft", "raft, heartbeat: 150ms", ["3:35: 150ms is too long for an election time-out of 150ms: no leader would stay"]),
    ("raft", "raft, election: 50ms", ["3:11: heartbeat: 50ms is too long for an election time-out of 50ms"]),
    ("raft", "raft, lease: true, check_quorum: false", ["3:31: needs check_quorum"]),
    ("raft", "bully, quorum: true, lease: 500ms", ["3:46: 500ms is too short for heartbeats every 500ms"]),
])
def test_one_thing_changed_where_nodes_elect_among_themselves(tmp_path: Path, old: str, new: str, said: list[str]) -> None:
    text = PEERS.replace(old, new)
    assert text != PEERS
    found = wrong(tmp_path, text)
    assert [line[:len(start)] for line, start in zip(found, said, strict=True)] == said


@pytest.mark.parametrize(("text", "nemesis", "said"), [
    (ETCD, "{kind: skew, target: n1, ahead: 1s}", "5:18: this cluster cannot do skew; it can do cut, kill, pause, reset, slow, stall"),
    (SIMULATED, "{kind: pause, target: n6}", "5:33: there is no n6; the nodes are n1 to n5"),
    (SIMULATED, "{kind: pause, target: c4}", "5:33: there is no c4; the candidates are c1 to c3"),
    (SIMULATED, "{kind: stall, target: n1, peers: resource}", "5:44: the resource has links to the candidates only"),
    (SIMULATED, "{kind: skew, target: n1}", "5:11: no clock is changed: give ahead, behind or drift"),
    (SIMULATED, "{kind: skew, target: n1, ahead: -1s}", "5:43: '-1s' is no duration"),
    (SIMULATED, "{kind: skew, target: n1, ahead: 1s, behind: 1s}", "5:55: given together with `ahead`; a clock jumps one way"),
    (SIMULATED, "{kind: skew, target: n1, drift: 10}", "5:43: 10 is more than 9, the maximum of drift"),
    (SIMULATED, "{kind: skew, target: resource, ahead: 1s}", "5:32: resource has no clock that matters, only nodes and candidates have"),
    (SIMULATED.replace("lease", "redlock"), "{kind: pause, target: leader}", "5:33: no node leads the others here; `any` or n1 is one of them"),
    (PEERS, "{kind: pause, target: n6}", "5:33: there is no n6; the nodes are n1 to n5"),
    (PEERS, "{kind: pause, target: c1}", "5:33: there is no c1; there are no candidates"),
    (PEERS, "{kind: pause, target: 'candidate:leader'}", "5:33: there are no candidates here: the nodes elect a leader among themselves"),
    (PEERS, "{kind: partition, target: leader, peers: [nodes, candidates]}", "5:52: there are no candidates here"),
    (PEERS, "{kind: stall, target: resource, peers: resource}", "5:50: both ends are the resource"),
])
def test_a_fault_of_what_is_not_in_this_world(tmp_path: Path, text: str, nemesis: str, said: str) -> None:
    assert [line[:len(said)] for line in wrong(tmp_path, f"{text}nemeses: [{nemesis}]\n")] == [said]


@pytest.mark.parametrize(("text", "nemesis"), [
    (SIMULATED, "{kind: partition, target: n1, how: packets}"),
    (SIMULATED, "{kind: skew, target: candidates, behind: 1s, drift: -0.1}"),
    (PEERS, "{kind: partition, target: leader, peers: [nodes, resource]}"),
    (PEERS, "{kind: stall, target: resource, peers: leader, direction: in}"),
    (PEERS, "{kind: latency, target: nodes, peers: resource, latency: 1s}"),
    (PEERS, "{kind: partition, shape: majority-minority}"),
])
def test_a_fault_that_the_simulator_can_do(tmp_path: Path, text: str, nemesis: str) -> None:
    path = tmp_path / "good.yaml"
    path.write_text(f"{text}nemeses: [{nemesis}]\n")
    load(path)


@pytest.mark.parametrize("text", [PEERS, SIMULATED, ETCD], ids=["peers", "simulated", "etcd"])
@pytest.mark.parametrize("part", ["cluster", "workload"])
@pytest.mark.parametrize("value", ["{kind: laese}", "{nodes: 3}", "3", "{kind: [x]}"])
def test_nothing_false_is_said_of_a_world_that_is_not_known(tmp_path: Path, text: str, part: str, value: str) -> None:
    """What is right in some world is no mistake while it is not known which one is meant."""
    nemeses = "nemeses: [{kind: pause, target: n3}, {kind: partition, target: n1, peers: resource}, {kind: pause, target: 'candidate:any'}]\n"
    text = "".join(f"{part}: {value}\n" if line.startswith(part) else line for line in text.splitlines(keepends=True))
    here = 2 if part == "cluster" else 3
    nemeses = nemeses if part == "workload" else "nemeses: [{kind: skew, target: n3, ahead: 1s}]\n"
    assert [line.partition(":")[0] for line in wrong(tmp_path, text + nemeses)] == [str(here)]


def test_beside_a_world_that_is_not_known_the_rest_is_told(tmp_path: Path) -> None:
    text = SIMULATED.replace("lease", "laese").replace("10s", "0s") + "nemeses: [{kind: pause, target: n9}]\nchecks: [{kind: overlap}, {kind: overlap}]\n"
    assert [line.split(": ")[0] for line in wrong(tmp_path, text)] == ["2:54", "4:11", "5:33", "6:27"]


class Leaf(msgspec.Struct, tag="leaf", tag_field="kind", forbid_unknown_fields=True):
    colour: Literal["red", "green"] = "red"


class Twig(msgspec.Struct, tag="twig", tag_field="kind", forbid_unknown_fields=True):
    ends: "Leaf | Twig | None" = None
    beside: "tuple[Leaf | Twig, ...]" = ()


class Tree(msgspec.Struct, forbid_unknown_fields=True):
    grows: Leaf | Twig


@pytest.mark.parametrize(("text", "said"), [
    ("grows: {kind: twig, ends: {kind: twig, ends: {kind: leef}}}", "1:53: unknown kind: 'leef'; did you mean 'leaf'?"),
    ("grows: {kind: twig, ends: {kind: twig, ends: {colour: red}}}", "1:46: the key 'kind' is missing; known: leaf, twig"),
    ("grows: {kind: twig, ends: {kind: twig, ends: {kind: leaf, color: red}}}", "1:59: unknown key 'color'; did you mean 'colour'?"),
    ("grows: {kind: twig, ends: {kind: twig, ends: {kind: leaf, colour: reed}}}", "1:67: 'reed' is no value of colour; did you mean 'red'?"),
    ("grows: {kind: twig, ends: {kind: twig, ends: leaf}}", "1:46: expected a mapping such as {kind: leaf}, got the text 'leaf'"),
    ("grows: {kind: twig, beside: [{kind: leaf}, {kind: twig, beside: [{kind: twg}]}]}", "1:73: unknown kind: 'twg'; did you mean 'twig'?"),
])
def test_the_branch_of_a_union_is_chosen_by_its_tag_however_deep(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "tree.yaml"
    path.write_text(text)
    ((_, mistake),) = mistakes(Document(path), msgspec.json.schema(Tree))
    assert str(mistake) == f"{path}:{said}"
