"""Whose containers and networks: labels that name the process which made them, so that only what dead owners left is swept."""
import os
from pathlib import Path

import msgspec

RUN = "diarchy"
PID, STARTED, BOOT, NAMESPACE = f"{RUN}.pid", f"{RUN}.started", f"{RUN}.boot", f"{RUN}.namespace"


class Owner(msgspec.Struct, frozen=True):
    """A process, told from all others that ever had its pid. `started` is in clock ticks since the machine's boot."""

    pid: int
    started: int
    boot: str
    namespace: str

    def labels(self, run: str) -> dict[str, str]:
        """Labels for everything that this process makes for the run."""
        return {RUN: run, PID: str(self.pid), STARTED: str(self.started), BOOT: self.boot, NAMESPACE: self.namespace}

    def alive(self, observer: "Owner") -> bool:
        """Whether it still runs, as far as the observer can tell: pids of another namespace say nothing, so it is taken to run."""
        if self.boot != observer.boot:
            return False
        return self.namespace != observer.namespace or started(self.pid) == self.started


def current() -> Owner:
    """This process."""
    pid = os.getpid()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return Owner(pid, started(pid) or 0, boot, str(Path("/proc/self/ns/pid").stat().st_ino))


def of(labels: dict[str, str]) -> Owner | None:
    """The owner that the labels name; None where they are not ours or not whole."""
    try:
        return Owner(int(labels[PID]), int(labels[STARTED]), labels[BOOT], labels[NAMESPACE])
    except (KeyError, ValueError):
        return None


def started(pid: int) -> int | None:
    """When the process began, in clock ticks since boot; None where there is none, or it is dead and not yet reaped."""
    fields = stat(pid)
    return None if fields is None or fields[0] in "ZX" else int(fields[19])


def stat(pid: int) -> list[str] | None:
    """`/proc/PID/stat` from its third field, the state, on; None where there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()
