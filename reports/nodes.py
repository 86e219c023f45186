"""What the observers were told: when a node said that it leads, and when it did not answer."""
from collections.abc import Iterator

import numpy as np

from diarchy.history.columns import NONE, History
from diarchy.reports import words
from diarchy.reports.shapes import Bar


def bars(history: History) -> list[Bar]:
    """For each node the spans in which it led by its own account, and those in which it gave no answer."""
    result: list[Bar] = []
    for code, process in enumerate(history.process.table):
        if process.startswith("observer/"):
            result += _node(history, process.removeprefix("observer/"), np.flatnonzero(history.process.codes == code))
    return result


def _node(history: History, node: str, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Iterator[Bar]:
    claim: tuple[str | None, int] | None = None
    ops: list[int] = []
    silent: list[int] = []
    asked = last = 0
    for index in map(int, rows):
        match history.type[index]:
            case "invoke":
                asked = int(history.time[index])
            case "ok":
                if len(silent) > 1:
                    yield _silent(history, node, silent)
                silent = []
                value = history.value.get(index)
                leads = isinstance(value, dict) and bool(value.get("leads"))
                said = (history.claimant[index], int(history.term[index])) if leads else None
                if said != claim:
                    if claim is not None:
                        yield _leads(history, node, claim, ops, last)
                    claim, ops = said, []
                ops.append(index)
                last = asked
            case _:
                silent.append(index)
    if claim is not None:
        yield _leads(history, node, claim, ops, last)
    if len(silent) > 1:
        yield _silent(history, node, silent)


def _leads(history: History, node: str, claim: tuple[str | None, int], ops: list[int], last: int) -> Bar:
    start = int(history.time[ops[0]])
    claimant, term = claim
    label = "leads" if term == NONE else f"leads, term {term}"
    end = max(start, last)
    return Bar(node, "leads", start, end,
               f"{words.plain(claimant or node, 60)} says that it {label}\n{start / 1e9:.3f} to {words.seconds(end)}, "
               f"{words.length(end - start)}\n{len(ops)} answers, ops {ops[0]} to {ops[-1]}",
               label, "" if term == NONE else str(term))


def _silent(history: History, node: str, ops: list[int]) -> Bar:
    start, end = int(history.time[ops[0]]), int(history.time[ops[-1]])
    said = words.plain(history.error.get(ops[-1], ""), 200)
    return Bar(node, "silent", start, end,
               f"{words.plain(node, 60)} does not answer the observer\n{start / 1e9:.3f} to {words.seconds(end)}, {words.length(end - start)}\n"
               f"{len(ops)} questions, ops {ops[0]} to {ops[-1]}" + (f"\n{said}" if said else ""))
