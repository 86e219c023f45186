"""A node of an election algorithm on its simulated host: messages, its timer, what it claims, and its writes while it leads."""
from collections.abc import Callable
from typing import Any

from diarchy.clusters.simulated.world import World
from diarchy.history.op import Recorder
from diarchy.workloads.claims import Claims
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
from diarchy.workloads.memory import SimulatedResource
from diarchy.workloads.peer_options import Peers
from diarchy.workloads.peer_writer import PeerWriter


class Peer:
    """Runs one machine over all boots of its host. `receive` and the timer are the hot path of a simulated run."""

    def __init__(self, world: World, name: str, peers: tuple[str, ...], options: Peers, recorder: Recorder,
                 resource: SimulatedResource) -> None:
        self.name, self.host, self._loop = name, world.host(name), world.loop
        self._world, self._peers, self._options, self._say = world, peers, options, Claims(self.host, recorder)
        self._writer = PeerWriter(world, name, self._say, resource, options.write_every, options.timeout, self._in_office)
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
        if self.host.awake and not self._stopped and (now := self.host.now()) >= self._machine.due:
            self._follow(now, self._machine.on_timer(now))  # before the messages that have waited

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
        if not self.host.dead:
            self._say.ended()

    @property
    def leads(self) -> bool:
        """Whether it is in office by its own account."""
        return self._say.tenure is not None

    def tick(self) -> None:
        """A sign of life, while it leads."""
        if self.host.awake and self.leads:
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
                if say.tenure is not None:
                    self._writer.begin(say.tenure)
            case Defeated(why):
                say.defeated(why)
            case Renewing():
                say.renewing()
            case Renewed(sent, ttl):
                say.renewed(true(sent), ttl)
            case StepDown(why):
                say.step_down(why)

    def _in_office(self, tenure: int) -> bool:
        """Asked before a write: the machine's timer comes first, where it is due."""
        now = self.host.now()
        if now >= self._machine.due:
            self._follow(now, self._machine.on_timer(now))
        return tenure == self._say.tenure and not self._stopped

    def _died(self) -> None:
        self._say.died()
        self._writer.died()

    def _again(self) -> None:
        self._queued = FOREVER
        self._set(self._options.machine(self.name, self._peers, self._world.dice(self.host.claimant), self._machine.hard))
        self.begin()
