"""Redis Sentinel: who watches the primary, when it counts as down, and which replica takes its place."""
from collections.abc import Callable
from functools import partial
from typing import Any

from diarchy.clusters.simulated.world import World

PERIOD = 1_000_000_000
"""A sentinel comes round so often, ns, or four times in `down_after` if that is more often."""
SOONEST = 1_000_000
"""But no more often than this, ns."""


class _Sentinel:
    """One node's. What it keeps on disk, as Sentinel does: the configuration (epoch and primary), and the epoch of its last vote.

    Times by its node's monotonic clock: `heard` when the primary last answered, `patient` until when it leaves the failover to others.
    """

    def __init__(self, primary: str) -> None:
        self.epoch, self.primary, self.voted = 1, primary, 1
        self.forget(0)

    def forget(self, now: int) -> None:
        """What a restart loses."""
        self.heard = self.came_round = self.patient = now
        self.standing = 0
        self.agreed: set[str] = set()
        self.votes: set[str] = set()
        self.offsets: dict[str, int] = {}


class Sentinels:
    """One beside each server. All is done by messages: pings, what they tell each other of the configuration, votes.

    A sentinel for which the primary has been silent for `down_after` (it is subjectively down) asks the others. When a majority of
    all agree (it is objectively down), it stands for leader of the failover in a new epoch, after a random delay; each votes once in
    an epoch. With the votes of a majority it waits for `failover` and promotes the replica with the highest offset among those that
    answered. The new configuration spreads by gossip, the highest epoch wins. `changed(node)` is called when a node hears of one;
    `offset(node)` is its server's. Times in ns.
    """

    def __init__(self, world: World, nodes: tuple[str, ...], down_after: int, failover: int,
                 changed: Callable[[str], object], offset: Callable[[str], int]) -> None:
        self.size = len(nodes) // 2 + 1
        self._world, self._nodes, self._down_after, self._failover = world, nodes, down_after, failover
        self._period = min(PERIOD, max(down_after // 4, SOONEST))
        self._changed, self._offset = changed, offset
        self._of = {node: _Sentinel(nodes[0]) for node in nodes}
        self._dice = {node: world.dice(f"sentinel/{node}") for node in nodes}

    def start(self) -> None:
        for node in self._nodes:
            self._world.host(node).started.append(partial(self._begin, node))
            self._begin(node)

    def epoch(self, node: str) -> int:
        """The configuration epoch that this node knows of."""
        return self._of[node].epoch

    def primary(self, node: str) -> str:
        """Who is the primary in it."""
        return self._of[node].primary

    def _now(self, node: str) -> int:
        return self._world.host(node).now()

    def _begin(self, node: str) -> None:
        self._of[node].forget(self._now(node))
        self._come_round(node)

    def _come_round(self, node: str) -> None:
        sentinel, host, now = self._of[node], self._world.host(node), self._now(node)
        if sentinel.primary == node or now - sentinel.came_round > 2 * self._period:
            sentinel.heard = now  # one that was stopped itself has no opinion yet: Sentinel's TILT
        sentinel.came_round = now
        self._greet(node)
        if self._down(node):
            sentinel.agreed = {node}
            self._tell(node, self._asked)
        host.after(self._period, self._come_round, node)

    def _greet(self, node: str) -> None:
        """Say which configuration it knows; to the primary this is a ping."""
        self._tell(node, self._hear, self._of[node].epoch, self._of[node].primary)

    def _tell(self, node: str, act: Callable[..., object], *args: Any) -> None:
        """`act(peer, node, *args)` on every other node."""
        for peer in self._nodes:
            if peer != node:
                self._world.send(node, peer, act, peer, node, *args)

    def _hear(self, node: str, peer: str, epoch: int, primary: str) -> None:
        self._adopt(node, epoch, primary)
        if primary == node:
            self._world.send(node, peer, self._answered, peer, node)

    def _answered(self, node: str, primary: str) -> None:
        if self._of[node].primary == primary:
            self._of[node].heard = self._now(node)

    def _down(self, node: str) -> bool:
        """Subjectively."""
        return self._now(node) - self._of[node].heard >= self._down_after

    def _asked(self, node: str, peer: str) -> None:
        if self._down(node):
            self._world.send(node, peer, self._agree, peer, node)

    def _agree(self, node: str, peer: str) -> None:
        agreed = self._of[node].agreed
        if peer not in agreed:
            agreed.add(peer)
            if len(agreed) == self.size:
                self._world.host(node).after(int(self._dice[node].uniform(0, self._period)), self._stand, node)

    def _stand(self, node: str) -> None:
        sentinel = self._of[node]
        if not self._down(node) or self._now(node) < sentinel.patient:
            return
        sentinel.voted = sentinel.standing = sentinel.voted + 1
        sentinel.votes, sentinel.offsets = {node}, {node: self._offset(node)}
        self._tell(node, self._vote, sentinel.standing)

    def _vote(self, node: str, candidate: str, epoch: int) -> None:
        sentinel = self._of[node]
        if granted := epoch > sentinel.voted:
            sentinel.voted = epoch
            self._wait(node)
        self._world.send(node, candidate, self._count, candidate, node, epoch, granted, self._offset(node))

    def _wait(self, node: str) -> None:
        """Whoever leads the failover has time for it, and its outcome time to be heard of."""
        self._of[node].patient = self._now(node) + self._failover + self._down_after

    def _count(self, node: str, voter: str, epoch: int, granted: bool, offset: int) -> None:
        sentinel = self._of[node]
        if epoch != sentinel.standing:
            return
        sentinel.offsets[voter] = offset
        if granted and voter not in sentinel.votes:
            sentinel.votes.add(voter)
            if len(sentinel.votes) == self.size:
                self._wait(node)
                self._world.host(node).after(self._failover, self._promote, node, epoch)

    def _promote(self, node: str, epoch: int) -> None:
        sentinel = self._of[node]
        if epoch == sentinel.standing and epoch > sentinel.epoch:
            replicas = [name for name in self._nodes if name in sentinel.offsets and name != sentinel.primary]
            chosen = max(replicas, key=sentinel.offsets.__getitem__)
            self._world.send(node, chosen, self._adopt, chosen, epoch, chosen)

    def _adopt(self, node: str, epoch: int, primary: str) -> None:
        """A newer configuration is taken over, and passed on at once."""
        sentinel = self._of[node]
        if epoch > sentinel.epoch:
            sentinel.epoch, sentinel.primary, sentinel.heard = epoch, primary, self._now(node)
            sentinel.voted = max(sentinel.voted, epoch)
            self._changed(node)
            self._greet(node)
