"""Plays election machines from a text file, in the manner of etcd-io/raft's rafttest: commands, `----`, and what came of them.

    nodes n1 n2 n3 kind=raft election=150ms    a new world: the nodes and their options; clocks stand at 0
    dice n1=0.9                                what a node's dice show from now on (else n1 0, and the others more in turn)
    start [n1 …]                               all, or these
    tick 150ms                                 let time pass; timers ring, no message arrives
    deliver [n1->n2 …]                         what is on its way now arrives, on all links or on these
    drop n1->n2 …                              what is on its way there is lost
    stabilize                                  deliver until nothing is on its way
    run 2s                                     let time pass; every message arrives at once; only what is claimed is printed
    cut n1->n2 …                               from now on what is sent there is lost
    isolate n3, split n1 n2 | n3, heal         the same for all links of a node, or between parts; mend all
    crash n1, restart n1 [lost]                with or without what was on its disk
    pause n1, resume n1                        messages wait for it; its timer, if it is due, comes before them
    resign n1, state
"""
from collections.abc import Iterable, Iterator
from random import Random
from typing import Any

import msgspec

from diarchy.history import units
from diarchy.history.units import Duration
from diarchy.workloads.bully import Bully
from diarchy.workloads.machine import Broadcast, Effects, Elected, Machine, Send, StepDown
from diarchy.workloads.raft import Raft
from diarchy.workloads.ring import Ring

TIMES = {"sent", "ttl"}


def play(text: str) -> str:
    """The same text, with what really came of the commands."""
    stage = Stage()
    blocks = [block for block in text.strip().split("\n\n") if block.strip()]
    return "\n\n".join(_block(stage, block) for block in blocks) + "\n"


def _block(stage: "Stage", block: str) -> str:
    lines = block.splitlines()
    if "----" not in lines:
        assert all(line.startswith("#") for line in lines), f"commands without ----: {block}"
        return block
    asked = lines[:lines.index("----")]
    came = [line for command in asked if not command.startswith("#") for line in stage.do(command)]
    return "\n".join([*asked, "----", *(came or ["ok"])])


