"""Directed links: how long a message takes, whether it arrives, and how often."""
from collections.abc import Callable
from heapq import heappush
from random import Random
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from diarchy.clusters.ledger import CLEAR, LinkState
from diarchy.clusters.virtual import VirtualLoop
from diarchy.history.units import Duration, default

Share = Annotated[float, msgspec.Meta(ge=0, le=0.9)]
MESSAGE_KB = 1
"""What a message weighs where a fault limits the bandwidth."""
AT_ONCE = 64
HELD_BACK = 10
"""A message that is to be overtaken takes up to so many times longer."""


class Network(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How all links behave when nothing is wrong with them. Every message draws its own delay, so they overtake one another."""

    latency: Annotated[Duration, msgspec.Meta(extra={"least": "0s"}, description="the least that a message takes, one way")] = default("1ms")
    jitter: Annotated[Duration, msgspec.Meta(extra={"least": "0s"}, description="what comes on top of it, drawn for each message")] = default("1ms")
    distribution: Annotated[Literal["uniform", "exponential"], msgspec.Meta(description=(
        "of the jitter: uniform from nothing to `jitter`, or exponential with `jitter` as its mean, which has a long tail"))] = "uniform"
    loss: Annotated[Share, msgspec.Meta(description="share of the messages that are lost")] = 0.0
    duplicate: Annotated[Share, msgspec.Meta(description="share of the messages that arrive twice")] = 0.0
    reorder: Annotated[Share, msgspec.Meta(description="share of the messages that are held back for up to ten times their delay")] = 0.0


    @property
    def slowest(self) -> int:
        """The longest that a message takes that is not held back, ns; where there is no such bound, what one in a million exceeds."""
        return self.latency + self.jitter * (1 if self.distribution == "uniform" else 14)


class Link:
    """From one host to another. `send` is the only way to it; the dice are a stream of the link's own."""

    __slots__ = ("_base", "_count", "_delays", "_dice", "_draw", "_heap", "_held", "_loop", "_network", "_plain", "_spread", "_state")

    def __init__(self, loop: VirtualLoop, network: Network, dice: Random) -> None:
        self._loop, self._heap, self._count = loop, loop.heap, loop.count
        self._network, self._dice, self._draw = network, dice, dice.random
        self._base, self._spread = int(network.latency), int(network.jitter)
        self._delays: list[int] = []
        self._held: list[tuple[Callable[[Any, Any], object], Any, Any]] = []
        self.set(CLEAR)

    def set(self, state: LinkState) -> None:
        """What faults make of it from now on. What was held arrives when it is held no longer."""
        self._state = state
        n = self._network
        self._plain = state == CLEAR and n.distribution == "uniform" and not (n.loss or n.duplicate or n.reorder)
        if not state.stalled and self._held:
            held, self._held = self._held, []
            for message in held:
                self.send(*message)

    @property
    def refuses(self) -> bool:
        """Whether connections are reset, which a sender notices."""
        return self._state.reset

    @property
    def open(self) -> bool:
        """Whether anything passes."""
        return not (self._state.cut or self._state.packets or self._state.reset or self._state.stalled)

    def send(self, act: Callable[[Any, Any], object], a: Any, b: Any) -> None:
        """`act(a, b)` happens at the other end, later, twice or never."""
        if self._plain:
            try:
                delay = self._delays.pop()
            except IndexError:
                delay = self._drawn()
            heappush(self._heap, (self._loop.now + delay, self._count(), act, a, b))
        elif self._state.stalled:
            self._held.append((act, a, b))
        elif not (self._state.cut or self._state.packets or self._state.reset) and self._draw() >= self._network.loss:
            for _ in range(1 + (self._draw() < self._network.duplicate)):
                self._loop.push(self._loop.now + self._delay(), act, a, b)

    def _drawn(self) -> int:
        """The next delay of a link with which nothing is wrong; they are drawn many at a time, which takes a tenth of the time."""
        drawn = np.frombuffer(self._dice.randbytes(8 * AT_ONCE), dtype="<u8") >> np.uint64(11)
        self._delays = (self._base + drawn * (self._spread / 2**53)).astype(np.int64).tolist()
        return self._delays.pop()

    def _delay(self) -> int:
        n, state = self._network, self._state
        spread = self._draw() if n.distribution == "uniform" else self._dice.expovariate(1.0)
        delay = self._base + int(self._spread * spread) + state.latency + int(state.jitter * (2 * self._draw() - 1))
        if state.bandwidth:
            delay += MESSAGE_KB * 10**9 // state.bandwidth
        if n.reorder and self._draw() < n.reorder:
            delay = int(delay * (1 + (HELD_BACK - 1) * self._draw()))
        return max(delay, 0)
