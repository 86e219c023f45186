"""A small model of a lease store with careful clients, in virtual time: sound by construction, whatever goes wrong around it.

Messages are late or lost, links are cut, candidates are paused, stall, hang for good, are killed and start again. It writes the
lines of a history. Nothing of diarchy's own recipes is in it: it is what the checkers are tried on.
"""
from collections.abc import Callable
from heapq import heappop, heappush
from random import Random
from typing import Any

MS = 10**6
S = 10**9


class Store:
    """One lock with a lease, and a resource with a fence. A stale release (of an earlier acquire) frees nothing."""

    def __init__(self) -> None:
        self.holder: tuple[str, int, int] | None = None
        self.expires = self.token = self.fence = self.order = 0

    def acquire(self, now: int, who: str, asked: int, ttl: int) -> tuple[int, bool] | None:
        if self.holder is not None and now < self.expires:
            if self.holder[0] != who:
                return None
            self.holder, self.expires = (who, self.holder[1], max(asked, self.holder[2])), now + ttl
            return self.holder[1], True
        self.token += 1
        self.holder, self.expires = (who, self.token, asked), now + ttl
        return self.token, False

    def renew(self, now: int, who: str, token: int, ttl: int) -> bool:
        held = self.holder is not None and self.holder[:2] == (who, token) and now < self.expires
        self.expires = now + ttl if held else self.expires
        return held

    def release(self, now: int, who: str, asked: int) -> None:
        if self.holder is not None and self.holder[0] == who and self.holder[2] == asked:
            self.holder = None

    def write(self, token: int) -> int | None:
        if token < self.fence:
            return None
        self.fence, self.order = token, self.order + 1
        return self.order


