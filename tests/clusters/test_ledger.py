"""The ledger folds faults into one state per link and host, and no lift undoes more than its own fault."""
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diarchy.clusters.ledger import CLEAR, HostState, Ledger, LinkState
from diarchy.history.faults import Cut, Fault, Kill, Pause, Reset, Slow, Stall

AB, BA, AC = ("a", "b"), ("b", "a"), ("a", "c")

FOLDED: list[tuple[list[Fault], LinkState]] = [
    ([], CLEAR),
    ([Cut((AB,))], LinkState(cut=True)),
    ([Cut((BA, AC))], CLEAR),
    ([Cut((AB,)), Cut((AB, AC))], LinkState(cut=True)),
    ([Cut((AB,), "packets")], LinkState(packets=True)),
    ([Cut((AB,), "packets"), Cut((AB,))], LinkState(cut=True, packets=True)),
    ([Stall((AB,)), Cut((AB,))], LinkState(cut=True, stalled=True)),
    ([Reset((AB,))], LinkState(reset=True)),
    ([Slow((AB,), 5, 1), Slow((AB,), 7, 2)], LinkState(latency=12, jitter=3)),
    ([Slow((AB,), bandwidth=9), Slow((AB,), 1), Slow((AB,), bandwidth=4)], LinkState(latency=1, bandwidth=4)),
]


@pytest.mark.parametrize(("faults", "state"), FOLDED)
def test_faults_on_a_link_fold_into_one_state(faults: list[Fault], state: LinkState) -> None:
    ledger = Ledger()
    for fault in faults:
        ledger.apply(fault)
    assert ledger.link(AB) == state


HOSTS: list[tuple[list[Fault], HostState]] = [
    ([], "up"),
    ([Pause("a")], "paused"),
    ([Pause("b"), Kill("c")], "up"),
    ([Pause("a"), Kill("a")], "dead"),
    ([Kill("a"), Pause("a"), Pause("a")], "dead"),
]


@pytest.mark.parametrize(("faults", "state"), HOSTS)
def test_a_kill_wins_over_a_pause(faults: list[Fault], state: HostState) -> None:
    ledger = Ledger()
    for fault in faults:
        ledger.apply(fault)
    assert ledger.host("a") == state


def test_one_owners_healing_leaves_the_others_cut_in_force() -> None:
    ledger = Ledger()
    assert ledger.apply(Cut((AB,))).links == {AB: LinkState(cut=True)}
    assert ledger.apply(Cut((AB, AC))).links == {AC: LinkState(cut=True)}
    assert ledger.lift(Cut((AB,))).links == {}
    assert ledger.lift(Cut((AB, AC))).links == {AB: CLEAR, AC: CLEAR}


def test_equal_faults_of_two_owners_are_counted() -> None:
    ledger = Ledger()
    assert ledger.apply(Pause("a")).hosts == {"a": "paused"}
    assert ledger.apply(Pause("a")).hosts == {}
    assert ledger.lift(Pause("a")).hosts == {}
    assert ledger.lift(Pause("a")).hosts == {"a": "up"}


def test_a_host_killed_while_paused_comes_back_as_the_rest_says() -> None:
    ledger = Ledger()
    ledger.apply(Pause("a"))
    ledger.apply(Kill("a"))
    assert ledger.lift(Kill("a")).hosts == {"a": "paused"}


def test_lifting_what_is_not_in_force_is_refused() -> None:
    with pytest.raises(ValueError, match="not in tuple"):
        Ledger().lift(Kill("a"))


links = st.lists(st.sampled_from([AB, BA, AC]), min_size=1, max_size=3, unique=True).map(tuple)
faults = st.one_of(
    st.builds(Cut, links, st.sampled_from(["drop", "packets"])), st.builds(Stall, links), st.builds(Reset, links),
    st.builds(Slow, links, st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)),
    st.builds(Pause, st.sampled_from("ab")), st.builds(Kill, st.sampled_from("ab")),
)


@given(st.lists(st.tuples(faults, st.integers(0, 20)), max_size=12), st.randoms(use_true_random=False))
def test_any_interleaving_of_apply_and_lift_ends_clean(owners: list[tuple[Fault, int]], dice: "object") -> None:
    """A backend that does nothing but follow the changes agrees with the ledger at every step, and ends where it began."""
    ledger, pending = Ledger(), [fault for fault, _ in owners]
    link_states: dict[tuple[str, str], LinkState] = {}
    host_states: dict[str, HostState] = {}
    in_force: list[Fault] = []
    while pending or in_force:
        if pending and (not in_force or dice.random() < 0.5):  # type: ignore[attr-defined]
            in_force.append(fault := pending.pop())
            change = ledger.apply(fault)
        else:
            change = ledger.lift(in_force.pop(dice.randrange(len(in_force))))  # type: ignore[attr-defined]
        link_states |= change.links
        host_states |= change.hosts
        assert all(link_states.get(link, CLEAR) == ledger.link(link) for link in (AB, BA, AC))
        assert all(host_states.get(name, "up") == ledger.host(name) for name in "ab")
    assert set(link_states.values()) <= {CLEAR}
    assert set(host_states.values()) <= {"up"}
    assert ledger.active == ()
