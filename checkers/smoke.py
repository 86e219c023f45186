"""The smoke alarm: last of all, a token below the highest is replayed. A resource that takes it has no fence."""
from typing import Literal, NamedTuple

import numpy as np

from diarchy.checkers.landed import accepted
from diarchy.checkers.verdict import Finding
from diarchy.history.columns import NONE, History

Outcome = Literal["refused", "taken", "unknown", "none"]


class Alarm(NamedTuple):
    """What the replay of a stale token showed."""

    outcome: Outcome
    findings: tuple[Finding, ...]
    inconclusive: bool


def smoke_alarm(history: History) -> Alarm:
    """Judge the replays of process `smoke`, by the resource's records of their ids where there are any, else by their answers.

    Without a fence in the scenario nothing was promised: then the outcome is a remark, and never makes the run inconclusive.
    """
    promised = history.setup.fence
    replays = _replays(history)
    taken = [(row, by) for row, type_, by in replays if type_ == "ok"]
    if taken:
        row, by = taken[0]
        return Alarm("taken", (Finding("no-fence", (
            f"The resource took the replay of stale token {history.token[row]} (op {row}, answer op {by}): it has no fence."
            + ("" if promised else " The scenario asks for none.")), None, (), int(history.time[row]), int(history.time[by]),
            (row, by), promised),), False)
    if any(type_ == "fail" for _, type_, _ in replays):
        return Alarm("refused", (), False)
    outcome: Outcome = "unknown" if replays else "none"
    text = ("The replay of a stale token at the end had no definite answer, so nothing shows that the fence works. Is the resource "
            "reachable once the faults are lifted?" if replays else
            "No stale token was replayed at the end, so nothing shows that the fence works. Two writes with different tokens must be "
            "accepted first: let the run go on until there was a change of leader.")
    return Alarm(outcome, (Finding("smoke-unknown" if replays else "no-smoke", text),) if promised else (), promised)


def _replays(history: History) -> list[tuple[int, str, int]]:
    """Each replay of a token strictly below the highest accepted: its `invoke`, its outcome, and the op that tells."""
    taken = accepted(history)
    tokens = history.token[taken]
    highest = int(tokens.max()) if len(tokens) else NONE
    rows = np.flatnonzero(history.process.is_("smoke") & history.f.is_("write"))
    records = history.process.is_("resource") & history.f.is_("write") & history.id.among(history.id.codes[rows])
    recorded = {history.id[row]: row for row in np.flatnonzero(records).tolist()}
    found: list[tuple[int, str, int]] = []
    open_: int | None = None
    for row in map(int, rows):
        if history.type[row] == "invoke":
            open_ = row
            if NONE < history.token[row] < highest:
                by = recorded.get(history.id[row]) if history.id[row] is not None else None
                found.append((row, "info" if by is None else history.type[by] or "info", row if by is None else by))
        elif found and found[-1][0] == open_ and found[-1][1] == "info":
            found[-1] = (found[-1][0], history.type[row] or "info", row)
    return found
