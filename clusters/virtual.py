"""An asyncio loop in virtual time: it never waits, it goes to the next event. No sockets, no threads, no polling.

Two queues share one clock. Timers of coroutines are asyncio's own; whatever needs no coroutine (messages, timers of protocol
machines) is a plain call on a heap, run while no coroutine is ready: that is what makes simulated hours cheap.
"""
import asyncio
import contextvars
import heapq
import itertools
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
FOREVER = 2**62
"""Later than any event, ns."""


class Deadlock(Exception):
    """Nothing is pending in the simulated world, and somebody waits; the text says who waits where."""


class Place(Protocol):
    """What runs coroutines by a clock of its own (ns), and can be stopped: one boot of a simulated host."""

    @property
    def awake(self) -> bool: ...
    def local(self, true: int) -> int: ...
    def true(self, local: int) -> int: ...
    def park(self, handle: asyncio.Handle) -> None: ...


HOST: contextvars.ContextVar[Place | None] = contextvars.ContextVar("diarchy_host", default=None)
"""On whose host a task runs; None for the harness's own."""
IDLE: contextvars.ContextVar[bool] = contextvars.ContextVar("diarchy_idle", default=False)
"""Set for tasks that only look on: their timers keep no simulated world alive."""


class VirtualLoop(asyncio.BaseEventLoop):
    """`now` is the true virtual time in ns since the loop was made; `time()` is the clock of the host whose task asks, in s.

    The callbacks of a host that is not awake are handed to its `park`; `ready` takes them back. `stuck` is called with a
    Deadlock when no event is pending but timers of those that look on, while a task of an awake host waits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.heap: list[tuple[int, int, Callable[[Any, Any], object], Any, Any]] = []
        self.count = itertools.count().__next__
        self.stuck: Callable[[Deadlock], object] = self._raise
        self.over = False
        self._selector = self
        self._clock_resolution = 1e-9  # of time(): a timer counts as due from half of this before it
        self._handlers: dict[int, Any] = {}
        self._unheard: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []
        self._tasks: list[tuple[Place, asyncio.Task[object]]] = []

    def push(self, time: int, act: Callable[[Any, Any], object], a: Any, b: Any) -> None:
        """`act(a, b)` at this true time; of several at one time, first come first."""
        heapq.heappush(self.heap, (time, self.count(), act, a, b))

    def every(self, period: int, act: Callable[[], object]) -> None:
        """`act()` again and again, for those that look on; the first time after one period, ns."""
        def come_round() -> None:
            act()
            self.every(period, act)

        with looking_on():
            self.call_later(period / 1e9, come_round)

    def time(self) -> float:
        host = HOST.get()
        return (self.now if host is None else host.local(self.now)) / 1e9

    def call_at(self, when: float, callback: Callable[..., object], *args: Any,  # type: ignore[override]
                context: contextvars.Context | None = None) -> asyncio.TimerHandle:
        host = HOST.get()
        if host is None:
            return super().call_at(when, callback, *args, context=context)
        context = context or contextvars.copy_context()
        due = host.true(round(when * 1e9)) / 1e9
        return super().call_at(due, self._on_host, callback, args, context, context=context)

    def _on_host(self, callback: Callable[..., object], args: tuple[Any, ...], context: contextvars.Context) -> None:
        self.call_soon(callback, *args, context=context)

    def call_soon(self, callback: Callable[..., object], *args: Any,  # type: ignore[override]
                  context: contextvars.Context | None = None) -> asyncio.Handle:
        host = HOST.get() if context is None else context.get(HOST)
        if self.over:
            return asyncio.Handle(callback, args, self, context)
        if host is not None and not host.awake:
            handle = asyncio.Handle(callback, args, self, context)
            host.park(handle)
            return handle
        return super().call_soon(callback, *args, context=context)

    def ready(self, handle: asyncio.Handle) -> None:
        """A callback that was parked may run now."""
        self._ready.append(handle)  # type: ignore[attr-defined]

    def select(self, timeout: float | None) -> tuple[()]:
        """Go to the next event: asyncio's own, `timeout` s from now, or what is on the heap before it."""
        ready: Any = self._ready  # type: ignore[attr-defined]
        heap, pop = self.heap, heapq.heappop
        if ready:
            return ()
        until = FOREVER if timeout is None else self.now + round(timeout * 1e9)
        if not heap and (waiting := self._waiting(timeout)):
            deadlock = Deadlock(f"deadlock after {self.now / 1e9:.3f} simulated seconds: no event is pending, and {waiting}")
            self.stuck(deadlock)
            if ready:
                return ()
            if timeout is None:
                raise deadlock
        while heap:
            now, _, act, a, b = event = pop(heap)
            if now > until:
                heapq.heappush(heap, event)
                break
            self.now = now
            act(a, b)
            if ready:
                return ()
        if timeout is not None:
            self.now = until
        return ()

    def spawn(self, host: Place, work: Coroutine[Any, Any, object], name: str) -> "asyncio.Task[object]":
        """A task of this host. Errors in it are told to the loop's exception handler."""
        with on(host):
            task = self.create_task(work, name=name)
        self._tasks = [(place, known) for place, known in self._tasks if not known.done()] + [(host, task)]
        return task

    def _waiting(self, timeout: float | None) -> str:
        """Who waits where, if nobody can ever be woken: no timer (`timeout` None) but of those that look on. "" otherwise."""
        timers: list[Any] = self._scheduled  # type: ignore[attr-defined]
        if any(not timer.cancelled() and not timer._context.get(IDLE) for timer in timers):
            return ""
        waiting = [f"{task.get_name()} waits in {_where(task)}" for host, task in self._tasks if host.awake and not task.done()]
        return "; ".join(waiting) or ("nobody is awake" if timeout is None else "")

    def _raise(self, error: Deadlock) -> None:
        raise error

    def add_signal_handler(self, sig: int, callback: Callable[..., Any], *args: Any) -> None:  # type: ignore[override]
        """The callback runs in the loop, before the next event; at once for a signal that comes while one before it still waits for that."""
        def hear(*_: object) -> None:
            self._unheard.append((callback, args))
            if len(self._unheard) == 1:
                self.ready(asyncio.Handle(self._hear, (), self, None))
            else:
                self._hear()

        self._handlers[sig] = signal.signal(sig, hear)

    def _hear(self) -> None:
        while self._unheard:
            callback, args = self._unheard.pop(0)
            callback(*args)

    def remove_signal_handler(self, sig: int) -> bool:
        if sig in self._handlers:
            signal.signal(sig, self._handlers.pop(sig))
            return True
        return False

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> "asyncio.Future[T]":  # type: ignore[override]
        raise RuntimeError("there are no threads in virtual time")

    def _process_events(self, events: tuple[()]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


def run(loop: VirtualLoop, main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in virtual time, and close the loop. What it leaves undone is dropped where it stands, and schedules nothing any more."""
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(main)
    finally:
        loop.over = True
        for task in asyncio.all_tasks(loop):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        asyncio.set_event_loop(None)
        loop.close()


@contextmanager
def on(host: Place | None) -> Iterator[None]:
    """Tasks and timers that are made in the body belong to the host."""
    token = HOST.set(host)
    try:
        yield
    finally:
        HOST.reset(token)


@contextmanager
def looking_on() -> Iterator[None]:
    """Tasks and timers that are made in the body are not what the simulated world waits for."""
    former = IDLE.get()
    IDLE.set(True)
    try:
        yield
    finally:
        IDLE.set(former)  # not by a token: a coroutine that is dropped leaves in another context than it entered in


def _where(task: "asyncio.Task[Any]") -> str:
    """The innermost coroutine that a task stands in."""
    work: Any = task.get_coro()
    while hasattr(inner := work.cr_await, "cr_frame"):
        work = inner
    return f"{work.__qualname__}, line {work.cr_frame.f_lineno}"
