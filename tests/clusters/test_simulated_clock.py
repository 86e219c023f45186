"""A simulated host's clocks, fast and slow, and timers by them."""
from random import Random

import pytest

from diarchy.clusters.simulated.clock import Clock

S = 10**9


def clocks() -> list[Clock]:
    dice, made = Random("clocks"), []
    for _ in range(2000):
        clock = Clock(0, 1 + dice.uniform(-0.001, 0.001))
        if dice.random() < 0.5:
            clock.set(dice.randrange(10 * S), 0, 1 + dice.uniform(-0.5, 0.5))
        made.append(clock)
    return made


def test_a_timer_rings_at_the_first_moment_at_which_its_clock_shows_it() -> None:
    dice = Random("timers")
    for clock in clocks():
        due = dice.randrange(10 * S, 100 * S)
        rings = clock.true(due)
        assert clock.local(rings) >= due > clock.local(rings - 1)


def test_what_a_clock_shows_now_it_has_not_begun_to_show_later() -> None:
    dice = Random("stamps")
    for clock in clocks():
        now = dice.randrange(10 * S, 100 * S)
        assert now - 2 <= clock.true(clock.local(now)) <= now


@pytest.mark.parametrize("rate", [0.5, 1.0, 1.5])
def test_a_wall_clock_jumps_and_a_monotonic_one_changes_its_pace(rate: float) -> None:
    clock = Clock()
    clock.set(10 * S, 3 * S, rate)
    assert (clock.local(10 * S), clock.wall(10 * S)) == (10 * S, 13 * S)
    assert clock.local(12 * S) == 10 * S + round(2 * S * rate)
