"""A node of an election algorithm on its simulated host: messages, its timer, what it claims, and its writes while it leads."""
from collections.abc import Callable
from typing import Any

from diarchy.clusters.simulated.world import World
from diarchy.history.op import Recorder
from diarchy.workloads.machine import (
    FOREVER,
    Broadcast,
    Campaign,
    Defeated,
    Effects,
    Elected,
    Machine,
    Renewed,
    Renewing,
    Send,
    StepDown,
)
from diarchy.workloads.memory import RESOURCE, SimulatedResource
from diarchy.workloads.peer_options import Peers
from diarchy.workloads.resource import Record, Write


class Peer:
    """Runs one machine over all boots of its host. `receive` and the timer are the hot path of a simulated run."""

    def __init__(self, world: World, name: str, peers: tuple[str, ...], options: Peers, say: "Claims") -> None:
        self.name, self.host, self._loop = name, world.host(name), world.loop
        self._world, self._peers, self._options, self._say = world, peers, options, say
        self._clock = self.host.clock
        self._to: dict[str, tuple[Callable[..., None], Callable[[Any, Any], None]]] = {}
        self._rest: list[tuple[Callable[..., None], Callable[[Any, Any], None]]] = []
        self._stopped, self._queued = False, FOREVER
        self._set(options.machine(name, peers, world.dice(f"{name}#1"), None))
        self.host.killed.append(self._died)
        self.host.started.append(self._again)
        self.host.changed.append(self._changed)
        self._changed()

    def _set(self, machine: Machine) -> None:
        self._machine, self._on_message = machine, machine.on_message

    def _changed(self) -> None:
        """Nothing stands between a message and the machine, as a rule: the host runs, and its clock shows true time."""
        self._straight = self.host.awake and self._clock.plain and not self._stopped

    def meet(self, others: "dict[str, Peer]") -> None:
        """Know the others, and the links to them."""
        self._to = {name: (self._world.link(self.name, name).send, peer.receive) for name, peer in others.items() if name != self.name}
        self._rest = list(self._to.values())

    def begin(self) -> None:
        """The machine starts."""
        self._say.ready()
        now = self.host.now()
        self._follow(now, self._machine.start(now))

    def stop(self) -> None:
        """Leave office of its own will, and take no further part."""
        if self.host.awake:
            now = self.host.now()
            self._follow(now, self._machine.resign(now))
        self._stopped = True
        self._changed()
        self._say.ended(self.host.dead)

    def tick(self) -> None:
        """A sign of life, while it leads."""
        if self.host.awake and self._say.tenure is not None:
            self._say.tick()

    def receive(self, sender: str, message: Any) -> None:
        """A message has arrived."""
        if self._straight:
            now = self._loop.now
        elif self.host.awake and not self._stopped:
            now = self.host.now()
        else:
            return self._later(self.receive, (sender, message))
        effects = self._on_message(now, sender, message)
        if effects:
            self._act(now, effects)
        if self._machine.due < self._queued:
            self._arm(now)

    def _later(self, act: Callable[..., None], args: tuple[Any, ...]) -> None:
        if not self._stopped:
            self.host.take(act, args)

    def _arm(self, now: int) -> None:
        """Ask for the timer. One that was asked for before and is later falls through; one that moves on is asked for again when it rings."""
        self._queued = due = self._machine.due
        self._loop.push(due if self._clock.plain else self._clock.true(due), self._ring, self.host.boot, due)

    def _ring(self, boot: int, due: int) -> None:
        if boot != self.host.boot or due != self._queued:
            return
        if not self.host.awake or self._stopped:
            return self._later(self._ring, (boot, due))
        now = self.host.now()
        self._queued = FOREVER
        if now >= self._machine.due:
            self._follow(now, self._machine.on_timer(now))
        elif self._machine.due < FOREVER:
            self._arm(now)

    def _follow(self, now: int, effects: Effects) -> None:
        self._act(now, effects)
        if self._machine.due < self._queued:
            self._arm(now)

    def _act(self, now: int, effects: Effects) -> None:
        name = self.name
        for effect in effects:
            kind = type(effect)
            if kind is Send:
                send, receive = self._to[effect.to]  # type: ignore[union-attr]
                send(receive, name, effect.message)  # type: ignore[union-attr]
            elif kind is Broadcast:
                for send, receive in self._rest:
                    send(receive, name, effect.message)  # type: ignore[union-attr]
            else:
                self._claim(effect)

    def _claim(self, effect: Any) -> None:
        say, true = self._say, self._clock.true
        match effect:
            case Campaign(term):
                say.campaign(term)
            case Elected(term, token, sent, ttl):
                say.elected(term, token, None if sent is None else true(sent), ttl)
                self._write(say.tenure)
            case Defeated(why):
                say.defeated(why)
            case Renewing():
                say.renewing()
            case Renewed(sent, ttl):
                say.renewed(true(sent), ttl)
            case StepDown(why):
                say.step_down(why)

    def _write(self, tenure: int | None) -> None:
        """One write of this stay in office, unless it is over; the machine's timer comes first where it is due."""
        if tenure is None or self._stopped or tenure != self._say.tenure:
            return
        now = self.host.now()
        if now >= self._machine.due:
            self._follow(now, self._machine.on_timer(now))
            if tenure != self._say.tenure:
                return
        write = self._say.writes()
        self._world.send(self.name, RESOURCE, self._arrive, tenure, self.host.boot, write)
        self.host.after(int(self._options.timeout), self._expire, tenure, write)

    def _arrive(self, tenure: int, boot: int, write: Write) -> None:
        self._world.send(RESOURCE, self.name, self._written, tenure, boot, self._say.resource.write(write))

    def _written(self, tenure: int, boot: int, record: Record) -> None:
        if boot == self.host.boot and self._say.wrote(record):
            self.host.after(int(self._options.write_every), self._write, tenure)

    def _expire(self, tenure: int, write: Write) -> None:
        if not self._stopped and self._say.unanswered(write):
            self._write(tenure)

    def _died(self) -> None:
        self._say.died()

    def _again(self) -> None:
        self._queued = FOREVER
        self._set(self._options.machine(self.name, self._peers, self._world.dice(self.host.claimant), self._machine.hard))
        self.begin()


