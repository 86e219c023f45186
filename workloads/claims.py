"""What a node of an election algorithm says of itself, as ops of the history."""
from typing import Any

from diarchy.clusters.simulated.hosts import SimulatedHost
from diarchy.history.op import Recorder


class Claims:
    """The ops of one node, under the name of its newest boot. Times in ns, true time; `tenure` is the stay in office that it is in."""

    def __init__(self, host: SimulatedHost, recorder: Recorder) -> None:
        self.tenure: int | None = None
        self.token: int | None = None
        self._host, self.tell = host, recorder.tell
        self._asked: int | None = None
        self._renewal = False

    def say(self, process: str, type: Any, f: str, **rest: Any) -> int:
        """One line; its index."""
        return self.tell(f"{self._host.name}/{process}", type, f, claimant=self._host.claimant, **rest)

    def ready(self) -> None:
        self.tell(self._host.name, "ok", "ready", claimant=self._host.claimant)

    def ended(self) -> None:
        self.tell(self._host.name, "ok", "exit", claimant=self._host.claimant, value={"status": 0})

    def tick(self) -> None:
        """A sign of life."""
        self.say("tick", "ok", "tick")

    def campaign(self, term: int | None) -> None:
        self.defeated(None)
        self._asked = self.say("elect", "invoke", "acquire", term=term)

    def elected(self, term: int | None, token: int | None, sent: int | None, ttl: int | None) -> None:
        if self._asked is None:
            self.campaign(term)
        until = None if sent is None or ttl is None else sent + ttl
        self.say("elect", "ok", "acquire", term=term, token=token, sent=sent, ttl=ttl, until=until)
        self.tenure, self.token, self._asked = self._asked, token, None

    def defeated(self, why: str | None) -> None:
        if self._asked is not None:
            self.say("elect", "fail", "acquire", error=why or None)
            self._asked = None

    def renewing(self) -> None:
        """A round that may prolong the lease; the one before, if it was never answered, is answered by this one's answer."""
        if not self._renewal:
            self.say("renew", "invoke", "renew", tenure=self.tenure, token=self.token)
            self._renewal = True

    def renewed(self, sent: int, ttl: int) -> None:
        self.renewing()
        self.say("renew", "ok", "renew", tenure=self.tenure, token=self.token, sent=sent, ttl=ttl, until=sent + ttl)
        self._renewal = False

    def step_down(self, why: str) -> None:
        if self._renewal:
            self.say("renew", "fail", "renew", tenure=self.tenure, error=why)
        self.say("elect", "ok", "step-down", tenure=self.tenure, token=self.token, value={"why": why})
        self.tenure, self._renewal = None, False

    def died(self) -> None:
        """What was under way ends without a word."""
        self.tenure = self._asked = None
        self._renewal = False
