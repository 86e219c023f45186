"""Sentences with the arithmetic of a finding, such that an engineer can verify each number by the op that it names."""
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from diarchy.checkers.levels import Harm
from diarchy.checkers.pairs import Pair, Piece, Revival
from diarchy.checkers.states import State, timeline
from diarchy.history.columns import History
from diarchy.history.lives import Life
from diarchy.history.spans import Span, total
from diarchy.history.tenures import Tenure


class Proof(NamedTuple):
    """A sentence, and the ops that it rests on."""

    text: str
    ops: tuple[int, ...]


def joined(proofs: Iterable[Proof]) -> Proof:
    """One after the other; every op once, in order."""
    whole = [proof for proof in proofs if proof.text]
    return Proof(" ".join(proof.text for proof in whole), tuple(sorted({op for proof in whole for op in proof.ops})))


def seconds(time: int) -> str:
    """`5.000 s`, rounded to ms; what is shorter than 10 ms to µs. The ops have the ns."""
    return f"{time / 10**9:.{6 if time % 10**6 and abs(time) < 10**7 else 3}f} s"


def of_piece(history: History, lives: Mapping[str, Life], pair: Pair, piece: Piece, spans: tuple[Span, ...], grace: int) -> Proof:
    """Why a piece of an overlap is of its kind. `spans` are all the pieces of this kind."""
    a, b = pair.a, pair.b
    return joined([
        Proof(f"{a.claimant} and {b.claimant} both claimed to lead for {seconds(total(spans))}, {_when(spans)}: {MEANING[piece.kind]}.",
              ()),
        _acquired(history, a), _claim(history, lives, a, piece.a, piece, grace),
        _acquired(history, b), _claim(history, lives, b, piece.b, piece, grace),
        _freed(history, a, b) if piece.kind == "granted" and piece.a is piece.b is State.CERTAIN else Proof("", ())])


MEANING = {
    "granted": "each by a grant of the election",
    "overstayed": "one stayed, awake, longer than its grant and the grace",
    "frozen": "one was paused when its grant ended, which no lease can prevent",
    "superseded": "one in a lower term, in which nothing can be committed any more",
    "possible": "too briefly, or with too little known of one of them, to say more",
}


def of_revival(history: History, pair: Pair, revival: Revival) -> Proof:
    """A renewal that cannot have succeeded."""
    earlier, later = pair.a, pair.b
    text = (f"A renewal of {earlier.claimant}'s tenure succeeded at {seconds(revival.span.start)} (op {revival.op}), sent at "
            f"{seconds(revival.sent)}, after {later.claimant} had acquired the office at {seconds(later.acquired)} (op {later.ok}): "
            "the election revived a grant that it had given away.")
    return joined([Proof(text, (revival.op, later.ok)), _acquired(history, earlier), _acquired(history, later)])


def of_one_term(history: History, a: Tenure, b: Tenure) -> Proof:
    """Two leaders of one term."""
    return Proof(f"{a.claimant} (op {a.ok}, {seconds(a.acquired)}) and {b.claimant} (op {b.ok}, {seconds(b.acquired)}) were both "
                 f"elected in term {a.term}: one term has one leader, at whatever times.", (a.ok, b.ok))


def of_harm(history: History, harm: Harm) -> Proof:
    """What the earlier of a pair did to the resource."""
    if harm.stale is None or harm.fresh is None or harm.late is None:
        return Proof("", ())
    stale, fresh, late, order = harm.stale, harm.fresh, harm.late, history.order
    name, at = f"write {history.id[late]} of {stale.claimant}", f"op {late} at {seconds(int(history.time[late]))}"
    if harm.after is not None:
        return Proof(f"The resource took {name} ({at}, order {order[late]}) after write {history.id[harm.after]} of {fresh.claimant} "
                     f"(op {harm.after}, order {order[harm.after]}).", (late, harm.after))
    if history.type[late] == "fail":
        return Proof(f"The resource refused {name} ({at}).", (late,))
    return Proof(f"The resource took {name} ({at}, order {order[late]}), sent after {fresh.claimant} had acquired the office at "
                 f"{seconds(fresh.acquired)}, before {fresh.claimant} wrote.", (late,))


def of_late(history: History, harm: Harm) -> Proof:
    """A write that came late between tenures that never overlapped."""
    assert harm.stale is not None
    assert harm.fresh is not None
    left = max(tenure.belief.end for tenure in harm.stale.tenures)
    sent = next((row for tenure in harm.stale.tenures for row in tenure.writes if harm.late is not None
                 and history.id[row] == history.id[harm.late]), None)
    text = (f"{harm.stale.claimant} (in office from {seconds(harm.stale.acquired)} to {seconds(left)}) and {harm.fresh.claimant} (from "
            f"{seconds(harm.fresh.acquired)}) never overlapped, yet a write came late.")
    when = "" if sent is None else f"It was sent at {seconds(int(history.time[sent]))} (op {sent}). The resource has no working fence."
    ends = [op for tenure in harm.stale.tenures if (op := tenure.step_down) is not None]
    return joined([Proof(text, (*ends, harm.fresh.tenures[0].ok)), of_harm(history, harm), Proof(when, () if sent is None else (sent,))])


