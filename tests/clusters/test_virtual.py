"""Virtual time: order, hosts with clocks of their own, deadlocks, what there is none of, and that no real time passes."""
import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable

import pytest

from diarchy.clusters.simulated.clock import Clock
from diarchy.clusters.simulated.hosts import Boot, SimulatedHost
from diarchy.clusters.virtual import Deadlock, VirtualLoop, looking_on, on, run

MS, S = 1_000_000, 1_000_000_000


def host(loop: VirtualLoop, rate: float = 1.0, offset: int = 0) -> SimulatedHost:
    return SimulatedHost("c1", loop, Clock(offset, rate))


def played(loop: VirtualLoop, work: Callable[[Callable[[object], None]], Awaitable[object]]) -> list[tuple[int, object]]:
    """What it says, each with the true time in ns."""
    said: list[tuple[int, object]] = []

    async def main() -> None:
        await work(lambda word: said.append((loop.now, word)))

    run(loop, main())
    return said


def test_no_real_time_passes_and_time_goes_from_event_to_event() -> None:
    loop, began = VirtualLoop(), time.monotonic()

    async def work(say: Callable[[object], None]) -> None:
        say(asyncio.get_running_loop().time())
        await asyncio.sleep(3600)
        say(asyncio.get_running_loop().time())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(86400):
                await asyncio.Event().wait()

    assert played(loop, work) == [(0, 0.0), (3600 * S, 3600.0)]
    assert loop.now == 90_000 * S
    assert time.monotonic() - began < 60


def test_calls_and_timers_share_one_clock_and_come_in_order() -> None:
    loop = VirtualLoop()

    async def work(say: Callable[[object], None]) -> None:
        for at, word in ((5, "e"), (1, "a"), (3, "c")):
            loop.push(at * MS, lambda word, _: say(word), word, None)
        loop.call_later(0.002, say, "b")
        loop.call_later(0.004, say, "d")
        await asyncio.sleep(0.006)

    assert played(loop, work) == [(i * MS, word) for i, word in enumerate("abcde", 1)]


def test_of_several_calls_at_one_time_the_first_comes_first() -> None:
    loop = VirtualLoop()

    async def work(say: Callable[[object], None]) -> None:
        for number in range(50):
            loop.push(MS, lambda number, _: say(number), number, None)
        await asyncio.sleep(1)

    assert [word for _, word in played(loop, work)] == list(range(50))


def test_a_call_may_make_others_and_they_wait_for_the_coroutines_that_it_woke() -> None:
    loop = VirtualLoop()

    async def work(say: Callable[[object], None]) -> None:
        woken = asyncio.Event()

        def first(_: None, __: None) -> None:
            woken.set()
            loop.push(loop.now, lambda _, __: say("call"), None, None)

        loop.push(MS, first, None, None)
        await woken.wait()
        say("coroutine")
        await asyncio.sleep(0.001)

    assert played(loop, work) == [(MS, "coroutine"), (MS, "call")]


def test_every_comes_round_for_as_long_as_the_run_lasts() -> None:
    loop = VirtualLoop()

    async def work(say: Callable[[object], None]) -> None:
        loop.every(100 * MS, lambda: say("round"))
        await asyncio.sleep(0.35)

    assert played(loop, work) == [(at * 100 * MS, "round") for at in (1, 2, 3)]


def test_a_host_waits_by_its_own_clock_and_keeps_it_when_its_pace_changes() -> None:
    loop = VirtualLoop()
    fast = host(loop, rate=1.25)

    async def work(say: Callable[[object], None]) -> None:
        async def sleeper() -> None:
            await asyncio.sleep(1)
            say(loop.time())

        await loop.spawn(Boot(fast), sleeper(), "c1#1")
        fast.skew(5 * S, -0.2)
        await loop.spawn(Boot(fast), sleeper(), "c1#1")

    assert played(loop, work) == [(800 * MS, 1.0), (1800 * MS, 2.0)]
    assert fast.wall() - fast.now() == 5 * S


def test_a_stopped_host_does_nothing_and_goes_on_with_all_that_came() -> None:
    loop = VirtualLoop()
    c1 = host(loop)

    async def work(say: Callable[[object], None]) -> None:
        async def ticker() -> None:
            for number in range(3):
                await asyncio.sleep(0.1)
                say(number)

        task = loop.spawn(Boot(c1), ticker(), "c1#1")
        await asyncio.sleep(0.15)
        await c1.pause()
        c1.take(say, ("a message",))
        await asyncio.sleep(1)
        await c1.resume()
        await task

    assert played(loop, work) == [(100 * MS, 0), (1150 * MS, 1), (1150 * MS, "a message"), (1250 * MS, 2)]


