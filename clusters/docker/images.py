"""Which images a real cluster runs on, where each one comes from, and how it is made where nothing can be pulled."""
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from diarchy.clusters.cluster import ClusterError, NoEngine, Progress
from diarchy.clusters.docker import context

if TYPE_CHECKING:
    from docker import DockerClient

PULL_S = 120.0
RECIPE_LABEL = "diarchy.recipe"
NAME_LABEL = "diarchy.image"


class NoAnswer(NoEngine):
    """No engine can be talked to: what was seen, and the command that mends it."""

    def __init__(self, seen: str, remedy: str) -> None:
        super().__init__(f"{seen}: {remedy}")
        self.seen = seen
        self.remedy = remedy


class Image(msgspec.Struct, frozen=True):
    """One image: what it is called where it can be pulled (None: nowhere), and what goes into it when it is built here.

    `program` is the path of its program, in the official image too: containers name it as their entrypoint, because
    the official images disagree on having one.
    """

    name: str
    version: str
    official: str | None
    program: str
    content: context.Content
    about: str

    @property
    def local(self) -> str:
        """The tag of the image built on this machine."""
        return f"diarchy/{self.name}:{self.version}"

    @property
    def variable(self) -> str:
        """The environment variable that overrides the reference."""
        return f"DIARCHY_IMAGE_{self.name.upper().replace('-', '_')}"


class Entry(msgspec.Struct, frozen=True):
    """An image as it stands on this machine; `size` in bytes, 0 where it is missing."""

    name: str
    version: str
    reference: str
    source: str
    size: int
    state: Literal["fresh", "stale", "unlabelled", "pulled", "overridden", "missing"]


IMAGES: dict[str, Image] = {
    image.name: image
    for image in (
        Image(
            name="toxiproxy",
            version="2.12.0",
            official="ghcr.io/shopify/toxiproxy:2.12.0",
            program="/toxiproxy",
            content=context.Go(
                package="github.com/Shopify/toxiproxy/v2/cmd/server",
                flags="-X github.com/Shopify/toxiproxy/v2.Version=2.12.0",
            ),
            about="the proxy that every link of the mesh goes through",
        ),
        Image(
            name="etcd",
            version="3.6.6",
            official="quay.io/coreos/etcd:v3.6.6",
            program="/usr/local/bin/etcd",
            content=context.Go(package="go.etcd.io/etcd/server/v3"),
            about="etcd servers",
        ),
        Image(
            name="helper",
            version="1",
            official=None,
            program="/usr/bin/busybox",
            content=context.Debian(
                packages=("busybox-static", "iptables", "libc6", "libmnl0", "libnftnl11", "libxtables12"),
                links={"usr/sbin/iptables": "xtables-nft-multi", "usr/sbin/ip6tables": "xtables-nft-multi"},
            ),
            about="iptables, for partitions that drop packets",
        ),
    )
}

_refused: dict[str, str] = {}


def connect(timeout_s: float = 20.0) -> "DockerClient":
    """A client of the engine that DOCKER_HOST names; NoAnswer says why there is none, and what mends it."""
    import docker
    import requests

    try:
        client = docker.from_env(timeout=int(timeout_s))
        client.ping()
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise _no_answer(str(error)) from error
    return client


def declared(name: str) -> Image:
    """The image of that name; ClusterError names those that there are."""
    if name not in IMAGES:
        raise ClusterError(f"no image is called {name!r}; there are: {', '.join(IMAGES)}")
    return IMAGES[name]


