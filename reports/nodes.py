"""What the observers were told: when a node said that it leads, and when it did not answer."""
from collections.abc import Iterator

import numpy as np

from diarchy.history.columns import History, Ints
from diarchy.history.observed import Claim, claims
from diarchy.reports import words
from diarchy.reports.shapes import Bar


def bars(history: History) -> Iterator[Bar]:
    """For each node the spans in which it led by its own account, and those in which it gave no answer twice or more."""
    yield from (_leads(claim) for claim in claims(history))
    for code, process in enumerate(history.process.table):
        if process.startswith("observer/"):
            yield from _silences(history, process.removeprefix("observer/"), np.flatnonzero(history.process.codes == code))


def _leads(claim: Claim) -> Bar:
    said = "leads" if claim.term is None else f"leads, term {claim.term}"
    start, end = claim.belief
    return Bar(claim.node, "leads", start, end,
               f"{words.plain(claim.claimant, 60)} says that it {said}\n{start / 1e9:.3f} to {words.seconds(end)}, {words.length(end - start)}\n"
               f"{claim.samples} answers, ops {claim.ops[0]} to {claim.ops[1]}", said, "" if claim.term is None else str(claim.term))


def _silences(history: History, node: str, rows: Ints) -> Iterator[Bar]:
    answers = rows[~history.type.is_("invoke")[rows]]
    failed = ~history.type.is_("ok")[answers]
    for part in np.split(answers, np.flatnonzero(np.diff(failed)) + 1):
        if len(part) > 1 and history.type[int(part[0])] != "ok":
            first, last = int(part[0]), int(part[-1])
            start, end = int(history.time[first]), int(history.time[last])
            why = words.plain(history.error.get(last, ""), 200)
            yield Bar(node, "silent", start, end,
                      f"{words.plain(node, 60)} does not answer the observer\n{start / 1e9:.3f} to {words.seconds(end)}, "
                      f"{words.length(end - start)}\n{len(part)} questions, ops {first} to {last}" + (f"\n{why}" if why else ""))
