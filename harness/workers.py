"""Processes that try seeds side by side, with results in the order of the seeds whatever is done first."""
import ctypes
import os
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
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


def results(scenario: Scenario, seeds: Iterable[int], jobs: int, tick_s: float) -> Iterator[Trial | None]:
    """The trial of each seed, in their order, from as many processes; None whenever nothing came for `tick_s`. Close it to stop.

    A process that dies is replaced; the seed that it was running is an error.
    """
    left, order, done = iter(seeds), deque[int](), dict[int, Trial]()
    again: deque[int] = deque()
    with _workers() as workers:
        while True:
            while len(workers) < jobs:
                workers.append(Worker(scenario, workers))
            for worker in workers:
                while len(worker.seeds) < AHEAD:
                    if again:
                        worker.send(again.popleft())
                    elif (seed := next(left, None)) is not None:
                        order.append(seed)
                        worker.send(seed)
                    else:
                        break
            if not order:
                return
            heard = wait([worker.line for worker in workers], tick_s)
            for worker in [worker for worker in workers if worker.line in heard]:
                if result := worker.receive():
                    done[result.seed] = result
                    continue
                workers.remove(worker)
                why = worker.end()
                if worker.seeds:
                    guilty, *rest = worker.seeds
                    done[guilty] = Trial(guilty, "error", False, why=(why,))
                    again.extend(rest)
            if not heard:
                yield None
            while order and order[0] in done:
                yield done.pop(order.popleft())


@contextmanager
def _workers() -> Iterator[list[Worker]]:
    workers: list[Worker] = []
    try:
        yield workers
    finally:
        for worker in workers:
            worker.end()


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
