"""Images: their declarations agree with their recipes; built from a recipe, they are found, fresh or stale; errors say what to do."""
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tarfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from diarchy.clusters.cluster import ClusterError, NoEngine
from diarchy.clusters.docker import context, images

HELLO = 'package main\n\nimport "os"\n\nfunc main() { os.Stdout.WriteString("hello\\n") }\n'
NOWHERE = "127.0.0.1:9/diarchy/none:1"


def silent(_: str) -> None:
    return None


@pytest.mark.parametrize("image", images.IMAGES.values(), ids=list(images.IMAGES))
def test_a_declaration_and_its_recipe_name_one_version(image: images.Image) -> None:
    recipe = context.RECIPES / image.name
    dockerfile = (recipe / "Dockerfile").read_text()
    assert "FROM scratch" in dockerfile
    match image.content:
        case context.Go(package):
            pinned = dict(re.findall(r"^\s*(\S+) (v\S+)", (recipe / "go.mod").read_text(), re.M))
            module = max((module for module in pinned if package.startswith(module)), key=len)
            assert pinned[module] == f"v{image.version}"
            assert f"{module} v{image.version} h1:" in (recipe / "go.sum").read_text()
            assert f"COPY {image.name} " in dockerfile
        case context.Debian():
            assert "COPY root /" in dockerfile
    if image.official:
        assert image.official.rsplit(":", 1)[1].removeprefix("v") == image.version


def test_the_fingerprint_follows_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(context.RECIPES, tmp_path / "build")
    before = images.fingerprint(images.IMAGES["etcd"])
    monkeypatch.setattr(context, "RECIPES", tmp_path / "build")
    assert images.fingerprint(images.IMAGES["etcd"]) == before
    dockerfile = tmp_path / "build/etcd/Dockerfile"
    dockerfile.write_text(dockerfile.read_text() + "USER 1000\n")
    assert images.fingerprint(images.IMAGES["etcd"]) != before
    assert context.fingerprint("helper", context.Debian(("a",))) != context.fingerprint("helper", context.Debian(("b",)))


def test_a_context_is_packed_without_its_builder(tmp_path: Path) -> None:
    (tmp_path / "root/usr/bin").mkdir(parents=True)
    (tmp_path / "root/usr/bin/tool").write_text("x")
    (tmp_path / "root/bin").symlink_to("usr/bin")
    with tarfile.open(fileobj=context.pack(tmp_path)) as tar:
        members = {member.name: member for member in tar}
    assert set(members) == {"root", "root/usr", "root/usr/bin", "root/usr/bin/tool", "root/bin"}
    assert members["root/bin"].issym()
    assert members["root/bin"].linkname == "usr/bin"
    assert {(member.uid, member.gid, member.mtime, member.uname) for member in members.values()} == {(0, 0, 0, "root")}


@pytest.mark.parametrize(("name", "tool", "remedy"), [("etcd", "`go`", "go.dev"), ("helper", "`apt-get`", "Debian")])
def test_a_missing_tool_is_named_with_its_remedy(
    name: str, tool: str, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClusterError, match=f"{tool}.*{remedy}"):
        context.fill(name, images.IMAGES[name].content, "amd64", tmp_path, silent)


def test_a_compiler_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "go", 'echo "go: no such module" >&2; exit 3')
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(ClusterError, match=r"`go build` failed with status 3:\ngo: no such module"):
        context.fill("etcd", images.IMAGES["etcd"].content, "amd64", tmp_path, silent)


def ended(pid: int) -> bool:
    """Gone, or only waiting for its new parent to take note of it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.docker
def test_an_interrupted_build_leaves_no_folder_and_no_compiler(number: int, status: int, tmp_path: Path) -> None:
    """Started with INT ignored, as a shell starts its background jobs."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    program(tmp_path / "go", f"echo $$ > {tmp_path}/pid; exec sleep 60")
    script = (
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "from diarchy.clusters.docker import images\n"
        "try: images.build(['etcd'], lambda line: None, force=True)\n"
        "except KeyboardInterrupt: sys.exit(130)\n"
    )
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "TMPDIR": str(scratch)}
    with subprocess.Popen([sys.executable, "-c", script], env=environment) as builder:
        compiler = int(eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip()))
        builder.send_signal(number)
        assert builder.wait(timeout=10) == status
    assert list(scratch.iterdir()) == []
    assert eventually(lambda: ended(compiler))


def test_no_socket_and_no_engine_behind_it_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "docker.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    with pytest.raises(NoEngine, match="no socket: make docker"):
        images.connect()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(NoEngine, match="is not running: make docker"):
        images.connect()


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may open every socket, and there is no setpriv")
def test_a_socket_that_refuses_this_user_is_told_apart(tmp_path: Path) -> None:
    """In a process of its own that has given up root's privileges."""
    path = tmp_path / "docker.sock"
    script = (
        "import os, docker.errors, requests\n"
        "from diarchy.clusters.docker import images\n"
        "if os.geteuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "try: images.connect()\n"
        "except images.NoEngine as error: print(error)\n"
    )
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        path.chmod(0)
        for parent in (tmp_path, *tmp_path.parents):
            if parent.stat().st_uid == os.geteuid() and not parent.stat().st_mode & stat.S_IXOTH:
                parent.chmod(parent.stat().st_mode | stat.S_IXOTH)
        environment = {**os.environ, "DOCKER_HOST": f"unix://{path}"}
        said = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=30, check=True)
    assert "usermod -aG docker" in said.stdout


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ClusterError, match=r"'etc'.*toxiproxy, etcd, helper"):
        images.declared("etc")


