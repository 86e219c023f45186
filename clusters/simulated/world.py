"""The hosts and links of one simulated run."""
from collections.abc import Callable
from random import Random
from typing import Any

from diarchy.clusters.simulated.clock import Clock
from diarchy.clusters.simulated.hosts import SimulatedHost
from diarchy.clusters.simulated.network import Link, Network
from diarchy.clusters.virtual import VirtualLoop


class World:
    """Everything is made when it is first named, from the seed and that name alone: the order makes no difference."""

    def __init__(self, loop: VirtualLoop, network: Network, seed: int, drift: float = 0.0, offset: int = 0) -> None:
        self.loop, self.seed = loop, seed
        self.hosts: dict[str, SimulatedHost] = {}
        self._network, self._drift, self._offset = network, drift, offset
        self._links: dict[tuple[str, str], Link] = {}

    def now(self) -> int:
        """True virtual time, ns."""
        return self.loop.now

    def dice(self, name: str) -> Random:
        """A stream of its own for this name."""
        return Random(f"{self.seed}/{name}")

    def host(self, name: str) -> SimulatedHost:
        """The host of this name; its clocks are off by up to `offset` ns and `drift`, fast or slow."""
        if name not in self.hosts:
            dice = self.dice(f"clock/{name}")
            clock = Clock(round(self._offset * dice.uniform(-1, 1)), 1 + self._drift * dice.uniform(-1, 1))
            self.hosts[name] = SimulatedHost(name, self.loop, clock)
        return self.hosts[name]

    def link(self, source: str, target: str) -> Link:
        """The directed link between two hosts."""
        ends = source, target
        if ends not in self._links:
            self._links[ends] = Link(self.loop, self._network, self.dice(f"link/{source}-{target}"))
        return self._links[ends]

    def send(self, source: str, target: str, act: Callable[..., object], *args: Any) -> None:
        """`act(*args)` on the target, over the link; a host reaches itself at once."""
        if source == target:
            self.host(target).take(act, args)
        else:
            self.link(source, target).send(self.host(target).take, act, args)
