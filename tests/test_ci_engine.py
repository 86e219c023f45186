"""`.ci/engine` starts, survives a killed engine's leavings, and stops what it started: on a second dockerd, walled off from the first."""
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / ".ci/engine"

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("dockerd") is None, reason="starts a second dockerd, which needs root and dockerd"
)


class Place:
    """A folder in which a second engine has everything of its own, without a network."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pidfile = folder / "docker.pid"
        self.containerd = folder / "exec/containerd/containerd.pid"
        self.environment = {
            **os.environ,
            "DOCKER_HOST": f"unix://{folder}/engine.sock",
            "ENGINE_PIDFILE": str(self.pidfile),
            "ENGINE_EXEC_ROOT": str(folder / "exec"),
            "ENGINE_LOG": str(folder / "log"),
            "ENGINE_FLAGS": f"--data-root {folder}/data --bridge none --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false",
            "ENGINE_WITHIN": "30",
        }

    def run(self, verb: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([SCRIPT, verb], env={**self.environment, **more}, capture_output=True, text=True, timeout=90, check=False)


@pytest.fixture
def place() -> Iterator[Place]:
    """In a folder with a short name: the paths of sockets end at 107 characters."""
    with tempfile.TemporaryDirectory(prefix="dy-", ignore_cleanup_errors=True) as folder:
        place = Place(Path(folder))
        yield place
        stopped = place.run("stop")
        subprocess.run(["umount", "--quiet", str(place.folder / "data")], check=False, capture_output=True)
    assert stopped.returncode == 0, stopped.stderr


def alive(pid: int) -> bool:
    """Whether the process runs; one that is dead and not yet reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_started_once_found_the_second_time_and_stopped(place: Place) -> None:
    assert place.run("answers").returncode == 1
    started = place.run("start")
    assert started.returncode == 0, started.stdout + started.stderr
    engine, containerd = int(place.pidfile.read_text()), int(place.containerd.read_text())
    assert os.getsid(engine) == engine, "Ctrl-C in the terminal that started it would end it"
    assert place.run("start").stdout.startswith("an engine answers")
    assert int(place.pidfile.read_text()) == engine
    assert place.run("stop").returncode == 0
    assert not alive(engine)
    assert not alive(containerd)
    assert place.run("answers").returncode == 1


def test_what_a_killed_engine_left_is_cleared_away(place: Place) -> None:
    assert place.run("start").returncode == 0
    os.kill(int(place.pidfile.read_text()), signal.SIGKILL)
    again = place.run("start")
    assert again.returncode == 0, again.stdout + again.stderr
    assert alive(int(place.pidfile.read_text()))
    assert place.run("answers").returncode == 0


def test_an_orphaned_containerd_is_ended(place: Place) -> None:
    """It would hold the socket that the new engine's own containerd wants."""
    impostor = place.folder / "containerd"
    shutil.copy(shutil.which("sleep") or "sleep", impostor)
    with subprocess.Popen([impostor, "60"]) as orphan:
        place.containerd.parent.mkdir(parents=True)
        place.containerd.write_text(f"{orphan.pid}\n")
        started = place.run("start")
        assert started.returncode == 0, started.stdout + started.stderr
        assert orphan.wait(timeout=5) == -signal.SIGTERM
        assert alive(int(place.containerd.read_text()))


def test_pid_files_that_name_a_stranger_harm_neither(place: Place) -> None:
    place.pidfile.write_text(f"{os.getpid()}\n")
    place.containerd.parent.mkdir(parents=True)
    place.containerd.write_text(f"{os.getpid()}\n")
    started = place.run("start")
    assert started.returncode == 0, started.stdout + started.stderr
    assert int(place.pidfile.read_text()) != os.getpid()


def test_an_engine_that_others_started_is_not_stopped(place: Place) -> None:
    assert place.run("start").returncode == 0
    mark = place.folder / "docker.pid.diarchy"
    mark.rename(place.folder / "hidden")
    assert place.run("stop").returncode == 0
    assert place.run("answers").returncode == 0
    (place.folder / "hidden").rename(mark)


def test_an_engine_that_fails_shows_the_end_of_its_log(place: Place) -> None:
    failed = place.run("start", ENGINE_FLAGS="--no-such-flag", ENGINE_WITHIN="1")
    assert failed.returncode == 1
    assert "unknown flag: --no-such-flag" in failed.stderr
    assert not (place.folder / "docker.pid.diarchy").exists()
