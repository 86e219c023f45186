"""Election machines in bad weather: loss, delay, reordering, duplicates, one-way cuts, pauses, crashes, clocks that drift; and what they claimed."""
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Any

import msgspec

from diarchy.workloads.machine import Broadcast, Effects, Elected, Machine, Renewed, Send, StepDown
from diarchy.workloads.peer_options import Peers

MS = 10**6


class Claim(msgspec.Struct):
    """A stay in office. True times in ns; `until` None without a lease, `left` None while it lasts."""

    node: str
    term: int | None
    token: int | None
    start: int
    until: int | None
    left: int | None = None

    def certain(self, now: int) -> bool:
        return self.until is not None and now < self.until and self.left is None


class Node:
    """A machine on a host of its own."""

    def __init__(self, name: str, dice: Random, drift: float) -> None:
        self.name, self.boot = name, 0
        self.rate, self.offset = dice.uniform(1 - drift, 1 + drift), dice.randrange(10**12)
        self.machine: Machine | None = None
        self.paused, self.parked = False, list[tuple[str, Any]]()
        self.claim: Claim | None = None
        self.hard: Any = None

    def clock(self, true: int) -> int:
        return self.offset + int(true * self.rate)

    def true(self, clock: int) -> int:
        return int((clock - self.offset) / self.rate) + 1


