"""Runs side by side, runs that die, starts that fail or are cancelled: each leaves what is not its own alone, and nothing behind."""
import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from diarchy.clusters.cluster import ClusterError, NoEngine
from diarchy.clusters.docker import engine as engine_module
from diarchy.clusters.docker import images, network, owner
from diarchy.clusters.docker.sweep import sweep
from diarchy.clusters.etcd.options import Etcd
from diarchy.history.faults import Cut, Pause
from diarchy.history.units import Duration

CHILD = textwrap.dedent("""
    import asyncio, sys
    from diarchy.clusters.etcd.options import Etcd

    async def main():
        cluster = Etcd(nodes=1).build(sys.argv[1], 1)
        await cluster.prepare(lambda _: None)
        await cluster.start(lambda _: None)
        print("started", flush=True)
        await asyncio.sleep(600)

    asyncio.run(main())
""")


def quiet(_: str) -> None: ...


def things(client: Any, run: str) -> list[str]:
    """Containers and networks of the run."""
    wanted = {"label": f"{owner.RUN}={run}"}
    return [c["Names"][0].lstrip("/") for c in client.api.containers(all=True, filters=wanted)] + \
        [n["Name"] for n in client.api.networks(filters=wanted)]


@pytest.fixture
def run(engine: Any, request: pytest.FixtureRequest) -> Iterator[str]:
    """The id of a run of which nothing may be left after the test."""
    name = f"test-{os.getpid()}-{abs(hash(request.node.name)) % 10**8}"
    yield name
    left = things(engine, name)
    sweep(engine, only=name)
    assert left == []


@pytest.mark.docker
def test_two_clusters_at_once_do_not_touch_each_other(real: Any, engine: Any, run: str) -> None:
    async def check() -> None:
        other = Etcd().build(run, 1)
        try:
            await other.prepare(quiet)
            await other.start(quiet)
            term = (await real.cluster.observe("n1")).term
            realised = await other.apply(Cut((("n1", "n2"), ("n2", "n1"), ("n1", "n3"), ("n3", "n1"))))
            assert realised.bit, realised.evidence
            realised = await other.apply(Pause("n2"))
            assert realised.bit, realised.evidence
            seen = await real.cluster._deployment.mesh.verify([("n1", "n2"), ("n1", "n3"), ("n2", "n3")])
            assert seen.as_wanted, seen.evidence
            assert sweep(engine) == []
        finally:
            await other.stop()
        assert things(engine, run) == []
        assert len(things(engine, real.run_id)) == 5
        await real.backend.write(real, real.node("n1"), "alone-again")
        assert (await real.cluster.observe("n1")).term == term

    real.run(check())


