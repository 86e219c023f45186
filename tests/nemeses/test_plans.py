"""Plans step by step: a plan is a list of waits, look-ups and faults, and every fault is lifted."""
from collections.abc import Iterator
from itertools import islice
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diarchy.history import units
from diarchy.history.faults import Cut, Kill, Pause, Reset, Skew, Slow, Stall
from diarchy.nemeses.kinds import NemesisOptions
from diarchy.nemeses.plan import Elected, Find, Keep, Lift, Nemesis, Step, Until, Wait, World
from diarchy.nemeses.targets import resolve

S = 10**9
WORLD = World(("n1", "n2", "n3"), ("c1", "c2"), 20 * S)
PEERS = World(("n1", "n2", "n3"), (), 20 * S)
NODES = WORLD.nodes


class Leading:
    """n1 and c1 lead at first, and a new leader takes over at every look at one."""

    def __init__(self, world: World) -> None:
        self.nodes, self.candidates = world.nodes, world.candidates
        self.looks = 0

    def leader_nodes(self) -> tuple[str, ...]:
        return (NODES[self.looks % 3],)

    def leaders(self) -> tuple[str, ...]:
        return (self.candidates[self.looks % 2],)


def nemesis(**options: object) -> NemesisOptions:
    return msgspec.convert(options, NemesisOptions, dec_hook=units.decode)


def walk(plan: Nemesis, world: World = WORLD) -> Iterator[Step]:
    """The steps of a plan, driven as the harness drives it: something is sent to every step."""
    view, dice, steps = Leading(world), Random(0), plan.plan(world, Random(0))
    step = next(steps)
    while True:
        yield step
        found = resolve(step.target, view, dice) if isinstance(step, Find) else ()
        view.looks += isinstance(step, Find) and "leader" in step.target
        try:
            step = steps.send(found)
        except StopIteration:
            return


def steps(world: World = WORLD, **options: object) -> list[Step]:
    return list(islice(walk(nemesis(**options), world), 100))


def find(target: str) -> Find:
    return Find(target, 10 * S)


def test_pause_the_leading_candidate() -> None:
    assert steps(kind="pause", target="candidate:leader", after="2s", **{"for": "6s"}) == [
        Elected(), Wait(2 * S), find("candidate:leader"), Pause("c1"), Wait(6 * S), Lift(Pause("c1"))]


def test_several_hosts_are_lifted_the_last_first() -> None:
    assert steps(kind="pause", target="followers", at="1s", **{"for": "7s"}) == [
        Until(1 * S), find("followers"), Pause("n2"), Pause("n3"), Wait(7 * S), Lift(Pause("n3")), Lift(Pause("n2"))]


def test_without_for_a_fault_lasts_to_the_end_of_the_run() -> None:
    assert steps(kind="pause", target="n2", within="3s") == [
        Elected(), Find("n2", 3 * S), Pause("n2"), Until(20 * S), Lift(Pause("n2"))]


def test_what_is_killed_without_for_stays_dead() -> None:
    assert steps(kind="kill", target="leader") == [Elected(), find("leader"), Kill("n1"), Keep(Kill("n1"))]
    assert steps(kind="kill", target="leader", **{"for": "4s"}) == [
        Elected(), find("leader"), Kill("n1"), Wait(4 * S), Lift(Kill("n1"))]


def test_every_repetition_looks_its_target_up_anew() -> None:
    assert steps(kind="kill", target="leader", at="1s", every="5s", times=2, **{"for": "2s"}) == [
        Until(1 * S),
        find("leader"), Kill("n1"), Wait(2 * S), Lift(Kill("n1")), Wait(3 * S),
        find("leader"), Kill("n2"), Wait(2 * S), Lift(Kill("n2"))]


def test_the_dead_pile_up() -> None:
    assert steps(kind="kill", target="leader", every="5s", times=3) == [
        Elected(),
        find("leader"), Kill("n1"), Keep(Kill("n1")), Wait(5 * S),
        find("leader"), Kill("n2"), Keep(Kill("n2")), Wait(5 * S),
        find("leader"), Kill("n3"), Keep(Kill("n3"))]


def test_without_times_it_comes_back_for_ever() -> None:
    assert len(steps(kind="pause", target="leader", every="5s", **{"for": "2s"})) == 100


