"""Toxics for a link's state, and the order of steps that neither lets held bytes go nor blocks the server."""
import pytest

from diarchy.clusters.docker.toxics import Step, after, steps, wanted
from diarchy.clusters.docker.toxiproxy import Toxic
from diarchy.clusters.ledger import CLEAR, LinkState

UP, DOWN = "upstream", "downstream"
CUT, STALL = Toxic("timeout", UP, (("timeout", 0),)), Toxic("bandwidth", UP, (("rate", 0),))
RESET, LIMIT = Toxic("reset_peer", UP, (("timeout", 0),)), Toxic("bandwidth", UP, (("rate", 9),))
SLOW, SLOWER = (Toxic("latency", UP, (("jitter", 0), ("latency", ms))) for ms in (5, 8))
CUT_BACK = Toxic("timeout", DOWN, (("timeout", 0),))

MS = 1_000_000


@pytest.mark.parametrize(("state", "toxics"), [
    (CLEAR, set()),
    (LinkState(packets=True), set()),
    (LinkState(cut=True, latency=5 * MS), {CUT}),
    (LinkState(cut=True, stalled=True, reset=True), {STALL}),
    (LinkState(cut=True, reset=True), {CUT}),
    (LinkState(reset=True, bandwidth=9), {RESET}),
    (LinkState(latency=5 * MS, bandwidth=9), {SLOW, LIMIT}),
    (LinkState(latency=300), {Toxic("latency", UP, (("jitter", 0), ("latency", 1)))}),
])
def test_a_state_has_its_toxics(state: LinkState, toxics: set[Toxic]) -> None:
    assert wanted(UP, state) == toxics


def add(*toxics: Toxic) -> list[Step]:
    return [Step("add", toxic) for toxic in toxics]


def remove(*toxics: Toxic) -> list[Step]:
    return [Step("remove", toxic) for toxic in toxics]


@pytest.mark.parametrize(("have", "want", "plan"), [
    (set(), set(), []),
    (set(), {CUT}, add(CUT)),
    ({CUT, CUT_BACK}, {CUT_BACK}, remove(CUT)),
    ({SLOW}, {SLOWER}, [*add(SLOWER), *remove(SLOW)]),
    ({SLOW}, {CUT}, [*add(CUT), *remove(SLOW)]),
    ({CUT, LIMIT, SLOW}, set(), remove(LIMIT, SLOW, CUT)),
    ({CUT}, {SLOW}, [*add(SLOW), *remove(CUT)]),
    # A stall is put behind what is there, which stays until the stall ends.
    ({SLOW}, {STALL}, add(STALL)),
    ({SLOW, STALL}, {STALL}, []),
    ({SLOW, STALL}, {SLOW}, remove(STALL)),
    ({SLOW, STALL}, set(), remove(STALL, SLOW)),
    ({STALL}, {SLOW}, [*remove(STALL), *add(SLOW)]),
    # A cut in front of a stall holds nothing and goes at once.
    ({CUT}, {STALL}, [*add(STALL), *remove(CUT)]),
    # A stall that turns into a cut loses what it holds.
    ({STALL, CUT_BACK}, {CUT, CUT_BACK}, [Step("recreate"), *add(CUT_BACK, CUT)]),
    ({SLOW, STALL}, {CUT}, [Step("recreate"), *add(CUT)]),
    # The other direction of a proxy that stalls may change.
    ({STALL}, {STALL, CUT_BACK}, add(CUT_BACK)),
])
def test_steps_from_one_set_of_toxics_to_another(have: set[Toxic], want: set[Toxic], plan: list[Step]) -> None:
    assert steps(frozenset(have), frozenset(want)) == plan


@pytest.mark.parametrize("have", [set(), {CUT}, {SLOW}, {SLOW, STALL}, {RESET, LIMIT}])
@pytest.mark.parametrize("want", [set(), {CUT}, {SLOWER}, {RESET}, {LIMIT, SLOW}])
def test_without_a_stall_to_come_the_steps_reach_what_is_wanted(have: set[Toxic], want: set[Toxic]) -> None:
    assert after(frozenset(have), steps(frozenset(have), frozenset(want))) == want
