"""How many messages an election takes (claims C13 and C14 of the articles): nobody has died, and those named call one at once."""
from collections import deque
from random import Random
from typing import Any

import pytest

from diarchy.workloads.bully import Bully
from diarchy.workloads.machine import Broadcast, Effects, Elected, Send
from diarchy.workloads.peer_options import Peers
from diarchy.workloads.ring import Received, Ring

BULLY, TOKEN, UIDS = Bully(preempt=False), Ring(variant="token"), Ring(variant="chang-roberts")
SIZES = [4, 8, 16, 32]


def messages(options: Peers, names: tuple[str, ...], callers: tuple[str, ...]) -> int:
    """Messages from the call to the last one under way, acknowledgements of the ring's hops left out. All are delivered in order."""
    nodes = {name: options.machine(name, names, Random(1), None) for name in names}
    under_way: deque[tuple[str, str, Any]] = deque()
    elected, sent, now = [], 0, 10**10

    def follow(name: str, effects: Effects) -> None:
        nonlocal sent
        for effect in effects:
            match effect:
                case Send(to, message):
                    under_way.append((name, to, message))
                    sent += not isinstance(message, Received)
                case Broadcast(message):
                    under_way.extend((name, to, message) for to in names if to != name)
                    sent += len(names) - 1
                case Elected():
                    elected.append(name)

    for name in names:
        nodes[name].start(0)
    for name in callers:
        follow(name, nodes[name].on_timer(now))
    while under_way:
        sender, to, message = under_way.popleft()
        follow(to, nodes[to].on_message(now, sender, message))
    assert elected == [names[-1]]
    return sent


def called(size: int) -> tuple[str, ...]:
    return tuple(f"n{number + 1}" for number in range(size))


@pytest.mark.parametrize("n", SIZES)
def test_bully_takes_a_square_of_messages_if_the_lowest_calls_and_one_round_if_the_highest_does(n: int) -> None:
    names = called(n)
    assert messages(BULLY, names, names[:1]) == n * n + n - 3
    assert messages(BULLY, names, names[-1:]) == n - 1


@pytest.mark.parametrize("n", SIZES)
def test_a_ring_takes_three_laps_if_one_calls(n: int) -> None:
    names = called(n)
    assert messages(TOKEN, names, names[:1]) == 3 * n - 1
    assert messages(UIDS, names, names[:1]) == 3 * n - 1


@pytest.mark.parametrize("n", SIZES)
def test_the_tokens_of_all_take_a_square_and_chang_and_roberts_swallow_theirs(n: int) -> None:
    """The numbers rise round the ring here, which is the best case of Chang and Roberts."""
    names = called(n)
    assert messages(TOKEN, names, names) == n * n + n * (n + 1) // 2
    assert messages(UIDS, names, names) == 3 * n - 1
