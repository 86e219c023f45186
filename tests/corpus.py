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
