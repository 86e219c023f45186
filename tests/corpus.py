"""The corpus of known bugs, as data: each in a scenario of scenarios/known-unsafe, beside a sound twin in scenarios/simulated."""
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from diarchy.harness.scenario import Scenario, load
from diarchy.history import units

ROOT = Path(__file__).parent.parent
UNSAFE, SOUND = ROOT / "scenarios/known-unsafe", ROOT / "scenarios/simulated"


class Bug(msgspec.Struct, frozen=True, kw_only=True):
    """One known bug. `kinds`: the findings that fail, each as `check: kind`, all of which must be there and no others.

    It is found within the seeds 1 to `within`; its twin is valid on each of 1 to `sound_seeds`. `mended_by` are the options, and nothing
    else, in which the twin differs.
    """

    scenario: str
    twin: str
    mended_by: tuple[str, ...]
    bug: str
    articles: str
    claims: tuple[str, ...]
    kinds: tuple[str, ...]
    within: int = 5
    sound_seeds: int = 150

    @property
    def unsafe(self) -> Path:
        return UNSAFE / f"{self.scenario}.yaml"

    @property
    def sound(self) -> Path:
        return SOUND / f"{self.twin}.yaml"


ANOTHER_STORE = tuple(f"cluster.service.{key}" for key in ("delayed_restart", "election", "fsync", "kind", "poll", "server_timeout"))
"""What `lease` in place of `redlock` changes."""

