"""Outcomes: what a session says of an op that worked, was refused, or went nowhere."""
import asyncio
from collections.abc import Awaitable, Callable

import pytest

from diarchy.clusters.stores import Lost, Refused, Unreachable
from diarchy.history.transcript import Line
from diarchy.workloads.session import Answer, Outcome, Session

MS = 10**6


class Clock:
    """Moves on by 1 at each reading."""

    def __init__(self) -> None:
        self.time = 100

    def __call__(self) -> int:
        self.time += 1
        return self.time


def one(work: Callable[[], Awaitable[Answer]], f: str = "write", timeout: int = 50 * MS, **fields: object) -> tuple[list[Line], Outcome | None]:
    said: list[Line] = []
    session = Session("c1#1", said.append, Clock())
    outcome = asyncio.run(session.call("elect", f, work, timeout, **fields))  # type: ignore[arg-type]
    return said, outcome


def raising(error: BaseException) -> Callable[[], Awaitable[Answer]]:
    async def work() -> Answer:
        raise error

    return work


def giving(answer: Answer) -> Callable[[], Awaitable[Answer]]:
    async def work() -> Answer:
        return answer

    return work


def test_ok_has_the_answer() -> None:
    said, outcome = one(giving(Answer(value={"order": 3})), id="c1#1-1", token=5, tenure="1", value=7, node="n1")
    assert said == [Line("elect", "invoke", "write", 101, id="c1#1-1", token=5, tenure="1", value=7, node="n1"),
                    Line("elect", "ok", "write", 102, id="c1#1-1", token=5, tenure="1", value={"order": 3}, node="n1")]
    assert outcome is not None
    assert outcome.type == "ok"


@pytest.mark.parametrize("error", [Refused("no"), Lost("no"), Unreachable("no")])
def test_only_a_refusal_is_fail(error: Refused) -> None:
    said, outcome = one(raising(error))
    assert [(line.type, line.error) for line in said] == [("invoke", None), ("fail", "no")]
    assert outcome is not None
    assert outcome.error is error


@pytest.mark.parametrize("error", [ConnectionResetError(), EOFError(), ValueError("broken answer"), KeyError("x"), TimeoutError()])
def test_everything_else_is_unknown(error: Exception) -> None:
    said, outcome = one(raising(error))
    assert [line.type for line in said] == ["invoke", "info"]
    assert said[1].error
    assert outcome is not None
    assert outcome.type == "info"


def test_the_session_owns_the_time_out() -> None:
    async def work() -> Answer:
        await asyncio.Event().wait()
        return Answer()

    said, _ = one(work, timeout=5 * MS)
    assert said[1].type == "info"
    assert said[1].error == "no answer within 5 ms"


@pytest.mark.parametrize("f", ["acquire", "renew"])
def test_a_lease_ends_a_ttl_after_its_request_left(f: str) -> None:
    said, outcome = one(giving(Answer(token=4, ttl=1000)), f)
    assert (said[1].sent, said[1].ttl, said[1].until) == (101, 1000, 1101)
    assert outcome is not None
    assert (outcome.sent, outcome.until) == (101, 1101)


def test_a_lease_that_was_granted_before_the_op_counts_from_then() -> None:
    said, outcome = one(giving(Answer(token=4, ttl=1000, sent=7)), "acquire")
    assert (said[1].sent, said[1].until, said[1].token) == (7, 1007, 4)
    assert outcome is not None
    assert outcome.until == 1007


def test_writes_have_no_deadline() -> None:
    said, _ = one(giving(Answer(ttl=1000)))
    assert (said[1].sent, said[1].until) == (None, None)


def test_the_check_before_an_op_sees_the_very_time_of_its_invoke() -> None:
    seen: list[int] = []

    def unless(now: int) -> bool:
        seen.append(now)
        return False

    said, _ = one(giving(Answer()), unless=unless)
    assert seen == [said[0].time]


def test_an_op_that_is_called_off_is_not_said() -> None:
    said, outcome = one(raising(AssertionError("it was tried")), unless=lambda now: True)
    assert (said, outcome) == ([], None)


def test_the_invoke_is_said_before_the_request_leaves() -> None:
    said: list[Line] = []
    before: list[int] = []

    async def work() -> Answer:
        before.append(len(said))
        return Answer()

    asyncio.run(Session("c1#1", said.append, Clock()).call("write", "write", work, MS))
    assert before == [1]