class Client:
    """A careful candidate: leaves office at the send time of the last renewal that succeeded + the TTL."""

    def __init__(self, world: "World", name: str, boot: int) -> None:
        self.world, self.name, self.who = world, name, f"{name}#{boot}"
        self.dead, self.asleep, self.tenure, self.token, self.deadline, self.count = False, 0, 0, 0, 0, 0

    def say(self, activity: str, type: str, f: str, **rest: Any) -> int:
        return self.world.say(f"{self.name}/{activity}", type, f, claimant=self.who, **rest)

    def later(self, delay: int, act: Callable[[], None]) -> None:
        """Do it after a delay; when it sleeps, shortly after it wakes; when it is dead, never."""
        def wake() -> None:
            if self.dead:
                return
            if self.world.now < self.asleep:
                self.world.after(self.asleep - self.world.now + self.world.dice.randrange(5 * MS), wake)
            else:
                act()
        self.world.after(delay, wake)

    def campaign(self) -> None:
        if self.tenure:
            return
        self.count += 1
        activity, sent = f"elect.{self.count}", self.world.now
        asked = self.say(activity, "invoke", "acquire")
        self._ask(lambda now: self.world.store.acquire(now, self.who, asked, self.world.ttl),
                  lambda answer: self._won(activity, asked, sent, answer), lambda: self._lost(activity, "info"))

    def _won(self, activity: str, asked: int, sent: int, answer: tuple[int, bool] | None) -> None:
        if answer is None:
            return self._lost(activity, "fail")
        self.token, again = answer
        self.tenure, self.deadline = asked, sent + self.world.ttl
        self.say(activity, "ok", "acquire", token=self.token, sent=sent, ttl=self.world.ttl, until=self.deadline, **({"again": True} if again else {}))
        self._watch(asked)
        self.later(0, lambda: self._work(asked))
        self.later(self.world.ttl // 4, lambda: self._renew(asked))

    def _lost(self, activity: str, type: str) -> None:
        self.say(activity, type, "acquire")
        self.later(self.world.dice.randrange(100 * MS, 1500 * MS), self.campaign)

    def _watch(self, tenure: int) -> None:
        if self.tenure == tenure:
            if self.world.now >= self.deadline:
                self.leave()
            else:
                self.later(self.deadline - self.world.now, lambda: self._watch(tenure))

    def _renew(self, tenure: int) -> None:
        if self.tenure != tenure:
            return
        self.count += 1
        activity, sent, token = f"renew.{self.count}", self.world.now, self.token
        self.say(activity, "invoke", "renew", tenure=tenure)

        def answered(kept: bool) -> None:
            if not kept:
                self.say(activity, "fail", "renew", tenure=tenure)
                return self.leave() if self.tenure == tenure else None
            self.say(activity, "ok", "renew", tenure=tenure, sent=sent, ttl=self.world.ttl, until=sent + self.world.ttl)
            self.deadline = max(self.deadline, sent + self.world.ttl) if self.tenure == tenure else self.deadline
        self._ask(lambda now: self.world.store.renew(now, self.who, token, self.world.ttl), answered,
                  lambda: self.say(activity, "info", "renew", tenure=tenure))
        self.later(self.world.ttl // 4, lambda: self._renew(tenure))

    def _work(self, tenure: int) -> None:
        if self.tenure != tenure or self.world.now >= self.deadline:
            return
        self.count += 1
        activity, id, token = f"write.{self.count}", f"{self.who}-{self.count}", self.token
        self.say(activity, "invoke", "write", tenure=tenure, id=id, token=token)

        def arrive(now: int) -> int | None:
            order = self.world.store.write(token)
            self.world.say("resource", "fail" if order is None else "ok", "write", id=id, token=token, fence=self.world.store.fence,
                           epoch=1, **({} if order is None else {"order": order}))
            return order
        self._ask(arrive, lambda order: self.say(activity, "fail" if order is None else "ok", "write", tenure=tenure, id=id, token=token),
                  lambda: self.say(activity, "info", "write", tenure=tenure, id=id, token=token))
        self.later(self.world.dice.randrange(100 * MS, 600 * MS), lambda: self._work(tenure))

    def leave(self) -> None:
        """Step down, then give the lock back (of unknown outcome now and then), then campaign again."""
        tenure, self.tenure = self.tenure, 0
        self.say("elect", "ok", "step-down", tenure=tenure)
        self.count += 1
        activity = f"release.{self.count}"
        self.say(activity, "invoke", "release", tenure=tenure)
        self._ask(lambda now: self.world.store.release(now, self.who, tenure), lambda _: self.say(activity, "ok", "release", tenure=tenure),
                  lambda: self.say(activity, "info", "release", tenure=tenure))
        self.later(self.world.dice.randrange(100 * MS, 2 * S), self.campaign)

    def tick(self) -> None:
        self.say("tick", "ok", "tick")
        self.later(S, self.tick)

    def _ask(self, arrive: Callable[[int], Any], answer: Callable[[Any], object], unknown: Callable[[], object]) -> None:
        """A request and its answer, each late or lost; after a time-out the outcome is unknown."""
        world, done = self.world, [False]

        def finish(act: Callable[[], object]) -> None:
            if not done[0]:
                done[0] = True
                act()

        def reach() -> None:
            result = arrive(world.now)
            if not world.lost(self.name):
                self.later(world.delay(), lambda: finish(lambda: answer(result)))
        if not world.lost(self.name):
            world.after(world.delay(), reach)
        self.later(world.ttl, lambda: finish(unknown))


class World:
    """Virtual time, links, faults, and the lines that they leave."""

    def __init__(self, seed: int, seconds: int = 60, candidates: int = 3) -> None:
        self.dice = Random(seed)
        self.now, self.ttl, self.store = 0, self.dice.choice([2, 3, 5]) * S, Store()
        self.lines: list[dict[str, Any]] = []
        self._due: list[tuple[int, float, int, Callable[[], None]]] = []
        self._scheduled = 0
        self.cut: set[str] = set()
        names = [f"c{number}" for number in range(1, candidates + 1)]
        self.say("harness", "ok", "setup", value={"ttl": self.ttl, "grace": self.ttl // 20, "fence": True, "candidates": names})
        self.clients = {name: Client(self, name, 1) for name in names}
        for client in self.clients.values():
            self._begin(client)
        for number in range(self.dice.randrange(1, 8)):
            self.after(self.dice.randrange(2 * S, seconds * S), lambda number=number: self._harm(number))
        while self._due and self._due[0][0] < seconds * S:
            self.now, _, _, act = heappop(self._due)
            act()
        self.now = seconds * S
        self.say("harness", "ok", "end")

    def say(self, process: str, type: str, f: str, **rest: Any) -> int:
        self.lines.append({"index": len(self.lines), "time": self.now, "process": process, "type": type, "f": f, **rest})
        return len(self.lines) - 1

    def after(self, delay: int, act: Callable[[], None]) -> None:
        self._scheduled += 1
        heappush(self._due, (self.now + delay, self.dice.random(), self._scheduled, act))

    def delay(self) -> int:
        return self.dice.choice([self.dice.randrange(MS, 20 * MS), self.dice.randrange(MS, 20 * MS), self.dice.randrange(MS, 2 * self.ttl)])

    def lost(self, name: str) -> bool:
        return name in self.cut or self.dice.random() < 0.03

    def _begin(self, client: Client) -> None:
        client.say("main", "ok", "ready")
        client.later(self.dice.randrange(300 * MS), client.campaign)
        client.later(S, client.tick)

    def _harm(self, number: int) -> None:
        client = self.clients[self.dice.choice(sorted(self.clients))]
        if client.dead or self.now < client.asleep:
            return
        length, process = self.dice.randrange(S // 2, 3 * self.ttl), f"nemesis/{number}"
        match self.dice.choice(["pause", "pause", "kill", "cut", "stall", "hang"]):
            case "pause":
                self._nemesis(process, "pause", length, {"host": client.who}, lambda: None)
                client.asleep = self.now + length
            case "kill":
                client.dead = True
                self._nemesis(process, "kill", length, {"host": client.who}, lambda: self._again(client.name))
                if self.dice.random() < 0.5:
                    self.after(self.dice.randrange(200 * MS), lambda: self._freed(client.who))
            case "cut":
                self.cut.add(client.name)
                links = [[client.name, "n1"], ["n1", client.name]]
                self._nemesis(process, "cut", length, {"links": links}, lambda: self.cut.discard(client.name))
            case "stall":
                since, client.asleep = self.now, self.now + length
                client.later(length, lambda: client.say("tick", "ok", "stall", value={"since": since}) and None)
            case "hang":
                client.asleep = 10**18

    def _nemesis(self, process: str, f: str, length: int, value: dict[str, Any], undo: Callable[[], None]) -> None:
        lift = {"pause": "resume", "kill": "start", "cut": "heal"}[f]
        invoke = self.say(process, "invoke", f, value=value)
        self.after(5 * MS, lambda: self.say(process, "ok", f, value=value) and None)

        def end() -> None:
            self.say(process, "invoke", lift, value={**value, "lifts": invoke})
            undo()
            self.after(10 * MS, lambda: self.say(process, "ok", lift, value={**value, "lifts": invoke}) and None)
        self.after(length, end)

    def _again(self, name: str) -> None:
        boot = int(self.clients[name].who.partition("#")[2])
        self.clients[name] = Client(self, name, boot + 1)
        self._begin(self.clients[name])

    def _freed(self, who: str) -> None:
        if self.store.holder is not None and self.store.holder[0] == who:
            self.store.holder = None