class TestOnAnEngine:
    """With an image of the test's own, compiled from one Go file by the real compiler where there is one."""

    pytestmark = pytest.mark.docker

    @pytest.fixture
    def image(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[images.Image]:
        name = f"probe-{uuid.uuid4().hex[:8]}"
        recipe = tmp_path / "build" / name
        recipe.mkdir(parents=True)
        (recipe / "go.mod").write_text("module probe\n\ngo 1.20\n")
        (recipe / "main.go").write_text(HELLO)
        (recipe / "Dockerfile").write_text(f'FROM scratch\nCOPY {name} /hello\nCMD ["/hello"]\n')
        if shutil.which("go") is None:
            pytest.skip("needs go")
        image = images.Image(name=name, version="1", official=None, program="/hello", content=context.Go("."), about="a test's")
        monkeypatch.setattr(context, "RECIPES", tmp_path / "build")
        monkeypatch.setattr(images, "IMAGES", {name: image})
        monkeypatch.setattr(images, "_refused", {})
        yield image
        images.remove([], silent)

    def test_from_missing_to_fresh_to_stale_to_rebuilt(self, image: images.Image, monkeypatch: pytest.MonkeyPatch) -> None:
        assert [entry.state for entry in images.entries()] == ["missing"]
        with pytest.raises(NoEngine, match=f"diarchy images build {image.name}"):
            images.reference(image.name)

        assert images.build([image.name], silent) == [image.local]
        assert images.reference(image.name) == image.local
        [entry] = images.entries()
        assert (entry.state, entry.reference, entry.source) == ("fresh", image.local, "built here")
        assert entry.size > 100_000

        lines: list[str] = []
        started = time.monotonic()
        assert images.build([], lines.append) == []
        assert time.monotonic() - started < 2
        assert "fresh" in lines[0]

        main = context.RECIPES / image.name / "main.go"
        main.write_text(HELLO.replace("hello", "good bye"))
        assert [entry.state for entry in images.entries()] == ["stale"]
        warned: list[str] = []
        assert images.reference(image.name, progress=warned.append) == image.local
        assert f"diarchy images build {image.name}" in warned[0]
        client = images.connect()
        old = client.images.get(image.local).id
        assert images.build([], silent) == [image.local]
        assert client.containers.run(image.local, remove=True, network_mode="none") == b"good bye\n"
        assert old not in [kept.id for kept in client.images.list(all=True)], "the replaced image is left behind"
        client.close()
        assert images.remove([image.name], silent) == [image.local]
        assert images.remove([image.name], silent) == []

    def test_an_override_wins_and_a_wrong_one_says_where_it_was_written(
        self, image: images.Image, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        images.build([], silent)
        monkeypatch.setenv(image.variable, NOWHERE)
        with pytest.raises(NoEngine, match=rf"{NOWHERE}.*{image.variable}.*cannot be pulled"):
            images.reference(image.name)
        assert [entry.state for entry in images.entries()] == ["missing"]
        assert images.reference(image.name, image.local) == image.local
        monkeypatch.setenv(image.variable, image.local)
        assert [entry.state for entry in images.entries()] == ["overridden"]
        with pytest.raises(NoEngine, match="the scenario"):
            images.reference(image.name, NOWHERE)
        with pytest.raises(ClusterError, match="No Such"):
            images.reference(image.name, "No Such")

    def test_an_official_image_that_cannot_be_pulled_is_tried_once(
        self, image: images.Image, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        official = images.Image(image.name, "1", NOWHERE, "/hello", image.content, image.about)
        monkeypatch.setattr(images, "IMAGES", {image.name: official})
        said: list[str] = []
        for _ in range(2):
            with pytest.raises(NoEngine, match=f"{NOWHERE} cannot be pulled.*diarchy images build {image.name}.*{image.variable}"):
                images.reference(image.name, progress=said.append)
        assert said == [f"pulling {NOWHERE}"]


@pytest.mark.docker
@pytest.mark.parametrize("name", ["toxiproxy", "etcd"])
def test_the_built_program_runs_and_is_of_the_declared_version(name: str) -> None:
    image = images.IMAGES[name]
    asking = {"toxiproxy": "-version", "etcd": "--version"}[name]
    client = images.connect()
    said = client.containers.run(images.reference(name), asking, entrypoint=image.program, remove=True, network_mode="none")
    client.close()
    assert image.version in said.decode()


@pytest.mark.docker
def test_the_helper_can_drop_packets() -> None:
    client = images.connect()
    container = client.containers.run(
        images.reference("helper"), detach=True, network_mode="none", cap_drop=["ALL"], cap_add=["NET_ADMIN", "NET_RAW"]
    )
    try:
        rule = ["-A", "INPUT", "-s", "10.1.2.3/32", "-p", "tcp", "-j", "DROP"]
        status, said = container.exec_run(["iptables", *rule])
        assert (status, said) == (0, b"")
        assert " ".join(rule) in container.exec_run(["iptables", "-S"]).output.decode()
    finally:
        container.remove(force=True)
        client.close()


def program(path: Path, body: str) -> None:
    """A shell script in place of a tool."""
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def eventually(predicate, within_s: float = 10.0):  # type: ignore[no-untyped-def]
    """The predicate's first true value."""
    deadline = time.monotonic() + within_s
    while not (value := predicate()):
        assert time.monotonic() < deadline, f"not within {within_s} s"
        time.sleep(0.02)
    return value