@pytest.mark.parametrize("paused", [False, True])
def test_what_ran_on_a_killed_host_never_goes_on_whatever_boots_there(paused: bool) -> None:
    loop = VirtualLoop()
    c1 = host(loop)

    async def work(say: Callable[[object], None]) -> None:
        async def ticker(boot: int) -> None:
            while True:
                await asyncio.sleep(0.1)
                say(boot)

        loop.spawn(Boot(c1), ticker(1), c1.claimant)
        c1.after(500 * MS, say, "a timer of the first boot")
        await asyncio.sleep(0.15)
        if paused:
            await c1.pause()
            await asyncio.sleep(0.1)
        await c1.kill()
        c1.take(say, ("lost",))
        await c1.start()
        loop.spawn(Boot(c1), ticker(2), c1.claimant)
        await asyncio.sleep(0.25)

    words = [word for _, word in played(loop, work)]
    assert words == [1, 2, 2]
    assert c1.claimant == "c1#2"


def test_a_deadlock_says_who_waits_where() -> None:
    loop = VirtualLoop()
    c1 = host(loop)

    async def for_ever() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        loop.every(S, lambda: None)
        loop.spawn(Boot(c1), for_ever(), "c1#1")
        loop.push(2 * S, lambda _, __: None, None, None)
        with looking_on():
            await asyncio.sleep(60)

    with pytest.raises(Deadlock, match=r"^deadlock after 2\.000 simulated seconds: no event is pending, and c1#1 waits in Event\.wait, line \d+$"):
        run(loop, main())


@pytest.mark.parametrize("pending", ["a timer of the harness", "a sleep on a host", "nobody awake"])
def test_while_anything_can_still_happen_there_is_no_deadlock(pending: str) -> None:
    loop = VirtualLoop()
    c1 = host(loop)

    async def wait(over: asyncio.Event) -> None:
        await over.wait()

    async def main() -> None:
        over = asyncio.Event()
        loop.spawn(Boot(c1), wait(over), "c1#1")
        match pending:
            case "a timer of the harness":
                loop.call_later(30, over.set)
            case "a sleep on a host":
                with on(Boot(c1)):
                    loop.call_later(30, over.set)
            case _:
                await c1.pause()
        with looking_on():
            await asyncio.sleep(60)

    run(loop, main())
    assert loop.now == 60 * S


def test_where_nothing_at_all_is_pending_it_ends_though_nobody_is_told() -> None:
    loop = VirtualLoop()
    loop.stuck = lambda _: None

    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock, match="nobody is awake"):
        run(loop, main())


async def thread() -> None:
    await asyncio.to_thread(time.monotonic)


async def socket() -> None:
    await asyncio.open_connection("127.0.0.1", 1)


async def process() -> None:
    await asyncio.create_subprocess_exec("true")


@pytest.mark.parametrize("forbidden", [thread, socket, process])
def test_there_are_no_threads_sockets_and_processes(forbidden: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await forbidden()

    with pytest.raises((RuntimeError, NotImplementedError)):
        run(VirtualLoop(), main())


def test_a_signal_is_heard_before_the_next_event() -> None:
    loop = VirtualLoop()

    async def work(say: Callable[[object], None]) -> None:
        loop.add_signal_handler(signal.SIGUSR1, say, "signal")
        loop.push(MS, lambda _, __: os.kill(os.getpid(), signal.SIGUSR1), None, None)
        loop.push(2 * MS, lambda _, __: say("next"), None, None)
        await asyncio.sleep(1)
        assert loop.remove_signal_handler(signal.SIGUSR1)
        assert not loop.remove_signal_handler(signal.SIGUSR1)

    former = signal.getsignal(signal.SIGUSR1)
    assert [word for _, word in played(loop, work)] == ["signal", "next"]
    assert signal.getsignal(signal.SIGUSR1) == former


def test_a_second_signal_is_heard_though_the_loop_does_not_get_round_to_the_first() -> None:
    loop = VirtualLoop()
    heard: list[str] = []

    async def main() -> None:
        loop.add_signal_handler(signal.SIGUSR1, heard.append, "signal")
        try:
            os.kill(os.getpid(), signal.SIGUSR1)
            assert heard == []
            os.kill(os.getpid(), signal.SIGUSR1)
            assert heard == ["signal", "signal"]
        finally:
            loop.remove_signal_handler(signal.SIGUSR1)

    run(loop, main())
    assert heard == ["signal", "signal"]


def test_what_is_left_when_it_ends_does_nothing_more() -> None:
    loop = VirtualLoop()

    async def stays() -> None:
        await asyncio.sleep(10)

    async def main() -> asyncio.Task[None]:
        task = asyncio.create_task(stays())
        await asyncio.sleep(1)
        return task

    assert not run(loop, main()).done()
    assert loop.is_closed()
    assert loop.now == S
