"""Processes that try seeds side by side, with results in the order of the seeds whatever is done first."""
import ctypes
import os
import signal
from collections import deque
from collections.abc import Generator, Iterable
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait

from diarchy.harness.scenario import Scenario
from diarchy.harness.seeds import Trial, trial

AHEAD = 2
"""So many seeds are with a worker: one that it runs, the next so that it never waits."""
PDEATHSIG = 1
"""Of prctl(2)."""


class Worker:
    """A process of its own. It dies with its parent, however that ends; Ctrl-C is for the parent alone."""

    def __init__(self, scenario: Scenario, others: Iterable["Worker"]) -> None:
        self.line, far = get_context("fork").Pipe()
        inherited = [self.line, *(other.line for other in others)]
        self.process = get_context("fork").Process(target=_work, args=(scenario, far, inherited, os.getpid()), daemon=True)
        self.process.start()
        far.close()
        self.seeds: deque[int] = deque()

    def send(self, seed: int) -> None:
        """Have it try this seed after those that it has."""
        self.seeds.append(seed)
        with suppress(OSError):  # it has died, which the next `receive` finds
            self.line.send(seed)

    def receive(self) -> Trial | None:
        """The oldest seed's result; None if the process has died."""
        try:
            result: Trial = self.line.recv()
        except (EOFError, OSError):
            return None
        self.seeds.popleft()
        return result

    def end(self) -> str:
        """At once: it has nothing that could be lost. Says how it ended."""
        self.process.kill()
        self.process.join()
        self.line.close()
        code = self.process.exitcode or 0
        return f"the process that ran it ended with {signal.Signals(-code).name if code < 0 else f'status {code}'}"


class Workers:
    """As many processes as asked for. One that dies is replaced; the seed that it was running is an error."""

    def __init__(self, scenario: Scenario, seeds: Iterable[int], jobs: int) -> None:
        self._scenario, self._left, self._jobs = scenario, iter(seeds), jobs
        self._workers: list[Worker] = []
        self._again: list[int] = []
        self._order: deque[int] = deque()
        self._done: dict[int, Trial] = {}

    def results(self, tick_s: float) -> Generator[Trial | None, None, None]:
        """The trial of each seed, in the order of the seeds; None whenever nothing came for `tick_s`."""
        while self._give():
            heard = wait([worker.line for worker in self._workers], tick_s)
            for worker in [worker for worker in self._workers if worker.line in heard]:
                self._take(worker)
            if not heard:
                yield None
            while self._order and self._order[0] in self._done:
                yield self._done.pop(self._order.popleft())

    def under_way(self) -> tuple[int, ...]:
        """The seeds whose results are missing, as far as they were given out."""
        return tuple(seed for seed in self._order if seed not in self._done)

    def close(self) -> None:
        """Drop what is under way."""
        for worker in self._workers:
            worker.end()

    def _give(self) -> bool:
        """Keep everybody busy; False when all is done."""
        while len(self._workers) < self._jobs:
            self._workers.append(Worker(self._scenario, self._workers))
        for worker in self._workers:
            while len(worker.seeds) < AHEAD and (seed := self._next()) is not None:
                worker.send(seed)
        return bool(self._order)

    def _next(self) -> int | None:
        if self._again:
            return self._again.pop(0)
        if (seed := next(self._left, None)) is not None:
            self._order.append(seed)
        return seed

    def _take(self, worker: Worker) -> None:
        if result := worker.receive():
            self._done[result.seed] = result
            return
        self._workers.remove(worker)
        why = worker.end()
        if worker.seeds:
            guilty, *rest = worker.seeds
            self._done[guilty] = Trial(guilty, "error", False, why=(why,))
            self._again += rest


def _work(scenario: Scenario, line: Connection, inherited: Iterable[Connection], parent: int) -> None:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return
    for other in inherited:
        other.close()
    try:
        while True:
            line.send(trial(scenario, line.recv()))
    except (EOFError, OSError):
        return