@pytest.mark.parametrize(("options", "links"), [
    ({"target": "leader"}, {("n1", "n2"), ("n1", "n3"), ("n2", "n1"), ("n3", "n1")}),
    ({"target": "leader", "direction": "out"}, {("n1", "n2"), ("n1", "n3")}),
    ({"target": "leader", "direction": "in"}, {("n2", "n1"), ("n3", "n1")}),
    ({"target": "leader", "peers": "n3"}, {("n1", "n3"), ("n3", "n1")}),
    ({"target": "candidate:leader", "direction": "out"}, {("c1", "n1"), ("c1", "n2"), ("c1", "n3")}),
    ({"target": "candidate:leader", "peers": ["nodes", "resource"], "direction": "out"},
     {("c1", "n1"), ("c1", "n2"), ("c1", "n3"), ("c1", "resource")}),
    ({"target": "candidates", "peers": "n2", "direction": "out"}, {("c1", "n2"), ("c2", "n2")}),
    ({"target": "resource", "peers": "candidates", "direction": "in"}, {("c1", "resource"), ("c2", "resource")}),
    ({"target": "leader", "peers": "all", "direction": "out"}, {("n1", "n2"), ("n1", "n3"), ("n1", "c1"), ("n1", "c2")}),
    ({"target": "followers", "peers": "nodes", "direction": "out"}, {("n2", "n1"), ("n3", "n1")}),
])
def test_which_links_a_partition_cuts(options: dict[str, object], links: set[tuple[str, str]]) -> None:
    (cut,) = [step for step in steps(kind="partition", **options) if isinstance(step, Cut)]
    assert set(cut.links) == links
    assert len(cut.links) == len(links)


@pytest.mark.parametrize(("options", "links"), [
    ({"target": "leader"}, {("n1", "n2"), ("n1", "n3"), ("n2", "n1"), ("n3", "n1")}),
    ({"target": "leader", "peers": "resource", "direction": "out"}, {("n1", "resource")}),
    ({"target": "leader", "peers": ["nodes", "resource"], "direction": "out"}, {("n1", "n2"), ("n1", "n3"), ("n1", "resource")}),
    ({"target": "leader", "peers": "all", "direction": "in"}, {("n2", "n1"), ("n3", "n1"), ("resource", "n1")}),
    ({"target": "nodes", "peers": "resource", "direction": "in"}, {("resource", "n1"), ("resource", "n2"), ("resource", "n3")}),
    ({"target": "resource", "direction": "in"}, {("n1", "resource"), ("n2", "resource"), ("n3", "resource")}),
    ({"target": "resource", "peers": "n2"}, {("n2", "resource"), ("resource", "n2")}),
])
def test_which_links_are_cut_where_nodes_elect_among_themselves(options: dict[str, object], links: set[tuple[str, str]]) -> None:
    assert not list(nemesis(kind="partition", **options).problems(PEERS))
    (cut,) = [step for step in steps(PEERS, kind="partition", **options) if isinstance(step, Cut)]
    assert set(cut.links) == links
    assert len(cut.links) == len(links)


def test_a_partition_is_healed_as_it_was_made() -> None:
    cut = Cut((("c1", "n1"), ("n1", "c1")), "packets")
    assert steps(kind="partition", target="c1", peers="n1", how="packets", **{"for": "1s"}) == [
        Elected(), find("c1"), find("n1"), cut, Wait(1 * S), Lift(cut)]


@pytest.mark.parametrize("shape", ["halves", "majority-minority", "bridge", "ring"])
def test_shapes_need_no_target(shape: str) -> None:
    elected, cut, wait, lift = steps(kind="partition", shape=shape, **{"for": "1s"})
    assert (elected, wait, lift) == (Elected(), Wait(1 * S), Lift(cut))
    assert isinstance(cut, Cut)
    assert cut.links


def test_a_shape_is_drawn_anew_each_time() -> None:
    walked = islice(walk(nemesis(kind="partition", shape="halves", every="2s", **{"for": "1s"}), WORLD), 100)
    assert len({step.links for step in walked if isinstance(step, Cut)}) == 3