class Storm:
    """One run: `blow` for a time, then `calm`. `claims` is what happened, `wrong` what must not.

    No clock is faster or slower than the true one by more than `drift`, a share.
    """

    def __init__(self, options: Peers, nodes: int, seed: str, drift: float = 0.04) -> None:
        self.options, self.dice, self.seed = options, Random(seed), seed
        self.names = tuple(f"n{number + 1}" for number in range(nodes))
        self.nodes = {name: Node(name, self.dice, drift) for name in self.names}
        self.now, self._turn, self._queue = 0, count(), list[tuple[int, int, str, str, Any]]()
        self.cut: set[tuple[str, str]] = set()
        self.loss, self.late = 0.0, 0.02
        self.claims: list[Claim] = []
        self.wrong: list[str] = []
        for name in self.names:
            self.boot(name, None)

    def blow(self, until: int, every: int = 150 * MS) -> None:
        """Run with a mishap now and then."""
        self.loss, every = self.dice.choice([0.0, 0.02, 0.2]), every * self.dice.choice([1, 3, 10])
        while self.now < until:
            self.run(self.now + int(self.dice.expovariate(1) * every))
            self.mishap()

    def calm(self, within: int) -> None:
        """Everything is mended; run on."""
        self.loss = self.late = 0.0
        self.heal()
        self.wake_all()
        self.boot_all()
        self.run(self.now + within)

    def mishap(self) -> None:
        """Half of them befall a leader."""
        leaders = [name for name, node in self.nodes.items() if node.claim is not None]
        name = self.dice.choice(leaders if leaders and self.dice.random() < 0.5 else self.names)
        self.dice.choices([self.one_way, self.isolate, self.heal, self.pause, self.wake_all, self.crash, self.bounce, self.boot_all],
                          weights=[25, 15, 20, 10, 10, 5, 7, 8])[0](name)

    def one_way(self, name: str) -> None:
        self.cut.add((name, self.dice.choice(self.names)))

    def isolate(self, name: str) -> None:
        self.cut |= {link for peer in self.names for link in ((name, peer), (peer, name))}

    def heal(self, _: str = "") -> None:
        self.cut.clear()

    def pause(self, name: str) -> None:
        self.nodes[name].paused = self.nodes[name].machine is not None

    def wake_all(self, _: str = "") -> None:
        for name in self.names:
            self.wake(name)

    def bounce(self, name: str) -> None:
        self.crash(name)
        self.boot(name, self.nodes[name].hard)

    def boot_all(self, _: str = "") -> None:
        for name, node in self.nodes.items():
            if node.machine is None:
                self.boot(name, node.hard)

    def boot(self, name: str, hard: Any) -> None:
        node = self.nodes[name]
        node.boot += 1
        node.machine = self.options.machine(name, self.names, Random(f"{self.seed}/{name}#{node.boot}"), hard)
        self.step(node, node.machine.start(node.clock(self.now)))

    def crash(self, name: str) -> None:
        node = self.nodes[name]
        if node.machine is not None:
            node.hard, node.machine, node.paused = node.machine.hard, None, False
            node.parked.clear()
            self.leave(node)

    def wake(self, name: str) -> None:
        """A paused host finds what came in the meantime before it looks at its timer: a machine has to bear that."""
        node = self.nodes[name]
        if node.paused and node.machine is not None:
            node.paused = False
            parked, node.parked = node.parked, []
            for sender, message in parked:
                self.receive(node, sender, message)
            self.ring(node)

    def run(self, until: int) -> None:
        while self._queue and self._queue[0][0] <= until:
            self.now, _, to, sender, message = heappop(self._queue)
            node = self.nodes[to]
            if node.machine is None:
                continue
            if node.paused:
                node.parked += [(sender, message)] if sender else []
            elif sender:
                self.receive(node, sender, message)
            elif message == node.boot:
                self.ring(node)
        self.now = max(self.now, until)

    def receive(self, node: Node, sender: str, message: Any) -> None:
        assert node.machine is not None
        self.step(node, node.machine.on_message(node.clock(self.now), sender, message))

    def ring(self, node: Node) -> None:
        assert node.machine is not None
        if node.clock(self.now) >= node.machine.due:
            self.step(node, node.machine.on_timer(node.clock(self.now)))

    def step(self, node: Node, effects: Effects) -> None:
        assert node.machine is not None
        for effect in effects:
            match effect:
                case Send(to, message):
                    self.send(node.name, to, message)
                case Broadcast(message):
                    for to in self.names:
                        if to != node.name:
                            self.send(node.name, to, message)
                case Elected(term, token, sent, ttl):
                    until = None if sent is None or ttl is None else node.true(sent + ttl)
                    self.claim(node, Claim(node.name, term, token, self.now, until))
                case Renewed(sent, ttl):
                    assert node.claim is not None, "a renewal without an office"
                    node.claim.until = node.true(sent + ttl)
                    self.alone(node.claim)
                case StepDown():
                    assert node.claim is not None, "a step-down without an office"
                    self.leave(node)
        heappush(self._queue, (max(node.true(node.machine.due), self.now), next(self._turn), node.name, "", node.boot))

    def claim(self, node: Node, claim: Claim) -> None:
        assert node.claim is None, "elected twice without a step-down"
        node.claim = claim
        self.claims.append(claim)
        self.alone(claim)

    def alone(self, claim: Claim) -> None:
        """Nobody else's lease may last still."""
        for node in self.nodes.values():
            other = node.claim
            if other is not None and other is not claim and other.certain(self.now) and claim.certain(self.now):
                self.wrong.append(f"{claim} beside {other}")

    def followed(self) -> str | None:
        """The one leader whom all follow, if there is one."""
        leaders = [name for name, node in self.nodes.items() if node.claim is not None]
        agreed = all(node.machine is not None and leaders == [node.machine.leader] for node in self.nodes.values())
        return leaders[0] if agreed else None

    def leave(self, node: Node) -> None:
        if node.claim is not None:
            node.claim.left, node.claim = self.now, None

    def send(self, sender: str, to: str, message: Any) -> None:
        while True:
            if (sender, to) not in self.cut and self.dice.random() >= self.loss:
                late = self.dice.random() < self.late
                delay = self.dice.randrange(1, 1500 if late else 20) * MS
                heappush(self._queue, (self.now + delay, next(self._turn), to, sender, message))
            if self.dice.random() >= 0.02:
                break
