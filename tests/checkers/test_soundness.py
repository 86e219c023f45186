"""Sound systems raise no alarm, whatever goes wrong around them; each kind of harm done to their histories is found."""
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from lease_model import MS, S, World

from diarchy.checkers.judge import encode, judge
from diarchy.checkers.landed import holdings
from diarchy.checkers.overlap import Overlap, rules_of
from diarchy.checkers.verdict import Check
from diarchy.history.columns import History
from diarchy.history.lives import lives
from diarchy.history.op import Op
from diarchy.history.spans import clipped
from diarchy.history.tenures import Tenure, tenures

Lines = list[dict[str, Any]]
REFERENCES = ("of", "tenure")
seeds = st.integers(min_value=0, max_value=2**32)
few = settings(max_examples=60, deadline=None)


@lru_cache(maxsize=64)
def sound(seed: int) -> tuple[dict[str, Any], ...]:
    return tuple(World(seed).lines)


def read(lines: Lines) -> History:
    return History(msgspec.convert(lines, list[Op]))


def renumbered(lines: Lines) -> Lines:
    """The same lines with dense indices in their new order, references and all; a line without an index is new."""
    new = {line["index"]: number for number, line in enumerate(lines) if "index" in line}
    told = []
    for number, line in enumerate(lines):
        moved = line | {"index": number} | {key: new[line[key]] for key in REFERENCES if line.get(key) in new}
        if isinstance(line.get("value"), dict) and "lifts" in line["value"]:
            moved["value"] = line["value"] | {"lifts": new[line["value"]["lifts"]]}
        told.append(moved)
    return told


def fails(check: Check) -> set[str]:
    return {finding.kind for finding in check.findings if finding.fails}


@few
@given(seeds)
def test_a_sound_system_raises_no_alarm(seed: int) -> None:
    for check in judge(read(list(sound(seed)))).checks:
        assert {f.kind for f in check.findings} & {"granted", "overstayed", "late", "crashed", "broken-reference", "not-sequential", "clock"} == set()
        assert {f.level for f in check.findings} & {"accepted"} == set()
        assert fails(check) == set()


def test_the_sound_histories_hold_what_makes_them_hard() -> None:
    """Else the test above would hold of histories in which nothing happens."""
    histories = [read(list(sound(seed))) for seed in range(60)]
    checks = [Overlap().check(history) for history in histories]
    assert sum(check.stats["tenures"] for check in checks) > 200
    assert {"frozen", "possible"} <= {f.kind for check in checks for f in check.findings}
    assert any(f.level == "attempted" for check in checks for f in check.findings)
    assert any(stay.again for history in histories for stay in tenures(history))
    assert any(history.where("acquire", type="info") for history in histories)


@few
@given(seeds, st.floats(min_value=0.05, max_value=0.9))
def test_a_grant_that_came_too_early_is_found(seed: int, share: float) -> None:
    """While one is certain, the store grants another tenure."""
    lines = list(sound(seed))
    stays = [stay for stay in tenures(read(lines)) if stay.certain and stay.certain[0].end - stay.certain[0].start > 100 * MS]
    assume(stays)
    start, end = stays[seed % len(stays)].certain[0]
    at = start + round((end - start) * share)
    asked: dict[str, Any] = {"time": at - MS, "process": "c9/elect", "claimant": "c9#1", "type": "invoke", "f": "acquire"}
    got = asked | {"time": at, "type": "ok", "token": 10**6, "until": at + 2 * S, "sent": at - MS, "ttl": 2 * S + MS}
    check = Overlap().check(read(renumbered([*lines[:-1], asked, got, lines[-1]])))
    assert "granted" in fails(check)
    assert any(f.kind == "granted" and "c9#1" in f.claimants and f.start == at for f in check.findings)


@few
@given(seeds, st.integers(min_value=1, max_value=500))
def test_a_client_that_ignores_its_deadline_is_found(seed: int, past: int) -> None:
    """It says only after its successor came, and after the grace, that it stepped down."""
    lines = list(sound(seed))
    history = read(lines)
    stays, grace, alive = tenures(history), rules_of(history).grace, lives(history)

    def punishable(a: Tenure, b: Tenure) -> bool:
        """Nothing excuses the first: it says when it left, and until after the grace it is alive and awake, and does not come back."""
        end, life = b.acquired + grace + S, alive[a.claimant]
        return (a.claimant != b.claimant and a.stepped_down is not None and a.belief.end < b.acquired and b.belief.end > end
                and life.end is None and not clipped(life.paused, a.acquired, end)
                and not any(c.claimant == a.claimant and a.acquired < c.acquired and c.invoked < end for c in stays))
    pairs = [(a, b) for a, b in pairwise(stays) if punishable(a, b)]
    assume(pairs)
    first, second = pairs[seed % len(pairs)]
    left = second.acquired + grace + past * MS
    for index, line in enumerate(lines):
        if index == first.step_down:
            lines[index] = line | {"time": left}
    check = Overlap().check(read(lines))
    assert any(f.kind in ("overstayed", "granted") and f.fails and set(f.claimants) == {first.claimant, second.claimant} for f in check.findings)


@few
@given(seeds)
def test_a_late_write_that_was_accepted_is_found(seed: int) -> None:
    """The resource takes two writes in the other order: the earlier tenure's after the later's."""
    lines = list(sound(seed))
    history = read(lines)
    wrote = [holding for holding in holdings(history, tenures(history)).values() if holding.accepted]
    pairs = [(a, b) for a, b in pairwise(wrote) if a.claimant != b.claimant]
    assume(pairs)
    a, b = pairs[seed % len(pairs)]
    one, other = a.accepted[-1], b.accepted[0]
    lines[one], lines[other] = lines[one] | {"order": lines[other]["order"]}, lines[other] | {"order": lines[one]["order"]}
    check = Overlap().check(read(lines))
    assert any(f.level == "accepted" and f.fails and set(f.claimants) == {a.claimant, b.claimant} for f in check.findings)
    assert any(f.kind == "stale-accepted" and f.fails for f in judge(read(lines)).checks[2].findings)


