"""The fencing checker against its definitions taken literally, record by record, on random records of a resource."""
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from told import acquire, line, tell

from diarchy.checkers.fencing import Fencing
from diarchy.checkers.landed import accepted, records
from diarchy.checkers.verdict import Check
from diarchy.history.columns import History


def draw(dice: Random) -> History:
    lines: list[dict[str, Any]] = []
    for second in range(1, dice.randrange(2, 30)):
        if dice.random() < 0.2:
            lines += acquire(dice.choice(["c1", "c2"]), second, second + 0.5, dice.randrange(1, 8))
            continue
        given = {"token": dice.randrange(1, 8), "order": dice.randrange(40), "fence": dice.randrange(8), "epoch": dice.randrange(1, 3)}
        kept = {key: value for key, value in given.items() if dice.random() < 0.9}
        lines.append(line(second, "resource", dice.choice(["ok", "ok", "fail"]), "write", id=f"w{second}", **kept))
    return tell(lines, end=40, fence=True)


def of_kind(check: Check, kind: str) -> list[tuple[int, ...]]:
    return [finding.ops for finding in check.findings if finding.kind == kind]


def stale(history: History) -> list[tuple[int, int]]:
    """For each token the first write taken after one of a higher token, and the last rightful one before it."""
    rightful: int | None = None
    found: dict[int, tuple[int, int]] = {}
    for row in accepted(history).tolist():
        token = history.get("token", row)
        if token is None:
            continue
        if rightful is None or token >= history.token[rightful]:
            rightful = row
        else:
            found.setdefault(token, (rightful, row))
    return list(found.values())


def fence_lost(history: History) -> list[tuple[int, int]]:
    """The first record of a lower fence than the highest before: of a later boot, or of the same where both were ordered."""
    rows = [row for row in records(history).tolist() if history.get("fence", row) is not None]
    highest: int | None = None
    for row in sorted(rows, key=lambda row: (history.epoch[row], -1 if history.get("order", row) is None else history.order[row], row)):
        if highest is not None and history.fence[row] < history.fence[highest] and (
                history.epoch[row] > history.epoch[highest] or None not in (history.get("order", row), history.get("order", highest))):
            return [(highest, row)]
        if highest is None or history.fence[row] > history.fence[highest]:
            highest = row
    return []


def refused(history: History) -> tuple[int, int]:
    """How many refused writes were below the fence (without one: below what had been granted and taken), and how many were not."""
    counts = [0, 0]
    for row in records(history).tolist():
        token, fence = history.get("token", row), history.get("fence", row)
        if history.type[row] != "fail" or token is None:
            continue
        granted = [other for other in history.where("acquire", type="ok") if history.time[other] <= history.time[row]]
        taken = [other for other in records(history).tolist() if history.type[other] == "ok" and history.time[other] < history.time[row]]
        known = [known for other in granted + taken if (known := history.get("token", other)) is not None] if fence is None else [fence]
        counts[token >= max(known, default=token)] += 1
    return counts[0], counts[1]


@settings(max_examples=200, deadline=None)
@given(st.integers(min_value=0, max_value=2**32))
def test_random_records(seed: int) -> None:
    history = draw(Random(seed))
    check = Fencing().check(history)
    assert sorted(of_kind(check, "stale-accepted")) == sorted(stale(history))
    assert of_kind(check, "fence-lost") == fence_lost(history)
    assert (check.stats["refused_stale"], check.stats["refused_highest"]) == refused(history)


def test_the_draw_is_varied() -> None:
    checks = [Fencing().check(draw(Random(seed))) for seed in range(100)]
    assert all(sum(bool(of_kind(check, kind)) for check in checks) > 10 for kind in ("stale-accepted", "fence-lost", "refused-highest"))
    assert sum(check.stats["refused_stale"] > 0 for check in checks) > 10