class Claims:
    """What one node says of itself, as ops of its newest boot; `tenure` is its stay in office, if it is in office."""

    def __init__(self, world: World, name: str, recorder: Recorder, resource: SimulatedResource) -> None:
        self.tenure: int | None = None
        self.resource = resource
        self._host, self._name, self._recorder = world.host(name), name, recorder
        self._asked: int | None = None
        self._token: int | None = None
        self._renewal = False
        self._pending: str | None = None
        self._count = self._unknown = 0

    def _say(self, process: str, type: Any, f: str, **rest: Any) -> int:
        index = self._recorder.count
        fields = {key: value for key, value in rest.items() if value is not None}
        self._recorder.append(f"{self._name}/{process}", type, f, claimant=self._host.claimant, **fields)
        return index

    def ready(self) -> None:
        self._recorder.append(self._name, "ok", "ready", claimant=self._host.claimant)

    def ended(self, killed: bool) -> None:
        if not killed:
            self._recorder.append(self._name, "ok", "exit", claimant=self._host.claimant, value={"status": 0})

    def tick(self) -> None:
        self._say("tick", "ok", "tick")

    def campaign(self, term: int | None) -> None:
        self.defeated("")
        self._asked = self._say("elect", "invoke", "acquire", term=term)

    def elected(self, term: int | None, token: int | None, sent: int | None, ttl: int | None) -> None:
        if self._asked is None:
            self.campaign(term)
        until = None if sent is None or ttl is None else sent + ttl
        self._say("elect", "ok", "acquire", term=term, token=token, sent=sent, ttl=ttl, until=until)
        self.tenure, self._asked, self._token = self._asked, None, token

    def defeated(self, why: str) -> None:
        if self._asked is not None:
            self._say("elect", "fail", "acquire", error=why or None)
            self._asked = None

    def renewing(self) -> None:
        if not self._renewal:
            self._say("renew", "invoke", "renew", tenure=self.tenure, token=self._token)
            self._renewal = True

    def renewed(self, sent: int, ttl: int) -> None:
        self.renewing()
        self._say("renew", "ok", "renew", tenure=self.tenure, token=self._token, sent=sent, ttl=ttl, until=sent + ttl)
        self._renewal = False

    def step_down(self, why: str) -> None:
        if self._renewal:
            self._say("renew", "fail", "renew", tenure=self.tenure, error=why)
        self._say("elect", "ok", "step-down", tenure=self.tenure, token=self._token, value={"why": why})
        self.tenure, self._renewal = None, False

    def died(self) -> None:
        self.tenure = self._asked = self._pending = None
        self._renewal = False

    @property
    def _writer(self) -> str:
        return f"write.{self._unknown}" if self._unknown else "write"

    def writes(self) -> Write:
        """A write is about to leave."""
        self._count += 1
        self._pending = id = f"{self._host.claimant}-{self._count}"
        self._say(self._writer, "invoke", "write", tenure=self.tenure, token=self._token, id=id, value=self._count)
        return Write(id, self._token, self._count)

    def wrote(self, record: Record) -> bool:
        """Its answer; False where it is no longer waited for."""
        if record.id != self._pending:
            return False
        self._pending = None
        error = None if record.type == "ok" else f"the fence is at {record.fence}"
        self._say(self._writer, record.type, "write", token=record.token, id=record.id, error=error)
        return True

    def unanswered(self, write: Write) -> bool:
        """The time for the answer is over; False where it came."""
        if write.id != self._pending:
            return False
        self._say(self._writer, "info", "write", token=write.token, id=write.id, error="no answer in time")
        self._pending = None
        self._unknown += 1
        return True