def heard(history: History) -> list[tuple[Any, ...]]:
    """What was found, without what depends on indices."""
    return sorted((check.check, f.kind, f.level or "", f.claimants, f.start or 0, f.end or 0, f.fails)
                  for check in judge(history).checks for f in check.findings)


def shuffled(lines: Lines, dice: Random) -> Iterator[dict[str, Any]]:
    """Another order of receipt: each process in its own order, and nothing before what it refers to."""
    queues: dict[str, Lines] = {}
    for line in lines[1:-1]:
        key = "nemesis" if line["process"].startswith("nemesis") else line.get("claimant") or line["process"]
        queues.setdefault(key, []).append(line)
    yield lines[0]
    while queues:
        key = dice.choice(sorted(queues))
        yield queues[key].pop(0)
        if not queues[key]:
            del queues[key]
    yield lines[-1]


@settings(max_examples=30, deadline=None)
@given(seeds, seeds)
def test_the_order_of_receipt_does_not_matter(seed: int, dice: int) -> None:
    lines = list(sound(seed))
    assert heard(read(renumbered(list(shuffled(lines, Random(dice)))))) == heard(read(lines))


@settings(max_examples=20, deadline=None)
@given(seeds, st.integers(min_value=1, max_value=10**15))
def test_when_it_all_happened_does_not_matter(seed: int, shift: int) -> None:
    def later(line: dict[str, Any]) -> dict[str, Any]:
        moved = line | {key: line[key] + shift for key in ("time", "sent", "until") if key in line}
        if line["f"] == "stall":
            moved["value"] = {"since": line["value"]["since"] + shift}
        return moved
    lines = list(sound(seed))
    moved = [later(line) for line in lines]
    found = [(check, kind, level, who, start - shift if start else 0, end - shift if end else 0, failed)
             for check, kind, level, who, start, end, failed in heard(read(moved))]
    assert sorted(found) == heard(read(lines))


@settings(max_examples=100, deadline=None)
@given(seeds, st.floats(min_value=0, max_value=1))
def test_a_history_that_was_cut_off_anywhere_is_judged_and_raises_no_alarm(seed: int, share: float) -> None:
    lines = list(sound(seed % 50))
    verdict = judge(read(lines[:round(len(lines) * share)]))
    assert not any(f.fails or f.kind == "crashed" for check in verdict.checks for f in check.findings)


@settings(max_examples=60, deadline=None)
@given(seeds, st.data())
def test_lines_that_are_missing_never_crash_a_check(seed: int, data: st.DataObject) -> None:
    """What refers to nothing is left out, and the run is inconclusive at worst."""
    lines = list(sound(seed % 50))
    gone = data.draw(st.sets(st.integers(min_value=0, max_value=len(lines) - 1), max_size=40))
    kept = [line for line in lines if line["index"] not in gone]
    for number, line in enumerate(kept):
        kept[number] = {**line, "index": number}
    assert not any(f.kind == "crashed" for check in judge(read(kept)).checks for f in check.findings)


@pytest.mark.parametrize("seed", range(3))
def test_judging_twice_gives_the_same_bytes(seed: int) -> None:
    lines = list(sound(seed))
    assert encode(judge(read(lines))) == encode(judge(read(lines)))


def stale(history: History, tolerance: int) -> set[tuple[int, int]]:
    """By the definition, over all pairs: those of which the resource took a write of the earlier after one of the later (or T, T′, T)."""
    held = [holding for holding in holdings(history, tenures(history)).values() if holding.accepted]
    found = set()
    for a in held:
        for b in held:
            if a.root == b.root or a.claimant == b.claimant:
                continue
            mine, yours = ([int(history.order[row]) for row in holding.accepted] for holding in (a, b))
            if a.token is not None and b.token is not None and a.token != b.token:
                earlier: bool | None = a.token < b.token
            else:
                earlier = True if a.acquired + tolerance < b.invoked else False if b.acquired + tolerance < a.invoked else None
            if (earlier and max(mine) > min(yours)) or (earlier is None and any(min(mine) < order < max(mine) for order in yours)):
                found.add((a.root, b.root))
    return found


@settings(max_examples=80, deadline=None)
@given(seeds, st.booleans(), st.integers(min_value=2, max_value=30))
def test_every_tenure_whose_write_came_late_is_named_and_no_other(seed: int, tokens: bool, moved: int) -> None:
    """The resource's order is shuffled here and there; with tokens, and without."""
    dice, lines = Random(seed), list(sound(seed % 200))
    taken = [line["index"] for line in lines if line["process"] == "resource" and "order" in line]
    assume(len(taken) > 2)
    chosen = dice.sample(taken, min(len(taken), moved))
    for row, order in zip(chosen, dice.sample([lines[row]["order"] for row in chosen], len(chosen)), strict=True):
        lines[row] = lines[row] | {"order": order}
    if not tokens:
        lines = [{key: value for key, value in line.items() if key != "token"} for line in lines]
    history = read(lines)
    expected = stale(history, 0)
    held = holdings(history, tenures(history))
    named = {(f.claimants[0], f.claimants[1]) for f in Overlap().check(history).findings if f.level == "accepted"}
    assert {a for a, _ in named} == {held[a].claimant for a, _ in expected}
    assert named <= {(held[a].claimant, held[b].claimant) for a, b in expected}
