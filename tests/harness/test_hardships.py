"""Full and read-only disks, streams that nobody reads, broken histories, signals at a bad time: a sentence, a status, nothing half-written."""
import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import pytest
from cluster_runs import DIARCHY, ROOT, begin, diarchy, stop, until
from told import S, acquire, line, tell

from diarchy.clusters.cluster import ClusterError
from diarchy.harness import conclude, perform, statuses, streams
from diarchy.harness.store import CannotWrite, Folder, Lines, put
from diarchy.history.op import Op, Recorder
from diarchy.workloads import groups
from diarchy.workloads.child import CandidateError

SCENARIO = ROOT / "scenarios/etcd/paused-leader.yaml"


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB, with 32 kB of it free."""
    yield from mounted(tmp_path, "64k", 32)


def mounted(folder: Path, size: str, taken_kb: int = 0) -> Iterator[Path]:
    """A small file system of its own; skips where this user or machine refuses one."""
    place = folder / "tiny"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {made.stderr.strip()}")
    try:
        (place / "ballast").write_bytes(b"x" * 1024 * taken_kb)
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def written(folder: Path) -> Folder:
    """A run's folder with the history of a short, uneventful run."""
    folder.mkdir(parents=True, exist_ok=True)
    ops = [*acquire("c1", 1, 1.1, token=7, ttl=28)]
    for number in range(12):
        ops += [line(2 + number, "c1/write", "invoke", "write", tenure=1, token=7, id=f"w{number}"),
                line(2.05 + number, "resource", "ok", "write", token=7, id=f"w{number}", order=number + 1, fence=7, epoch=1),
                line(2.1 + number, "c1/write", "ok", "write", tenure=1, token=7, id=f"w{number}")]
    history = tell(ops, scenario="told", candidates=("c1",))
    recorder = Recorder(lambda: 30 * S, (made := bytearray()).extend)
    for row in range(len(history)):
        op = history.op(row)
        recorder.append(op.process, op.type, op.f, **{name: value for name in Op.__struct_fields__ if name not in (
            "index", "process", "type", "f", "seen", "of") and (value := getattr(op, name)) not in (None, False)})
    (folder / "history.jsonl").write_bytes(made)
    return Folder(folder)


def clean(done: subprocess.CompletedProcess[str]) -> str:
    """What it said on stderr, which is no traceback and no internal error."""
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr
    return done.stderr


# What is written.

def test_a_history_that_does_not_fit_ends_with_a_whole_line_and_is_told_once(tiny: Path) -> None:
    failed: list[CannotWrite] = []
    lines = Lines(tiny / "history.jsonl", failed.append)
    text = b'{"x":"' + b"y" * 300 + b'"}\n'
    for _ in range(1000):
        lines.write(text)
    written = (tiny / "history.jsonl").read_bytes()
    assert written == text * written.count(b"\n") != b""
    (tiny / "ballast").unlink()
    lines.write(text)
    lines.close()
    assert (tiny / "history.jsonl").read_bytes() == written, "no line may follow after one is missing"
    [error] = failed
    assert error.path == tiny / "history.jsonl"
    for part in (str(tiny / "history.jsonl"), "No space left", f"after {written.count(b'y' * 300)} lines", "--out"):
        assert part in str(error)


def test_a_file_is_put_whole_or_not_at_all(tiny: Path) -> None:
    put(tiny / "verdict.json", b"old")
    with pytest.raises(CannotWrite, match=r"verdict\.json cannot be written: No space left on device: free some space"):
        put(tiny / "verdict.json", b"x" * 100_000)
    assert (tiny / "verdict.json").read_bytes() == b"old"
    assert sorted(path.name for path in tiny.iterdir()) == ["ballast", "verdict.json"]


def test_a_verdict_is_said_though_there_is_no_room_for_it(tiny: Path) -> None:
    folder = written(tiny / "run")
    with suppress(OSError), (tiny / "more").open("wb", buffering=0) as more:
        while more.write(b"x" * 512):
            pass
    done = diarchy("check", folder.path, "--json")
    assert json.loads(done.stdout)["verdict"] == "valid"
    assert done.returncode == 0
    assert "verdict.json cannot be written: No space left on device; the verdict stands as printed" in clean(done)
    assert sorted(path.name for path in folder.path.iterdir()) == ["history.jsonl"]
    done = diarchy("report", folder.path)
    assert done.returncode == 70
    assert "report.html cannot be written: No space left on device: free some space there, or name another place with --out" in clean(done)
    assert diarchy("report", folder.path, "--out", tiny.parent / "elsewhere.html").returncode == 0
    assert (tiny.parent / "elsewhere.html").stat().st_size > 1_000_000


