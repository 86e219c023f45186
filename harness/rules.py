"""What bounds a claim to lead in a scenario: the lease of an election service, or what the algorithm on the nodes says."""
from typing import Literal

import msgspec

from diarchy.clusters.simulated.options import Simulated
from diarchy.harness.scenario import Scenario
from diarchy.workloads.lock import Lock
from diarchy.workloads.peer_options import Peers


class Rules(msgspec.Struct, frozen=True):
    """Goes into the set-up. Without tokens no fence can work, whatever the scenario says. Times in ns; `quorum` 0 where the cluster says it, `handover` None where the default will do."""

    authority: Literal["lease", "term", "none"]
    tokens: bool
    fence: bool
    ttl: int
    quorum: int = 0
    tolerance: int = 0
    handover: int | None = None


def rules_of(scenario: Scenario) -> Rules:
    """Two leaders without lease or term are told from a hand-over by the time that two of the slowest messages take. Where clocks drift,
    two of them measure a TTL that differently, and neither is wrong."""
    match scenario.workload, scenario.cluster:
        case Peers() as peers, Simulated(nodes=nodes, network=network):
            return Rules(peers.authority, peers.tokens, peers.fence and peers.tokens, int(peers.lease_ns), peers.quorum_of(nodes),
                         handover=int(2 * network.slowest))
        case Lock() as lock, Simulated(drift=drift) as cluster:
            return Rules(cluster.authority, cluster.tokens, lock.fence and cluster.tokens, int(lock.ttl), tolerance=round(2 * drift * lock.ttl))
        case Lock() as lock, cluster:
            return Rules(cluster.authority, cluster.tokens, lock.fence and cluster.tokens, int(lock.ttl))
    raise ValueError("only simulated nodes elect a leader among themselves")