def _when(spans: tuple[Span, ...]) -> str:
    if len(spans) == 1:
        return f"from {seconds(spans[0].start)} to {seconds(spans[0].end)}"
    return f"in {len(spans)} pieces between {seconds(spans[0].start)} and {seconds(spans[-1].end)}"


def _acquired(history: History, tenure: Tenure) -> Proof:
    badge = "" if tenure.token is None else f" with token {tenure.token}"
    badge += "" if tenure.term is None else f" in term {tenure.term}"
    return Proof(f"{tenure.claimant} acquired at {seconds(tenure.acquired)}{badge} (op {tenure.ok}).", (tenure.id, tenure.ok))


def _claim(history: History, lives: Mapping[str, Life], tenure: Tenure, state: State, piece: Piece, grace: int) -> Proof:
    """What a tenure's claim rested on when the piece began."""
    proofs = [_deadline(history, tenure, piece.start)] if tenure.lease else []
    match state:
        case State.OVERDUE:
            since = next(part.start for part in timeline(tenure, grace) if part.state is state and part.end > piece.start)
            proofs += [Proof(f"It was overdue, and awake, from {seconds(since)}: the grace of {seconds(grace)} was used up.", ()), _leaving(tenure)]
        case State.PAUSED:
            proofs += [_asleep(lives[tenure.claimant], piece)]
        case State.SILENT:
            proofs += [Proof(f"Its last sign of life was at {seconds(tenure.last_sign)}: nothing shows that it still acted.", ())]
        case State.LATE:
            proofs += [_leaving(tenure)]
        case State.CLAIMED:
            proofs += [Proof("It has no deadline.", ()), _leaving(tenure)]
        case State.CERTAIN:
            pass
    return joined(proofs)


def _deadline(history: History, tenure: Tenure, at: int) -> Proof:
    """The grant that bounded the certain time at a moment, and what cut it short."""
    best = max((i for i, row in enumerate(tenure.grants) if history.get("until", row) is not None and history.time[row] <= at),
               key=lambda i: (int(history.until[tenure.grants[i]]), i), default=None)
    if best is None:
        return Proof("No grant had reached it before its own deadline.", (tenure.ok,))
    row, sent = tenure.grants[best], tenure.sent[best]
    until, ttl = int(history.until[row]), history.get("ttl", row)
    ops: tuple[int, ...] = (row,)
    text = f"Its grant {'lasted' if until <= at else 'lasts'} until {seconds(until)} (op {row}" + (
        "" if sent is None else f": sent {seconds(sent)} + TTL {seconds(until - sent if ttl is None else ttl)}") + ")"
    if history.time[row] > until:
        text += f", which had passed when the answer came at {seconds(int(history.time[row]))}"
    for word, time, op in (("stepped down", tenure.stepped_down, tenure.step_down), ("released it", tenure.released, tenure.release)):
        if time is not None and op is not None and time < min(until, at + 1):
            text, ops = f"{text}; it {word} at {seconds(time)} (op {op})", (*ops, op)
    return Proof(text + ".", ops)


def _asleep(life: Life, piece: Piece) -> Proof:
    """The pauses and stalls in a piece, those that meet as one."""
    slept = [span for span in life.paused if span.start < piece.end and span.end > piece.start]
    naps = [[nap for nap in life.naps if nap.start < span.end and nap.end > span.start] for span in slept]
    return joined(Proof(f"It was paused from {seconds(span.start)} to {seconds(span.end)} ({_ops(ops)}).", ops)
                  for span, part in zip(slept, naps, strict=True) for ops in [tuple(sorted({op for nap in part for op in nap.ops}))])


def _leaving(tenure: Tenure) -> Proof:
    """Until when it believed that it led, and why."""
    end = seconds(tenure.belief.end)
    if tenure.step_down is not None and tenure.stepped_down is not None and tenure.stepped_down >= tenure.belief.end:
        return Proof(f"It stepped down at {end} (op {tenure.step_down}).", (tenure.step_down,))
    if tenure.step_down is not None and tenure.writes and tenure.stepped_down is not None and tenure.stepped_down < tenure.belief.end:
        return Proof(f"It still wrote at {end} (op {tenure.writes[-1]}), after its step-down at {seconds(tenure.stepped_down)} "
                     f"(op {tenure.step_down}).", (tenure.writes[-1], tenure.step_down))
    return Proof(f"It never said that it stepped down; its claim is counted to {end}.", ())


def _freed(history: History, a: Tenure, b: Tenure) -> Proof:
    """The op that may have freed the lock while the first of the two still held it by its grant."""
    first, second = (a, b) if a.acquired <= b.acquired else (b, a)
    rows = [row for row in history.where("release", type="invoke")
            if first.acquired <= history.time[row] <= second.acquired and history.claimant[row] != first.claimant]
    if not rows:
        return Proof(f"Nobody had released {first.claimant}'s grant.", ())
    row = rows[-1]
    return Proof(f"{history.claimant[row]} sent a release at {seconds(int(history.time[row]))} (op {row}), which may have freed it.", (row,))


def _ops(ops: tuple[int, ...]) -> str:
    return f"op {ops[0]}" if len(ops) == 1 else f"ops {', '.join(map(str, ops[:-1]))} and {ops[-1]}"