def reference(name: str, override: str | None = None, progress: Progress = lambda _: None) -> str:
    """The reference to start containers from: the override, the environment's, a local one, else the official one, pulled.

    Raises NoEngine where there is none, and says what to do.
    """
    image = declared(name)
    client = connect()
    try:
        if override or (override := os.environ.get(image.variable)):
            origin = image.variable if override == os.environ.get(image.variable) else "the scenario (`cluster.image`)"
            return _overridden(client, image, override, origin, progress)
        if (built := _find(client, image.local)) is not None:
            if _labels(built).get(RECIPE_LABEL) != fingerprint(image):
                progress(f"{image.local} was built from another recipe: `diarchy images build {name}` makes it anew")
            return image.local
        if image.official is None:
            raise NoEngine(f"the image {image.local} is not on this engine: run `diarchy images build {name}`")
        if _find(client, image.official) is None and (why := _pull(client, image.official, progress)):
            raise NoEngine(
                f"the image of {name} is not on this engine, and {image.official} cannot be pulled ({why}): "
                f"run `diarchy images build {name}`, or name an image that this engine has in {image.variable}"
            )
        return image.official
    finally:
        client.close()


def build(names: Sequence[str], progress: Progress, force: bool = False) -> list[str]:
    """Build the named images (all if none is named) that are missing or stale; the references of those that were built.

    Raises NoEngine without an engine, ClusterError where a tool is missing or a build fails.
    """
    images = [declared(name) for name in names or IMAGES]
    client = connect(timeout_s=600)
    try:
        with _ended_by_signals():
            return [image.local for image in images if _build(client, image, progress, force)]
    finally:
        client.close()


def entries() -> list[Entry]:
    """Every declared image as it stands on this machine; pulls nothing. Raises NoEngine without an engine."""
    client = connect()
    try:
        return [_entry(client, image) for image in IMAGES.values()]
    finally:
        client.close()


def remove(names: Sequence[str], progress: Progress) -> list[str]:
    """Remove the local tags of the named images (all if none is named); those that were there.

    Raises ClusterError where a container still uses one.
    """
    import docker

    client = connect()
    removed = []
    try:
        for image in [declared(name) for name in names or IMAGES]:
            if _find(client, image.local) is None:
                continue
            try:
                client.images.remove(image.local)
            except docker.errors.APIError as error:
                raise ClusterError(f"{image.local} cannot be removed: {error.explanation}") from error
            progress(f"removed {image.local}")
            removed.append(image.local)
    finally:
        client.close()
    return removed