BUGS = (
    Bug(scenario="bully-partition", twin="bully-partition-quorum", mended_by=("workload.quorum",),
        bug="Bully under a partition", articles="split brain: each side elects a leader", claims=("C13", "C15"), kinds=("overlap: granted",)),
    Bug(scenario="ring-partition", twin="ring-partition-quorum", mended_by=("workload.quorum",),
        bug="Ring under a partition, the articles' token", articles="split brain: the ring closes on each side", claims=("C14", "C15"),
        kinds=("overlap: granted",)),
    Bug(scenario="ring-partition-chang-roberts", twin="ring-partition-chang-roberts-quorum", mended_by=("workload.quorum",),
        bug="Ring under a partition, Chang and Roberts", articles="split brain: the ring closes on each side", claims=("C14", "C15"),
        kinds=("overlap: granted",)),
    Bug(scenario="bully-flapping", twin="bully-no-preemption", mended_by=("workload.preempt",),
        bug="The highest id flaps", articles="flapping, election storm", claims=("C13", "C31"), kinds=("stability: flapping",)),
    Bug(scenario="raft-forgotten-vote", twin="raft-persisted-vote", mended_by=("workload.persist",),
        bug="Raft with a forgotten vote", articles="one vote a term, persisted", claims=("C12", "C20"),
        kinds=("overlap: granted", "fencing: token-fell", "fencing: token-reused")),
    Bug(scenario="raft-rejoin", twin="raft-rejoin-pre-vote", mended_by=("workload.pre_vote",),
        bug="Raft without pre-vote, a node rejoins", articles="disruptive server, false failover", claims=("C12", "C35"),
        kinds=("stability: deposed",)),
    Bug(scenario="raft-one-way-livelock", twin="raft-one-way-pre-vote", mended_by=("workload.pre_vote",),
        bug="One-way partition, livelock", articles="asymmetric failure", claims=("C20",), kinds=("availability: gap", "stability: flapping")),
    Bug(scenario="raft-tied-election", twin="raft-random-time-outs", mended_by=("workload.spread",),
        bug="An election whose tie repeats", articles="split vote", claims=("C12",), kinds=("availability: gap",)),
    Bug(scenario="raft-stale-leader", twin="raft-stale-leader-fenced", mended_by=("workload.fence",),
        bug="A stale leader's writes, no fence", articles="zombie leader, stale leader window", claims=("C16", "C20", "C21"),
        kinds=("overlap: superseded", "fencing: stale-accepted"), sound_seeds=100),
    Bug(scenario="redis-async-failover", twin="redis-wait-for-replica", mended_by=("cluster.service.wait",),
        bug="SET NX, asynchronous replication, the primary dies", articles="the promoted replica does not have the lock", claims=("C9",),
        kinds=("overlap: granted",), sound_seeds=60),
    Bug(scenario="redis-isolated-primary", twin="redis-isolated-primary-wait", mended_by=("cluster.service.wait",),
        bug="SET NX, the primary is cut off from its replicas", articles="split brain of the store", claims=("C9",),
        kinds=("overlap: granted",), sound_seeds=60),
    Bug(scenario="redis-wait-too-few", twin="redis-wait-majority", mended_by=("cluster.service.wait",),
        bug="SET NX, WAIT for less than a majority", articles="the promoted replica does not have the lock", claims=("C9",),
        kinds=("overlap: granted",), sound_seeds=60),
    Bug(scenario="redis-late-promotion", twin="redis-wait-all", mended_by=("cluster.service.wait",),
        bug="SET NX, WAIT for a majority, a late promotion", articles="(none names it)", claims=("C9",), kinds=("overlap: granted",),
        sound_seeds=60),
    Bug(scenario="redis-empty-restart", twin="redis-append-only", mended_by=("cluster.service.persist",),
        bug="A primary without persistence restarts", articles="state lost at failover", claims=("C9", "C33"),
        kinds=("overlap: granted",), sound_seeds=60),
    Bug(scenario="redis-token-lost", twin="redis-token-wait", mended_by=("cluster.service.wait",),
        bug="The counter of tokens is lost at failover", articles="state lost at failover; a token by INCR", claims=("C8",),
        kinds=("fencing: token-reused",), sound_seeds=60),
    Bug(scenario="redis-blind-delete", twin="redis-owned-delete", mended_by=("cluster.service.release",),
        bug="Deleting somebody else's lock", articles="DEL without a look at the owner", claims=("C7",), kinds=("overlap: granted",),
        sound_seeds=60),
    Bug(scenario="redis-blind-renew", twin="redis-owned-renew", mended_by=("cluster.service.renew",),
        bug="Renewing somebody else's lock", articles="EXPIRE without a look at the owner", claims=("C7",), kinds=("overlap: granted",),
        sound_seeds=60),
    Bug(scenario="no-deadline", twin="deadline", mended_by=("workload.recipe",),
        bug="No deadline check", articles="the leader does not notice that it was deposed", claims=("C16", "C19"),
        kinds=("overlap: overstayed",), sound_seeds=60),
    Bug(scenario="pause-no-fence", twin="pause-fenced", mended_by=("workload.fence",),
        bug="A pause past the TTL, no fence", articles="the GC pause; zombie leader", claims=("C16", "C19"),
        kinds=("overlap: frozen", "fencing: stale-accepted"), sound_seeds=60),
    Bug(scenario="wall-clock-lease", twin="observed-lease", mended_by=("cluster.service.judge",),
        bug="A wall-clock lease with skew", articles="clients judge by their own clocks", claims=("C10", "C22"),
        kinds=("overlap: granted",), sound_seeds=60),
    Bug(scenario="redlock-clock-jump", twin="lease-clock-jump", mended_by=ANOTHER_STORE,
        bug="Redlock with a clock jump", articles="clock skew causes premature elections", claims=("C22",), kinds=("overlap: granted",),
        sound_seeds=60),
    Bug(scenario="redlock-client-pause", twin="lease-client-pause", mended_by=ANOTHER_STORE,
        bug="Redlock with a client pause", articles="the GC pause, and no token", claims=("C16", "C19"), kinds=("overlap: frozen",),
        sound_seeds=60),
    Bug(scenario="redlock-late-write", twin="lease-late-write", mended_by=ANOTHER_STORE,
        bug="Redlock with a write that is held up", articles="a deposed leader's write, and no token", claims=("C16",),
        kinds=("overlap: late",), sound_seeds=60),
    Bug(scenario="redlock-lost-fsync", twin="redlock-fsync", mended_by=("cluster.service.fsync",),
        bug="Redlock with lost fsync", articles="a server restarts without the lock", claims=("C9",), kinds=("overlap: granted",),
        sound_seeds=60),
    Bug(scenario="zookeeper-server-pings", twin="zookeeper-leader-pings", mended_by=("cluster.service.pings",),
        bug="A deadline from a server that does not end sessions", articles="(none names it)", claims=("C19",), kinds=("overlap: granted",),
        sound_seeds=60),
    Bug(scenario="zookeeper-stale-read", twin="zookeeper-stale-read-deadline", mended_by=("workload.recipe",),
        bug="A place in the queue by a stale read, no deadline check", articles="(none names it)", claims=("C1", "C3"),
        kinds=("overlap: overstayed", "fencing: token-fell"), sound_seeds=60),
    Bug(scenario="zookeeper-herd", twin="zookeeper-queue", mended_by=("workload.wait",),
        bug="One ephemeral node that all watch", articles="thundering herd", claims=("C1", "C2", "C6"), kinds=("herd: herd",),
        sound_seeds=40),
    Bug(scenario="monopoly", twin="monopoly-queue", mended_by=("workload.wait",),
        bug="One candidate keeps winning", articles="monopoly, starvation", claims=("C32",), kinds=("stability: monopoly",), sound_seeds=60),
)


def differences(bug: Bug) -> tuple[str, ...]:
    """The options in which the two scenarios differ; what people read, and what is expected, is left out."""
    ours, twin = (dict(_leaves(_plain(load(path)))) for path in (bug.unsafe, bug.sound))
    return tuple(key for key in sorted(ours.keys() | twin.keys()) if ours.get(key) != twin.get(key))


def _plain(scenario: Scenario) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(scenario, enc_hook=units.encode)
    return {key: value for key, value in plain.items() if key not in ("name", "about", "expect", "tags")}


def _leaves(value: Any, trail: str = "") -> Iterator[tuple[str, Any]]:
    match value:
        case {**pairs} if pairs:
            for key, inner in pairs.items():
                yield from _leaves(inner, f"{trail}.{key}" if trail else str(key))
        case [_, *_]:
            for number, inner in enumerate(value):
                yield from _leaves(inner, f"{trail}.{number}")
        case _:
            yield trail, value
