"""A replicated state machine as its clients see it: what a majority has acknowledged is done, in one order, and nothing else is.

It stands for Raft or Zab under a store. Who leads is decided by an onlooker, not by votes: how elections go wrong is what the workloads
bully, ring and raft are for.
"""
from collections.abc import Callable
from functools import partial
from typing import Any

from diarchy.clusters.cluster import Observation
from diarchy.clusters.simulated.rpc import Answer, once
from diarchy.clusters.simulated.world import World

LOOK = 100_000_000
"""The onlooker comes round so often, ns."""


class Quorum:
    """`elected` is told of each new leader, which has `election` ns of silence of the one before behind it.

    What a node proposes goes to the leader, and from there to all; when a majority has it, it is applied. A proposal that meets a
    leader without a majority is lost without an answer, unless another leader is elected: then it is lost all the same.
    """

    def __init__(self, world: World, nodes: tuple[str, ...], election: int, elected: Callable[[], object]) -> None:
        self.world, self.nodes = world, nodes
        self.size = len(nodes) // 2 + 1
        self.leader, self.term = nodes[0], 1
        self._election, self._elected = election, elected
        self._claims = {nodes[0]: 1}
        self._failing_since: int | None = None

    def start(self) -> None:
        """Begin to watch over the leader."""
        for node in self.nodes:
            self.world.host(node).started.append(partial(self._restarted, node))
        self.world.loop.every(LOOK, self._look)

    def claim(self, node: str) -> int | None:
        """The term in which a node believes to lead, if it does."""
        return self._claims.get(node)

    def observe(self, node: str) -> Observation:
        """What the node says of itself."""
        term = self.claim(node)
        return Observation(term is not None, self.term if term is None else term, self.world.host(node).claimant,
                           "follower" if term is None else "leader")

    def propose(self, node: str, apply: Callable[[], Any], answer: Answer) -> None:
        """Once a majority has it, `apply()` happens; its result, or the exception that it raises, goes back by the node that was asked."""
        def back(result: Any) -> None:
            self.world.send(leader, node, answer, result)

        leader = self.leader
        self.world.send(node, leader, once(partial(self._lead, leader, self.term, apply, back)))

    def _lead(self, leader: str, term: int, apply: Callable[[], Any], back: Answer) -> None:
        acks = {leader}

        def count(node: str) -> None:
            if self._leads(leader, term) and len(acks) < self.size:
                acks.add(node)
                if len(acks) == self.size:
                    done()

        def done() -> None:
            try:
                result = apply()
            except Exception as error:
                result = error
            back(result)

        if not self._leads(leader, term):
            return
        if self.size == 1:
            return done()
        for node in self.nodes:
            if node != leader:
                self.world.send(leader, node, self._follow, leader, node, count)

    def _follow(self, leader: str, node: str, count: Callable[[str], None]) -> None:
        self.world.send(node, leader, count, node)

    def _look(self) -> None:
        able = [node for node in self.nodes if self._able(node)]
        if able and self._failed:
            self._lead_from_now_on(self.leader if self.leader in able else able[0])
        elif self.leader in able and not self._failed:
            self._failing_since = None
        elif self._failing_since is None:
            self._failing_since = self.world.now()
        for node in [node for node in self._claims if node != self.leader]:
            host = self.world.host(node)
            if host.dead or (host.awake and self._hears(node, self.leader)):
                del self._claims[node]

    @property
    def _failed(self) -> bool:
        """Whether the leader was without a majority for so long that there must be an election."""
        return self._failing_since is not None and self.world.now() - self._failing_since >= self._election

    def _leads(self, node: str, term: int) -> bool:
        """Whether what it decides in this term holds."""
        return self._claims.get(node) == term == self.term and not self._failed

    def _restarted(self, node: str) -> None:
        """It knows of no term any more. A leader is elected anew soon, be it the same: its timers died with it."""
        self._claims.pop(node, None)
        if node == self.leader:
            self._failing_since = self.world.now() - self._election

    def _lead_from_now_on(self, node: str) -> None:
        self.leader, self.term, self._failing_since = node, self.term + 1, None
        self._claims[node] = self.term
        self._elected()

    def _able(self, node: str) -> bool:
        return self.world.host(node).awake and 1 + sum(self._hears(node, peer) and self._hears(peer, node)
                                                       for peer in self.nodes if peer != node) >= self.size

    def _hears(self, node: str, peer: str) -> bool:
        """Whether something that the peer says now would reach the node."""
        return self.world.host(peer).awake and self.world.link(peer, node).open
