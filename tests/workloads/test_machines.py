"""Bully, Ring and Raft as tables: each text file under machines/ is a story, played and compared word for word; and as weather: what must
hold whatever happens.

    pytest tests/workloads/test_machines.py --rewrite

writes the files anew with what really came of their commands. Read the difference before it is committed: it is the test.
"""
from pathlib import Path

import pytest
from machine_script import play
from machine_storm import Storm

from diarchy.history.units import Duration
from diarchy.workloads.bully import Bully
from diarchy.workloads.peer_options import Peers
from diarchy.workloads.raft import Raft
from diarchy.workloads.ring import Ring

STORIES = sorted((Path(__file__).parent / "machines").glob("*/*.txt"))
S, MS = 10**9, 10**6


@pytest.mark.parametrize("path", STORIES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_story(path: Path, request: pytest.FixtureRequest) -> None:
    told = path.read_text()
    played = play(told)
    if request.config.getoption("--rewrite"):
        path.write_text(played)
    else:
        assert played == told


def test_there_are_stories_of_each_algorithm() -> None:
    assert {path.parent.name for path in STORIES} == {"bully", "raft", "ring"}


WEATHER: dict[str, Peers] = {
    "raft": Raft(),
    "raft, as in the paper of 2014": Raft(pre_vote=False, check_quorum=False),
    "raft, lease": Raft(lease=True),
    "raft, lease, no pre-vote": Raft(lease=True, pre_vote=False),
    "bully": Bully(),
    "bully, polite": Bully(preempt=False),
    "bully, quorum": Bully(by_quorum=True),
    "bully, polite, quorum": Bully(by_quorum=True, preempt=False),
    "ring": Ring(),
    "ring, quorum": Ring(by_quorum=True),
    "ring, token": Ring(variant="token"),
    "ring, token, quorum": Ring(variant="token", by_quorum=True),
}


def storm(name: str, options: Peers, nodes: int, seed: int, drift: float = 0.04) -> Storm:
    weather = Storm(options, nodes, f"{name}/{nodes}/{seed}", drift)
    weather.blow(15 * S, every=150 * MS if isinstance(options, Raft) else 500 * MS)
    return weather


@pytest.mark.storm
@pytest.mark.parametrize("nodes", [1, 2, 3, 5])
@pytest.mark.parametrize("name", WEATHER)
def test_whatever_the_weather(name: str, nodes: int) -> None:
    """No two leases at once, no token twice, under a lease tokens that grow; and once it is calm, one leader whom all follow."""
    for seed in range(50):
        weather = storm(name, WEATHER[name], nodes, seed)
        weather.calm(15 * S)
        assert not weather.wrong, seed
        tokens = [claim.token for claim in weather.claims if claim.token is not None]
        assert len(tokens) == (len(set(tokens)) if WEATHER[name].tokens else 0), seed
        assert WEATHER[name].authority != "lease" or tokens == sorted(tokens), seed
        assert weather.followed(), seed


def test_votes_that_are_forgotten_elect_two_in_a_term() -> None:
    """The weather is bad enough to find it."""
    options = Raft(persist=False, pre_vote=False)
    twice = [seed for seed in range(20) if len(claims := storm("forgets", options, 3, seed).claims) > len({claim.term for claim in claims})]
    assert twice


@pytest.mark.storm
@pytest.mark.parametrize("options", [Raft(lease=True), Bully(by_quorum=True), Ring(by_quorum=True)], ids=["raft", "bully", "ring"])
def test_clocks_that_drift_too_far_apart_break_leases(options: Peers) -> None:
    """It is bad enough to find that, too; within the 10 % that a lease allows for, nothing is found above."""
    assert any(storm("drifts", options, 3, seed, drift=0.5).wrong for seed in range(200))


@pytest.mark.parametrize(("options", "wrong"), [
    (Raft(), set()),
    (Raft(lease=True), set()),
    (Raft(lease=True, check_quorum=False), {"lease"}),
    (Raft(heartbeat=Duration(150 * MS)), {"heartbeat"}),
    (Raft(heartbeat=Duration(140 * MS)), set()),
    (Raft(heartbeat=Duration(140 * MS), lease=True), {"heartbeat"}),
    (Raft(spread=Duration(0)), set()),
    (Raft(heartbeat=Duration(0), write_every=Duration(0)), {"heartbeat", "write_every"}),
    (Bully(answer=Duration(0)), {"answer"}),
    (Bully(detect=Duration(500 * MS)), {"heartbeat"}),
    (Bully(lease=Duration(500 * MS)), set()),
    (Bully(lease=Duration(500 * MS), by_quorum=True), {"lease"}),
    (Ring(hop=Duration(0), timeout=Duration(0)), {"hop", "timeout"}),
])
def test_options_that_cannot_be_meant(options: Peers, wrong: set[str]) -> None:
    assert {key for key, _ in options.problems()} == wrong


@pytest.mark.parametrize(("options", "authority", "tokens", "lease", "quorum"), [
    (Bully(), "none", False, 0, 1),
    (Ring(by_quorum=True), "lease", True, 2 * S, 3),
    (Raft(), "term", True, 0, 3),
    (Raft(lease=True), "lease", True, 150 * MS, 3),
])
def test_what_bounds_a_claim(options: Peers, authority: str, tokens: bool, lease: int, quorum: int) -> None:
    assert (options.authority, options.tokens, options.lease_ns, options.quorum_of(5)) == (authority, tokens, lease, quorum)