@pytest.mark.parametrize(("options", "fault"), [
    ({"kind": "stall"}, Stall((("c1", "resource"),))),
    ({"kind": "reset"}, Reset((("c1", "resource"),))),
    ({"kind": "latency", "latency": "400ms", "jitter": "100ms", "bandwidth": 10},
     Slow((("c1", "resource"),), 400_000_000, 100_000_000, 10)),
])
def test_other_faults_of_links(options: dict[str, object], fault: Step) -> None:
    assert steps(target="candidate:leader", peers="resource", direction="out", **options, **{"for": "1s"}) == [
        Elected(), find("candidate:leader"), find("resource"), fault, Wait(1 * S), Lift(fault)]


@pytest.mark.parametrize(("options", "skew"), [
    ({"ahead": "10s"}, Skew("c1", 10 * S, 0.0)),
    ({"behind": "1500ms"}, Skew("c1", -1_500_000_000, 0.0)),
    ({"drift": -0.25}, Skew("c1", 0, -0.25)),
    ({"ahead": "1s", "drift": 1}, Skew("c1", 1 * S, 1.0)),
])
def test_clocks_go_wrong_and_are_set_right(options: dict[str, object], skew: Skew) -> None:
    assert steps(kind="skew", target="candidate:leader", **options, **{"for": "1s"}) == [
        Elected(), find("candidate:leader"), skew, Wait(1 * S), Lift(skew)]


@given(st.sampled_from([
    {"kind": "partition", "target": "leader"}, {"kind": "partition", "shape": "ring"}, {"kind": "pause", "target": "candidates"},
    {"kind": "kill", "target": "any", "for": "1s"}, {"kind": "stall", "target": "candidate:leader", "peers": "resource"},
    {"kind": "reset", "target": "minority"}, {"kind": "latency", "target": "candidates", "latency": "1ms"},
    {"kind": "skew", "target": "followers", "ahead": "1s", "drift": 0.1},
]), st.integers(1, 5), st.integers(1, 4))
def test_whatever_is_applied_is_lifted(options: dict[str, object], times: int, length: int) -> None:
    chosen = nemesis(**options | {"every": "5s", "times": times, "for": f"{length}s"})
    active: list[Step] = []
    for step in walk(chosen):
        if isinstance(step, Lift):
            active.remove(step.fault)
        elif not isinstance(step, Until | Elected | Wait | Find):
            assert type(step) in chosen.faults()
            assert msgspec.json.decode(msgspec.json.encode(step), type=type(step)) == step
            active.append(step)
    assert not active


@pytest.mark.parametrize("kind", NemesisOptions.__args__)
def test_every_nemesis_says_what_it_may_do(kind: type[Nemesis]) -> None:
    options = {"kind": kind.__struct_config__.tag, "target": "candidate:leader"}
    made = nemesis(**options)
    assert isinstance(made, kind)
    assert {type(step) for step in islice(walk(made), 10)} & made.faults()


PROBLEMS = [
    ({"at": "1s", "after": "1s"}, {"after"}),
    ({"at": "20s"}, {"at"}),
    ({"after": "30s"}, {"after"}),
    ({"after": "15s", "for": "6s"}, {"for"}),
    ({"for": "21s"}, {"for"}),
    ({"times": 2}, {"times"}),
    ({"every": "2s", "for": "2s"}, {"for"}),
    ({"every": "2s"}, {"every"}),
    ({"every": "8s", "for": "1s", "times": 5}, {"times"}),
    ({"target": "n9"}, {"target"}),
    ({"every": "8s", "for": "1s", "times": 3}, set()),
    ({"after": "15s", "for": "5s"}, set()),
]


@pytest.mark.parametrize(("options", "keys"), PROBLEMS)
def test_times_and_targets_that_cannot_be_meant(options: dict[str, object], keys: set[str]) -> None:
    for kind in ("pause", "partition", "stall", "reset", "latency", "skew"):
        extra = {"latency": {"latency": "1ms"}, "skew": {"ahead": "1s"}}.get(kind, {})
        found = dict(nemesis(**{"kind": kind, "target": "candidate:leader"} | extra | options).problems(WORLD))
        assert found.keys() == keys, (kind, found)


