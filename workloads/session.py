"""A candidate's voice: every op is said before its request leaves, and after its outcome is known."""
import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from diarchy.clusters.stores import Refused
from diarchy.history.op import Type
from diarchy.history.transcript import Act, Line


class Answer(msgspec.Struct, frozen=True):
    """What a request that succeeded brought. Times in ns; `sent` where it is not the time of the op's `invoke`."""

    token: int | None = None
    sent: int | None = None
    ttl: int | None = None
    value: Any = None


class Outcome(msgspec.Struct, frozen=True):
    """How an op ended: `ok` with its answer, `fail` (it did not happen), or `info` (nobody knows), both with the error.

    `until` is when a lease ends at the earliest: sent + TTL, of acquire and renew. Times in ns.
    """

    type: Type
    sent: int
    answer: Answer = Answer()
    until: int | None = None
    error: Exception | None = None


class Session:
    """Says what one claimant does, as lines of the candidate protocol.

    `say` gets each line and must have passed it on when it returns; `now` is ns since the run's epoch. In a process these are
    a write to standard output and the monotonic clock; on a simulated host, a Transcript and the loop's time.
    """

    def __init__(self, claimant: str, say: Callable[[Line], object], now: Callable[[], int]) -> None:
        self.claimant, self.say, self.now = claimant, say, now
        self._tenures = 0

    def tenure(self) -> str:
        """A name for the stay in office that the next acquire may open."""
        self._tenures += 1
        return str(self._tenures)

    def note(self, process: str, f: Act, **fields: Any) -> None:
        """Say that something is so from now on: step-down, tick, stall."""
        self.say(Line(process, "ok", f, self.now(), **fields))

    async def call(self, process: str, f: Act, work: Callable[[], Awaitable[Answer]], timeout: int, *,
                   unless: Callable[[int], bool] | None = None, **fields: Any) -> Outcome | None:
        """Try one op, for at most `timeout` ns, and say so. Refused is `fail`, every other exception is `info`.

        `unless` is asked with the very time that the `invoke` would bear: True calls the op off, nothing is said, and the
        answer is None. `fields` (tenure, token, id, value, node) go into the `invoke`, all but the value into the completion.
        """
        sent = self.now()
        if unless is not None and unless(sent):
            return None
        self.say(Line(process, "invoke", f, sent, **fields))
        fields.pop("value", None)
        try:
            async with asyncio.timeout(timeout / 1e9):
                answer = await work()
        except Refused as error:
            return self._failed(process, "fail", f, sent, error, str(error), fields)
        except TimeoutError as error:
            return self._failed(process, "info", f, sent, error, f"no answer within {timeout // 1_000_000} ms", fields)
        except Exception as error:
            return self._failed(process, "info", f, sent, error, f"{type(error).__name__}: {error}", fields)
        return self._done(process, f, sent, answer, fields)

    def _failed(self, process: str, type: Type, f: Act, sent: int, error: Exception, text: str, fields: dict[str, Any]) -> Outcome:
        self.say(Line(process, type, f, self.now(), error=text, **fields))
        return Outcome(type, sent, error=error)

    def _done(self, process: str, f: Act, sent: int, answer: Answer, fields: dict[str, Any]) -> Outcome:
        until = None
        if answer.token is not None:
            fields["token"] = answer.token
        if answer.ttl is not None and f in ("acquire", "renew"):
            sent = sent if answer.sent is None else answer.sent
            until = sent + answer.ttl
            fields.update(sent=sent, ttl=answer.ttl, until=until)
        self.say(Line(process, "ok", f, self.now(), value=answer.value, **fields))
        return Outcome("ok", sent, answer, until)