def test_a_run_whose_report_does_not_fit_has_its_verdict_said_and_kept(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = written(tiny / "run")
    assert perform.judge(folder, True, keep=True) == (70, None)
    said = capsys.readouterr()
    assert said.out == folder.verdict.read_text()
    assert "report.html cannot be written: No space left" in said.err
    assert sorted(path.name for path in folder.path.iterdir()) == ["history.jsonl", "verdict.json"]


def test_a_read_only_run_is_judged_and_its_report_goes_elsewhere(tmp_path: Path) -> None:
    places = mounted(tmp_path, "64k")
    place = next(places)
    try:
        folder = written(place / "run")
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        done = diarchy("check", folder.path)
        assert done.returncode == 0
        assert "VALID" in done.stdout.upper()
        assert "Read-only file system; the verdict stands as printed" in clean(done)
        done = diarchy("report", folder.path)
        assert done.returncode == 70
        assert "make it writable, or name another place with --out" in clean(done)
        assert diarchy("report", folder.path, "--out", tmp_path / "report.html").returncode == 0
    finally:
        places.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("what", ["file", "read-only"])
def test_a_place_where_no_run_can_be_kept_is_named(tmp_path: Path, what: str) -> None:
    if what == "file":
        (out := tmp_path / "out").write_text("mine")
    else:
        out = Path("/proc/runs")
    done = diarchy("run", SCENARIO, "--out", out)
    assert done.returncode == 70
    assert f"{out}" in clean(done)
    assert "name another place with --out" in done.stderr
    assert what != "file" or out.read_text() == "mine"


def test_a_run_that_cannot_even_be_described_leaves_no_folder(tmp_path: Path) -> None:
    for place in mounted(tmp_path, "4k"):
        done = diarchy("run", SCENARIO, "--out", place)
        assert done.returncode == 70
        assert "run.json cannot be written: No space left on device: free some space" in clean(done)
        assert list(place.iterdir()) == [place / "ballast"]


# What is read.

def test_what_is_no_run_or_no_scenario_is_65_and_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "blank").mkdir()
    (tmp_path / "blank/history.jsonl").touch()
    for words, text in (
        (("check", tmp_path / "empty"), "no history.jsonl here"),
        (("report", tmp_path / "empty"), "no history.jsonl here"),
        (("check", tmp_path / "none"), "No such file"),
        (("check", tmp_path / "blank"), "the history is empty"),
        (("run", tmp_path, "--out", tmp_path / "runs"), f"{tmp_path}"),
        (("run", tmp_path / "none.yaml", "--out", tmp_path / "runs"), "none.yaml"),
    ):
        done = diarchy(*words)
        assert done.returncode == 65, (words, done.stderr)
        assert text in clean(done)
        assert done.stdout == ""
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("garbage", [
    b"\xff\xfe\x00garbage", b"", b"{}", b"[1,2]", b'{"index":5,"time":' + b"9" * 30 + b',"process":"c1","type":"ok","f":"tick"}',
    b'{"index":5,"time":1,"process":"c1","type":"ok","f":"tick","token":99999999999999999999}', b'{"index":7,"time":1,"process":"c1","type":"ok","f":"tick"}',
], ids=["bytes", "empty", "object", "list", "time", "token", "index"])
def test_garbage_in_the_middle_of_a_history_is_told_by_its_line(tmp_path: Path, garbage: bytes) -> None:
    folder = written(tmp_path / "run")
    whole = folder.history.read_bytes().splitlines(keepends=True)
    folder.history.write_bytes(b"".join([*whole[:5], garbage + b"\n", *whole[6:]]))
    done = diarchy("check", folder.path)
    assert done.returncode == 65
    assert f"{folder.history}:6: " in clean(done)
    assert not folder.verdict.exists()


# Streams.

@pytest.mark.parametrize("words", [("schema",), ("list",), ("--help",)])
def test_a_reader_who_has_enough_is_no_error(words: tuple[str, ...]) -> None:
    process = begin(*words)
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (141, "")


def test_an_answer_that_does_not_fit_is_told() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([*DIARCHY, "schema"], stdout=full, stderr=subprocess.PIPE, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) == (70, "diarchy: standard output cannot be written: No space left on device\n")


def test_a_process_without_streams_works(tmp_path: Path) -> None:
    folder = written(tmp_path / "run")
    done = subprocess.run(["sh", "-c", f'exec {sys.executable} -m diarchy.harness check {folder.path} <&- >&- 2>&-'], check=False, cwd=ROOT)
    assert done.returncode == 0
    assert json.loads(folder.verdict.read_bytes())["verdict"] == "valid"