@pytest.mark.docker
def test_a_sweep_after_kill_9_removes_the_dead_run_and_no_other(real: Any, engine: Any, run: str) -> None:
    child = subprocess.Popen([sys.executable, "-c", CHILD, run], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "started\n"
        left = things(engine, run)
        assert len(left) == 3
        assert not [line for line in sweep(engine) if run in line]
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    removed = [line for line in sweep(engine) if run in line]
    assert sorted(line.split()[-1] for line in removed) == sorted(left)
    assert things(engine, run) == []
    assert len(things(engine, real.run_id)) == 5


@pytest.mark.docker
def test_a_run_sweeps_when_it_prepares(engine: Any, run: str) -> None:
    dead = f"{run}-dead"
    labels = owner.current().labels(dead) | {owner.STARTED: "1"}
    network.create(engine, dead, labels)
    said: list[str] = []

    async def check() -> None:
        cluster = Etcd(nodes=1).build(run, 1)
        try:
            await cluster.prepare(said.append)
        finally:
            await cluster.stop()

    asyncio.run(check())
    assert f"removed network diarchy-{dead}" in said
    assert things(engine, dead) == []


@pytest.mark.docker
def test_two_sweeps_at_once_agree(engine: Any, run: str) -> None:
    labels = owner.current().labels(run)
    network.create(engine, run, labels)
    sweeps = [subprocess.Popen([sys.executable, "-c", textwrap.dedent("""
        import sys
        from diarchy.clusters.docker.images import connect
        from diarchy.clusters.docker.sweep import sweep
        print(*sweep(connect(), only=sys.argv[1]), sep="\\n")
    """), run], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = "".join(process.communicate(timeout=30)[0] for process in sweeps)
    assert [process.returncode for process in sweeps] == [0, 0, 0]
    assert said.count("removed network") == 1
    assert "stuck" not in said


@pytest.mark.docker
@pytest.mark.parametrize("after_s", [0.02, 0.15, 0.25, 0.4, 0.7, 1.1, 1.7])
def test_a_start_cancelled_midway_leaves_nothing(engine: Any, run: str, after_s: float) -> None:
    async def check() -> None:
        cluster = Etcd().build(run, 1)

        async def begin() -> None:
            await cluster.prepare(quiet)
            await cluster.start(quiet)

        task = asyncio.ensure_future(begin())
        await asyncio.sleep(after_s)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        began = time.monotonic()
        await cluster.stop()
        assert time.monotonic() - began < 4
        assert things(engine, run) == []
        await cluster.stop()

    asyncio.run(check())


@pytest.mark.docker
def test_stop_now_in_the_middle_of_a_start_leaves_nothing(engine: Any, run: str) -> None:
    async def check() -> None:
        cluster = Etcd().build(run, 1)
        await cluster.prepare(quiet)
        task = asyncio.ensure_future(cluster.start(quiet))
        await asyncio.sleep(0.5)
        cluster.stop_now()
        assert things(engine, run) == []
        with pytest.raises(ClusterError):
            await task
        await cluster.stop()

    asyncio.run(check())


@pytest.mark.docker
def test_stop_is_quick_and_nothing_answers_after_it(engine: Any, run: str) -> None:
    async def check() -> None:
        cluster = Etcd().build(run, 1)
        await cluster.prepare(quiet)
        await cluster.start(quiet)
        began = time.monotonic()
        await cluster.stop()
        assert time.monotonic() - began < 3
        with pytest.raises(ClusterError, match="not running"):
            await cluster.observe("n1")
        await cluster.stop()

    asyncio.run(check())


@pytest.mark.docker
def test_a_server_that_ends_at_once_is_named_with_its_last_words(engine: Any, run: str, tmp_path: Path) -> None:
    """etcd refuses an election time-out below five heartbeats."""

    async def check() -> None:
        cluster = Etcd(nodes=1, heartbeat=Duration.parse("1s"), election=Duration.parse("1s")).build(run, 1)
        try:
            await cluster.prepare(quiet)
            with pytest.raises(ClusterError, match=r"(?s)n1 ended while starting.*status 1.*election-timeout"):
                await cluster.start(quiet)
            await cluster.logs(tmp_path)
        finally:
            await cluster.stop()
        assert "election-timeout" in (tmp_path / "n1.log").read_text(encoding="utf-8")

    asyncio.run(check())


@pytest.mark.docker
@pytest.mark.parametrize(("image", "text"), [("helper", r"(?s)toxiproxy ended while starting.*applet not found"),
                                             ("etcd", "starting toxiproxy: .*executable file not found")])
def test_a_toxiproxy_that_does_not_run_is_named_with_its_last_words(
        engine: Any, run: str, monkeypatch: pytest.MonkeyPatch, image: str, text: str) -> None:
    """Other images in its place: the one ends at once, the other cannot even be started."""
    monkeypatch.setenv("DIARCHY_IMAGE_TOXIPROXY", images.reference(image))

    async def check() -> None:
        cluster = Etcd(nodes=2).build(run, 1)
        try:
            await cluster.prepare(quiet)
            began = time.monotonic()
            with pytest.raises(ClusterError, match=text):
                await cluster.start(quiet)
            assert time.monotonic() - began < 10
        finally:
            await cluster.stop()

    asyncio.run(check())


@pytest.mark.docker
def test_a_restarted_node_that_ends_at_once_did_not_come_back(engine: Any, run: str) -> None:
    from diarchy.history.faults import Kill

    async def check() -> None:
        cluster = Etcd(nodes=1).build(run, 1)
        try:
            await cluster.prepare(quiet)
            await cluster.start(quiet)
            await cluster.apply(Kill("n1"))
            deployment = cluster._deployment  # type: ignore[attr-defined]
            archive = _tar("var/lib/etcd/data/member/snap/db", b"not a database")
            deployment.client.api.put_archive(deployment.containers["n1"], "/", archive)
            realised = await cluster.lift(Kill("n1"))
            assert not realised.bit
            assert "does not answer: n1 (exited" in realised.evidence
            with pytest.raises((aiohttp.ClientError, TimeoutError)):
                await cluster.observe("n1")
        finally:
            await cluster.stop()

    asyncio.run(check())


@pytest.mark.docker
def test_faults_after_toxiproxy_has_ended_say_so(engine: Any, run: str) -> None:
    async def check() -> None:
        cluster = Etcd(nodes=2).build(run, 1)
        try:
            await cluster.prepare(quiet)
            await cluster.start(quiet)
            deployment = cluster._deployment  # type: ignore[attr-defined]
            deployment.client.api.kill(deployment.containers["toxiproxy"], signal=signal.SIGKILL)
            with pytest.raises(ClusterError, match="toxiproxy has ended"):
                await cluster.apply(Cut((("n1", "n2"),)))
        finally:
            await cluster.stop()

    asyncio.run(check())


def test_without_an_engine_it_is_said_what_mends_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")

    async def check() -> None:
        cluster = Etcd().build("never", 1)
        with pytest.raises(NoEngine, match="make docker"):
            await cluster.prepare(quiet)
        await cluster.stop()

    asyncio.run(check())


@pytest.mark.docker
def test_an_image_that_is_missing_is_named_before_anything_is_made(engine: Any, run: str) -> None:
    async def check() -> None:
        cluster = Etcd(image="diarchy/none:1").build(run, 1)
        with pytest.raises(NoEngine, match="diarchy/none:1"):
            await cluster.prepare(quiet)
        assert things(engine, run) == []
        await cluster.stop()

    asyncio.run(check())


def test_an_engine_that_goes_away_is_a_cluster_error() -> None:
    import docker

    gone = docker.DockerClient(base_url="tcp://127.0.0.1:9", version="1.41", timeout=1)
    with pytest.raises(ClusterError, match="the Docker engine stopped answering: making a network"):
        network.create(gone, "never", {})
    with pytest.raises(ClusterError, match="stopped answering"), engine_module.asking("reading"):
        raise docker.errors.DockerException("Connection aborted")


def test_calls_are_refused_once_the_threads_are_closed() -> None:
    async def check() -> None:
        threads = engine_module.Threads()
        done: list[str] = []
        running = asyncio.ensure_future(threads.call(lambda: (time.sleep(0.2), done.append("ran"))))
        await asyncio.sleep(0.05)
        running.cancel()
        threads.close()
        assert threads.drain(5)
        assert done == ["ran"]
        with pytest.raises(ClusterError, match="being stopped"):
            await threads.call(time.sleep, 0)

    asyncio.run(check())



def _tar(name: str, content: bytes) -> bytes:
    import io
    import tarfile

    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()
