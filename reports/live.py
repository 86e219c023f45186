"""What a run is doing, while it does it: a panel on a terminal, plain lines in a log."""
import time
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from diarchy.history.op import Op
from diarchy.reports import words

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live as Panel

REFRESHES_PER_S = 2
LATELY = 4
RUNNING = "running"
LIFTS = ("heal", "resume", "start", "unskew")


class Live:
    """Progress of one run, fed by the recorder through `see`.

    On a terminal it redraws a few lines at most REFRESHES_PER_S times a second and removes them at the end. Elsewhere it
    prints a line for each phase, each change of leader and each fault. Without a console it says nothing. `total_s` is the
    time that the phase `running` takes. Times count from the entry of the context.
    """

    def __init__(self, console: "Console | None", total_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._total_s, self._clock = console, total_s, clock
        self._phase, self._since, self._began = "", clock(), clock()
        self._office: dict[str, int | None] = {}
        self._faults: dict[int, str] = {}
        self._lately: deque[tuple[float, str]] = deque(maxlen=LATELY)
        self.acquires = self.accepted = self.refused = self.unknown = 0
        self._panel: Panel | None = None
        if console is not None and console.is_terminal and not console.is_dumb_terminal:
            import rich.live
            self._panel = rich.live.Live(get_renderable=self.draw, console=console, refresh_per_second=REFRESHES_PER_S, transient=True)

    def by(self, clock: Callable[[], float]) -> None:
        """Count the time by another clock from now on, in s."""
        self._clock = clock
        self._since = self._began = clock()

    def __enter__(self) -> "Live":
        self._since = self._began = self._clock()
        if self._panel is not None:
            self._panel.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._panel is not None:
            self._panel.stop()

    def phase(self, text: str) -> None:
        """The run does something else now."""
        if text == self._phase:
            return
        self._phase, self._since = text, self._clock()
        if self._panel is None:
            self._print(text)

    def see(self, op: Op) -> None:
        """One op was recorded."""
        match op.f, op.type:
            case "write", "ok" if op.process == "resource":
                self.accepted += 1
            case "write", "fail" if op.process == "resource":
                self.refused += 1
            case "write", "info":
                self.unknown += 1
            case "acquire", "ok" if op.claimant:
                self.acquires += 1
                self._office[op.claimant] = op.token
                self._say(f"{op.claimant} elected{_token(op.token)}")
            case ("step-down" | "exit"), _ if op.claimant and op.claimant in self._office:
                del self._office[op.claimant]
                self._say(f"{op.claimant} {'stepped down' if op.f == 'step-down' else 'ended'}")
            case _ if op.process.startswith("nemesis") and op.type != "invoke":
                self._nemesis(op)

    def _nemesis(self, op: Op) -> None:
        value: Mapping[str, Any] = op.value or {}
        if op.type != "ok":
            self._say(words.plain(f"fault: {op.f} {op.error or 'has an unknown outcome'}", 200))
            return
        said = words.fault(op.f, value) + ("" if value.get("bit", True) else ": did not take hold")
        if op.f in LIFTS:
            self._faults.pop(value.get("lifts", -1), None)
        elif value.get("bit", True):
            self._faults[op.index if op.of is None else op.of] = words.fault(op.f, value)
        if op.f == "kill":
            self._office.pop(value.get("host", ""), None)
        self._say(f"fault: {said}")

    def _say(self, text: str) -> None:
        self._lately.append((self._clock() - self._began, text))
        if self._panel is None:
            self._print(text)

    def _print(self, text: str) -> None:
        if self._console is not None:
            self._console.print(f"{self._clock() - self._began:8.2f} s  {words.plain(text)}", markup=False, highlight=False, soft_wrap=True)

    def draw(self) -> "RenderableType":
        """The panel as it is now."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        elapsed = self._clock() - self._since
        if self._phase == RUNNING:
            table.add_row(RUNNING, Group(Text(f"{min(elapsed, self._total_s):.1f} s of {self._total_s:g} s"),
                                         ProgressBar(self._total_s, min(elapsed, self._total_s), width=48)))
        else:
            table.add_row("phase", Text(f"{words.plain(self._phase, 200)}, {elapsed:.1f} s"))
        office = [f"{claimant}{_token(token)}" for claimant, token in list(self._office.items())]
        table.add_row("in office", Text("; ".join(office) or "nobody", "bold yellow" if len(office) > 1 else "bold"))
        table.add_row("faults", Text("; ".join(list(self._faults.values())) or "none"))
        table.add_row("ops", Text(f"{self.acquires} acquired; writes: {self.accepted} accepted, {self.refused} refused, {self.unknown} unknown"))
        lately = [f"{when:7.2f} s  {text}" for when, text in list(self._lately)]
        table.add_row("lately", Text("\n".join(lately)))
        return table


def _token(token: int | None) -> str:
    return "" if token is None else f", token {token}"