class Shown(Random):
    """Dice that show what they are told."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def random(self) -> float:
        return self.value


class Stage:
    """The nodes, what is on its way between them, and their common clock."""

    def __init__(self) -> None:
        self.now = 0
        self.names: tuple[str, ...] = ()
        self.options: Any = None
        self.machines: dict[str, Machine] = {}
        self.disks: dict[str, Any] = {}
        self.dice: dict[str, Shown] = {}
        self.office: dict[str, str] = {}
        self.flight: list[tuple[str, str, Any]] = []
        self.cuts: set[tuple[str, str]] = set()
        self.parked: dict[str, list[tuple[str, Any]]] = {}

    def do(self, command: str) -> Iterator[str]:
        name, *words = command.split()
        yield from getattr(self, f"do_{name}")(*words)

    def do_nodes(self, *words: str) -> Iterator[str]:
        self.__init__()  # type: ignore[misc]
        self.names = tuple(word for word in words if "=" not in word)
        said = dict(word.split("=") for word in words if "=" in word)
        self.options = msgspec.convert(said, Raft | Bully | Ring, strict=False, dec_hook=units.decode)  # type: ignore[arg-type]
        self.dice = {name: Shown(number / len(self.names)) for number, name in enumerate(self.names)}
        yield from (f"problem: {key} {text}" for key, text in self.options.problems())

    def do_dice(self, *words: str) -> Iterator[str]:
        for name, value in (word.split("=") for word in words):
            self.dice[name].value = float(value)
        yield from ()

    def do_start(self, *names: str) -> Iterator[str]:
        for name in names or self.names:
            self.machines[name] = self.options.machine(name, self.names, self.dice[name], self.disks.pop(name, None))
            yield from self.came(name, self.machines[name].start(self.now))

    def do_tick(self, time: str) -> Iterator[str]:
        yield from (f"{Duration(self.now)} {line}" for name in self.ringing(time) for line in self.came(name, self.ring(name)))

    def do_run(self, time: str) -> Iterator[str]:
        yield from self.claimed([])
        for name in self.ringing(time):
            yield from self.claimed(self.came(name, self.ring(name)))

    def claimed(self, lines: Iterable[str]) -> Iterator[str]:
        lines = [*lines, *self.do_stabilize()]
        return (f"{Duration(self.now)} {line.strip()}" for line in lines if "->" not in line and "Renew" not in line)

    def ringing(self, time: str) -> Iterator[str]:
        """Let time pass, and stop wherever a timer rings."""
        until = self.now + Duration.parse(time)
        while awake := [name for name in self.names if name in self.machines and name not in self.parked]:
            name = min(awake, key=lambda name: self.machines[name].due)
            if self.machines[name].due > until:
                break
            self.now = max(self.now, self.machines[name].due)
            yield name
        self.now = until

    def ring(self, name: str) -> Effects:
        return self.machines[name].on_timer(self.now)

    def do_deliver(self, *links: str) -> Iterator[str]:
        flight, self.flight = self.flight, []
        for sender, to, message in flight:
            if links and f"{sender}->{to}" not in links:
                self.flight.append((sender, to, message))
            elif to in self.parked:
                self.parked[to].append((sender, message))
            elif to in self.machines:
                yield from self.hand_over(sender, to, message)

    def hand_over(self, sender: str, to: str, message: Any) -> Iterator[str]:
        yield f"{sender}->{to} {shown(message)}"
        yield from (f"  {line}" for line in self.came(to, self.machines[to].on_message(self.now, sender, message)))

    def do_drop(self, *links: str) -> Iterator[str]:
        self.flight = [flying for flying in self.flight if f"{flying[0]}->{flying[1]}" not in links]
        yield from ()

    def do_stabilize(self) -> Iterator[str]:
        for _ in range(100):
            if not self.flight:
                return
            yield from self.do_deliver()
        raise AssertionError("it never comes to rest")

    def do_cut(self, *links: str) -> Iterator[str]:
        for sender, to in (link.split("->") for link in links):
            self.cuts.add((sender, to))
        yield from ()

    def do_isolate(self, name: str) -> Iterator[str]:
        return self.do_split(name, "|", *(peer for peer in self.names if peer != name))

    def do_split(self, *words: str) -> Iterator[str]:
        at = words.index("|")
        links = [(one, other) for one in words[:at] for other in words[at + 1:]]
        return self.do_cut(*(f"{a}->{b}" for one, other in links for a, b in ((one, other), (other, one))))

    def do_heal(self) -> Iterator[str]:
        self.cuts.clear()
        yield from ()

    def do_crash(self, name: str) -> Iterator[str]:
        self.disks[name] = self.machines.pop(name).hard
        self.office.pop(name, None)
        yield from ()

    def do_restart(self, name: str, *how: str) -> Iterator[str]:
        if how == ("lost",):
            del self.disks[name]
        return self.do_start(name)

    def do_pause(self, name: str) -> Iterator[str]:
        self.parked[name] = []
        yield from ()

    def do_resume(self, name: str) -> Iterator[str]:
        parked = self.parked.pop(name)
        if self.now >= self.machines[name].due:
            yield from self.came(name, self.ring(name))
        for sender, message in parked:
            yield from self.hand_over(sender, name, message)

    def do_resign(self, name: str) -> Iterator[str]:
        return self.came(name, self.machines[name].resign(self.now))

    def do_state(self) -> Iterator[str]:
        yield f"{Duration(self.now)}, {len(self.flight)} on their way"
        for name in self.names:
            status = self.machines[name].status() if name in self.machines else "dead"
            yield f"{name} {status}{self.office.get(name, '')}"

    def came(self, name: str, effects: Effects) -> Iterator[str]:
        for effect in effects:
            match effect:
                case Send(to, message):
                    yield f"{name}->{to} {shown(message)}{self.fly(name, message, to)}"
                case Broadcast(message):
                    others = [peer for peer in self.names if peer != name]
                    yield f"{name}->* {shown(message)}{self.fly(name, message, *others)}"
                case _:
                    yield f"{name} {shown(effect)}"
            match effect:
                case Elected():
                    self.office[name] = " · IN OFFICE"
                case StepDown():
                    del self.office[name]

    def fly(self, sender: str, message: Any, *to: str) -> str:
        lost = [peer for peer in to if (sender, peer) in self.cuts]
        self.flight += [(sender, peer, message) for peer in to if peer not in lost]
        return f" (lost: {' '.join(lost)})" if lost else ""


def shown(value: Any) -> str:
    """A struct with those fields that say something; times as people write them."""
    fields = [(field.name, getattr(value, field.name), field.default) for field in msgspec.structs.fields(value)]
    said = [f"{name}={_value(name, here)}" for name, here, default in fields if here != default]
    return f"{type(value).__name__}({', '.join(said)})" if said else type(value).__name__


def _value(name: str, value: Any) -> str:
    if isinstance(value, msgspec.Struct):
        return shown(value)
    if isinstance(value, tuple):
        return "+".join(value)
    return str(Duration(value)) if name in TIMES else str(value)