def test_progress_that_nobody_reads_is_dropped() -> None:
    with open("/dev/full", "w") as full:
        stream = streams.Stream(full, answer=False)
        stream.write("x" * 100_000)
        stream.flush()
        stream.write("more")
    with open("/dev/full", "w") as full, pytest.raises(streams.CannotAnswer) as told:
        streams.Stream(full, answer=True).write("x" * 100_000)
    assert not told.value.gone


@pytest.mark.parametrize("term", ["dumb", "xterm"])
def test_a_verdict_fits_80_columns(tmp_path: Path, term: str) -> None:
    folder = written(tmp_path / "run")
    done = diarchy("check", folder.path, TERM=term, COLUMNS="80")
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "\x1b" not in done.stdout, "no colours where there is no terminal"


# Signals.

def reads(process: subprocess.Popen[str], pipe: IO[bytes]) -> None:
    """Wait until it has read all that is in the pipe, and sleeps in wait for more."""
    def waiting() -> bool:
        unread = int.from_bytes(fcntl.ioctl(pipe.fileno(), termios.FIONREAD, bytes(4)), sys.byteorder)
        return unread == 0 and (seen := groups.look(process.pid)) is not None and seen.state == "S"

    until(waiting)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_while_judging_ends_it_without_a_verdict(tmp_path: Path, number: int, status: int) -> None:
    """The history is a pipe, so that it waits for its lines."""
    os.mkfifo(tmp_path / "history.jsonl")
    process = begin("check", tmp_path)
    try:
        with (tmp_path / "history.jsonl").open("wb") as pipe:
            pipe.write(b'{"index":0')
            pipe.flush()
            reads(process, pipe)
            process.send_signal(number)
            out, errors = process.communicate(timeout=30)
    finally:
        stop(process)
    assert process.returncode == status
    assert out == ""
    assert errors == "diarchy: interrupted\n"
    assert [path.name for path in tmp_path.iterdir()] == ["history.jsonl"]


def test_ctrl_c_reaches_a_background_job(tmp_path: Path) -> None:
    """Which a non-interactive shell starts with SIGINT ignored."""
    os.mkfifo(tmp_path / "history.jsonl")
    process = subprocess.Popen([*DIARCHY, "check", tmp_path], cwd=ROOT, stderr=subprocess.PIPE, text=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))  # noqa: PLW1509
    try:
        with (tmp_path / "history.jsonl").open("wb") as pipe:
            reads(process, pipe)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=30)
    finally:
        stop(process)
    assert (process.returncode, errors) == (130, "diarchy: interrupted\n")


def test_a_signal_during_the_report_leaves_the_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                       capsys: pytest.CaptureFixture[str]) -> None:
    from diarchy.reports import html

    def interrupted(*_: Any) -> str:
        raise SystemExit(130)

    monkeypatch.setattr(html, "render", interrupted)
    folder = written(tmp_path / "run")
    with pytest.raises(SystemExit):
        perform.judge(folder, True, keep=True)
    said = capsys.readouterr()
    assert said.out == folder.verdict.read_text()
    assert f"`diarchy check {folder.path}`" in said.err
    assert not folder.report.exists()


def test_a_report_that_crashes_costs_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from diarchy.reports import html

    monkeypatch.setattr(html, "render", lambda *_: {}["nothing"])
    folder = written(tmp_path / "run")
    assert perform.judge(folder, False, keep=True) == (70, None)
    said = capsys.readouterr()
    assert "VALID" in said.out.upper()
    assert "internal error: KeyError" in said.err
    assert conclude.status(conclude.conclude(folder.path).verdict) == 0


# Statuses.

def test_errors_side_by_side_are_all_told(capsys: pytest.CaptureFixture[str]) -> None:
    both = ExceptionGroup("two tasks", [ClusterError("n1 ended"), ExceptionGroup("inner", [CandidateError("no such program")])])
    assert statuses.told(both) == 69
    assert capsys.readouterr().err == "diarchy: n1 ended\ndiarchy: no such program\n"
    unknown = ExceptionGroup("two tasks", [ClusterError("n1 ended"), ValueError("a bug")])
    assert statuses.told(unknown) == 70


def test_a_bug_is_told_though_no_file_can_be_made(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(statuses.tempfile, "NamedTemporaryFile", full)
    assert statuses.told(ValueError("a bug")) == 70
    said = capsys.readouterr().err
    assert said.startswith("diarchy: internal error: ValueError: a bug\nPlease report it")
    assert "ValueError: a bug" in said.splitlines()[-1]


