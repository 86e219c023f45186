"""A system's own leader, as observers read it: which node said that it leads, in which term, and for how long. Times in ns."""
from functools import lru_cache

import msgspec

from diarchy.history.columns import NONE, History
from diarchy.history.spans import Span


class Claim(msgspec.Struct, frozen=True):
    """One boot of a node said that it leads, in one term, in two answers or more with no other answer between."""

    claimant: str
    node: str
    term: int | None
    belief: Span
    """From the first positive answer's `ok` to the last positive question's `invoke`."""
    ops: tuple[int, int]
    """Indices of that `ok` and that `invoke`."""
    samples: int
    fresh: bool
    """Whether the term was new to this boot when the claim began: its answer before was not in the same term."""


class _Run(msgspec.Struct):
    claimant: str
    node: str
    term: int | None
    first: int
    last: int
    samples: int
    fresh: bool
    doubtful: bool = False


def claims(history: History) -> list[Claim]:
    """The claims of all nodes, in the order of their start. What was said once only proves nothing and is left out.

    So is a claim that goes over into one of a higher term of the same boot with no other answer between: a server that fills
    its answer from two variables (etcd's Status does) names its new leader beside the old term until it has committed.
    """
    return list(_claims(history))


@lru_cache(maxsize=1)
def _claims(history: History) -> tuple[Claim, ...]:
    found: list[_Run] = []
    open_: dict[str, _Run] = {}
    asked: dict[str, int] = {}
    before: dict[str, tuple[str | None, int | None]] = {}
    mask = history.f.is_("observe") & history.process.like("observer/")
    for row in map(int, mask.nonzero()[0]):
        process, type_ = history.process[row] or "", history.type[row]
        if type_ == "invoke":
            asked[process] = row
            continue
        of = int(history.of[row])
        question = asked.pop(process, None) if of == NONE else of
        if type_ != "ok" or question is None or not 0 <= question < len(history):
            continue
        said = history.claimant[row], history.get("term", row)
        _answer(history, open_, found, process, row, question, before.get(process) != said)
        before[process] = said
    said_twice = (_claim(history, run) for run in found if run.samples > 1 and not run.doubtful)
    return tuple(sorted(said_twice, key=lambda claim: (claim.belief, claim.ops)))


def _answer(history: History, open_: dict[str, _Run], found: list[_Run], process: str, row: int, question: int,
            fresh: bool) -> None:
    value, claimant = history.value.get(row), history.claimant[row]
    if not isinstance(value, dict) or value.get("leads") is not True or claimant is None:
        open_.pop(process, None)
        return
    term, run = history.get("term", row), open_.get(process)
    if run is not None and (run.claimant, run.term) == (claimant, term):
        run.last, run.samples = question, run.samples + 1
        return
    if run is not None and run.claimant == claimant and run.term is not None and term is not None and run.term < term:
        run.doubtful = True
    run = open_[process] = _Run(claimant, history.node[row] or claimant.partition("#")[0], term, row, question, 1, fresh)
    found.append(run)


def _claim(history: History, run: _Run) -> Claim:
    start, end = int(history.time[run.first]), int(history.time[run.last])
    return Claim(run.claimant, run.node, run.term, Span(start, max(start, end)), (run.first, run.last), run.samples, run.fresh)