def fingerprint(image: Image) -> str:
    """Hash of everything that decides what a build of this image contains."""
    return context.fingerprint(image.name, image.content)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Turn INT, TERM and HUP into exceptions, so that compilers and temporary folders go when we do.

    INT as well, because a shell's background job starts with it ignored.
    """

    def end(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)

    former: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        former = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _build(client: "DockerClient", image: Image, progress: Progress, force: bool) -> bool:
    recipe = fingerprint(image)
    present = _find(client, image.local)
    if present is not None and _labels(present).get(RECIPE_LABEL) == recipe and not force:
        progress(f"{image.local} is there and fresh ({_megabytes(_size(present))})")
        return False
    started = time.monotonic()

    def say(text: str) -> None:
        progress(f"{image.local}: {text} ({time.monotonic() - started:.0f} s)")

    architecture = str(client.version()["Arch"])
    with tempfile.TemporaryDirectory(prefix="diarchy-image-") as folder:
        context.fill(image.name, image.content, architecture, Path(folder), say)
        say("handing it to the engine")
        _hand_over(client, image, recipe, Path(folder))
    made = _find(client, image.local)
    if made is None:
        raise ClusterError(f"the engine built {image.local} and does not have it")
    if present is not None and present.id != made.id:
        _drop_untagged(client, str(present.id))
    say(f"built, {_megabytes(_size(made))}")
    return True


def _hand_over(client: "DockerClient", image: Image, recipe: str, folder: Path) -> None:
    import docker

    labels = {NAME_LABEL: image.name, RECIPE_LABEL: recipe}
    packed = context.pack(folder)
    try:
        lines: Any = client.api.build(
            fileobj=packed, custom_context=True, tag=image.local, labels=labels, rm=True, forcerm=True, decode=True
        )
        for line in lines:
            if "error" in line:
                raise ClusterError(f"the engine refused to build {image.local}: {str(line['error']).strip()}")
    except docker.errors.APIError as error:
        raise ClusterError(f"the engine refused to build {image.local}: {error.explanation or error}") from error


def _overridden(client: "DockerClient", image: Image, wanted: str, origin: str, progress: Progress) -> str:
    if _find(client, wanted) is None and (why := _pull(client, wanted, progress)):
        raise NoEngine(
            f"the image {wanted!r} of {image.name}, named by {origin}, is not on this engine and cannot be pulled "
            f"({why}): correct the name, or leave it out and run `diarchy images build {image.name}`"
        )
    return wanted


def _pull(client: "DockerClient", wanted: str, progress: Progress) -> str:
    """Pull once per process; the reason if it failed, else an empty text."""
    import docker
    import requests
    from docker.utils import parse_repository_tag

    if wanted in _refused:
        return _refused[wanted]
    progress(f"pulling {wanted}")
    deadline = time.monotonic() + PULL_S
    _refused[wanted] = ""
    try:
        repository, tag = parse_repository_tag(wanted)
        for line in client.api.pull(repository, tag=tag or "latest", stream=True, decode=True):
            if "error" in line:
                _refused[wanted] = str(line["error"]).strip()
            if time.monotonic() > deadline:
                _refused[wanted] = f"not finished after {PULL_S:.0f} s"
                break
    except docker.errors.APIError as error:
        _refused[wanted] = str(error.explanation or error).strip()
    except (docker.errors.DockerException, requests.RequestException) as error:
        _refused[wanted] = str(error)
    if not _refused[wanted] and _find(client, wanted) is None:
        _refused[wanted] = "the engine has pulled it and does not have it"
    return _refused[wanted]


def _entry(client: "DockerClient", image: Image) -> Entry:
    def entry(reference: str, source: str, found: Any, state: Any) -> Entry:
        return Entry(image.name, image.version, reference, source, _size(found) if found else 0, state)

    if wanted := os.environ.get(image.variable):
        found = _find(client, wanted)
        return entry(wanted, image.variable, found, "overridden" if found else "missing")
    if (found := _find(client, image.local)) is not None:
        recipe = _labels(found).get(RECIPE_LABEL)
        state = "unlabelled" if recipe is None else "fresh" if recipe == fingerprint(image) else "stale"
        return entry(image.local, "built here", found, state)
    if image.official and (found := _find(client, image.official)) is not None:
        return entry(image.official, "pulled", found, "pulled")
    return entry(image.official or image.local, "nowhere yet", None, "missing")


def _find(client: "DockerClient", wanted: str) -> Any:
    import docker

    try:
        return client.images.get(wanted)
    except docker.errors.ImageNotFound:
        return None
    except docker.errors.APIError as error:
        raise ClusterError(f"the engine cannot look for the image {wanted!r}: {error.explanation or error}") from error


def _drop_untagged(client: "DockerClient", identity: str) -> None:
    """Remove the image that has just lost its tag, unless a container or another tag still needs it."""
    import docker

    try:
        if not client.images.get(identity).tags:
            client.images.remove(identity)
    except docker.errors.APIError:
        return


def _labels(found: Any) -> dict[str, str]:
    return dict(found.attrs["Config"].get("Labels") or {})


def _size(found: Any) -> int:
    return int(found.attrs["Size"])


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _no_answer(error: str) -> NoAnswer:
    at = f"the Docker engine at {os.environ.get('DOCKER_HOST', 'unix:///var/run/docker.sock')}"
    if "PermissionError" in error or "Permission denied" in error:
        return NoAnswer(f"{at} refuses this user", "sudo usermod -aG docker $USER, then log in again")
    if "FileNotFoundError" in error or "No such file" in error:
        return NoAnswer(f"{at} is not there: no socket", "make docker (installs and starts one on Debian)")
    if "ConnectionRefusedError" in error or "Connection refused" in error:
        return NoAnswer(f"{at} is not running", "make docker, or sudo systemctl start docker")
    return NoAnswer(f"{at} does not answer: {error}", "correct DOCKER_HOST, or look into the engine's log")