@pytest.mark.parametrize(("options", "keys"), [
    ({"kind": "kill", "target": "leader", "every": "2s", "times": 2}, set()),
    ({"kind": "kill", "target": "resource"}, {"target"}),
    ({"kind": "pause", "target": "all"}, {"target"}),
    ({"kind": "partition"}, {"target"}),
    ({"kind": "partition", "shape": "halves", "target": "leader"}, {"target"}),
    ({"kind": "partition", "shape": "ring", "peers": "nodes", "direction": "in"}, {"peers", "direction"}),
    ({"kind": "partition", "target": "leader", "peers": "n1"}, {"peers"}),
    ({"kind": "partition", "target": "n1", "peers": "n1"}, {"peers"}),
    ({"kind": "partition", "target": "n1", "peers": "n2"}, set()),
    ({"kind": "partition", "target": "leader", "peers": "followers"}, set()),
    ({"kind": "partition", "target": "c1", "peers": "c2"}, {"peers"}),
    ({"kind": "partition", "target": "c1", "peers": []}, {"peers"}),
    ({"kind": "partition", "target": "c1", "peers": ["nodes", "nods"]}, {"peers"}),
    ({"kind": "partition", "target": "resource"}, {"peers"}),
    ({"kind": "partition", "target": "nodes", "peers": "resource"}, {"peers"}),
    ({"kind": "partition", "target": "all"}, {"peers"}),
    ({"kind": "partition", "target": "minority", "peers": "all"}, set()),
    ({"kind": "latency", "target": "candidates"}, {"latency"}),
    ({"kind": "latency", "target": "candidates", "latency": "1ms", "jitter": "2ms"}, {"jitter"}),
    ({"kind": "latency", "target": "candidates", "bandwidth": 5}, set()),
    ({"kind": "skew", "target": "nodes"}, {"ahead"}),
    ({"kind": "skew", "target": "nodes", "drift": -0.5}, set()),
    ({"kind": "skew", "target": "nodes", "ahead": "1s", "behind": "1s"}, {"behind"}),
    ({"kind": "skew", "target": "all", "ahead": "1s"}, {"target"}),
    ({"kind": "skew", "target": "resource", "ahead": "1s"}, {"target"}),
    ({"kind": "skew", "target": "n9", "ahead": "1s"}, {"target"}),
])
def test_ends_and_options_that_cannot_be_meant(options: dict[str, object], keys: set[str]) -> None:
    found = dict(nemesis(**options).problems(WORLD))
    assert found.keys() == keys, found


@pytest.mark.parametrize(("world", "least"), [(WORLD, 50), (PEERS, 30)], ids=["candidates", "peers"])
def test_a_partition_that_says_nothing_wrong_cuts_something(world: World, least: int) -> None:
    """Whatever targets a scenario pairs: what is not refused has links to cut, whoever leads."""
    names = ("leader", "followers", "follower", "any", "minority", "majority", "nodes", "candidate:leader", "candidate:followers",
             "candidate:any", "candidates", "resource", "all", "n1", "n2", "c1", "c2")
    accepted = 0
    for target in names:
        for peers in names:
            plan = nemesis(kind="partition", target=target, peers=peers)
            if list(plan.problems(world)):
                continue
            accepted += 1
            for _ in range(3):
                assert all(step.links for step in walk(plan, world) if isinstance(step, Cut)), (target, peers)
    assert accepted > least


@pytest.mark.parametrize(("options", "keys"), [
    ({"kind": "partition", "target": "n1", "peers": "candidates"}, {"peers"}),
    ({"kind": "stall", "target": "candidate:leader", "peers": "resource"}, {"target"}),
    ({"kind": "kill", "target": "c1"}, {"target"}),
    ({"kind": "reset", "target": "resource", "peers": "resource"}, {"peers"}),
    ({"kind": "latency", "target": "resource", "latency": "1s"}, set()),
    ({"kind": "pause", "target": "leader"}, set()),
])
def test_ends_that_cannot_be_meant_where_nodes_elect_among_themselves(options: dict[str, object], keys: set[str]) -> None:
    found = dict(nemesis(**options).problems(PEERS))
    assert found.keys() == keys, found


def test_shapes_that_take_more_nodes_are_refused() -> None:
    two = msgspec.structs.replace(WORLD, nodes=("n1", "n2"))
    assert dict(nemesis(kind="partition", shape="ring").problems(two)).keys() == {"shape"}
    assert not dict(nemesis(kind="partition", shape="halves").problems(two))
