"""What this machine lacks for real clusters, and the command that mends it."""
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from diarchy.clusters.cluster import ClusterError
from diarchy.clusters.docker import images, owner

if TYPE_CHECKING:
    from docker import DockerClient
    from rich.console import Console

OLDEST_PYTHON = (3, 11)
OLDEST_ENGINE = (20, 10)
DISK_BYTES = 2_000_000_000
ENGINE_S = 10.0
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
COLOURS = {"ok": "green", "warning": "yellow", "missing": "red"}


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at: what was seen, and the command that mends it. `needed`: no real cluster runs without it."""

    name: str
    state: Literal["ok", "warning", "missing"]
    seen: str
    remedy: str = ""
    needed: bool = False


def examine() -> list[Finding]:
    """Everything that a run on a real cluster, a build of images and the tests need. Takes a few seconds where an engine answers."""
    return [python(), libraries(), *engine(), setpriv(), *builders(), browser(), disk(Path.cwd())]


def ready(findings: Sequence[Finding]) -> bool:
    """Whether real clusters can run here."""
    return not any(finding.needed and finding.state == "missing" for finding in findings)


def show(console: "Console", findings: Sequence[Finding]) -> None:
    """A table for a person, and one sentence at its end."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        seen = Text(finding.seen)
        if finding.remedy and finding.state != "ok":
            seen.append(f"\n→ {finding.remedy}", style="bold")
        table.add_row(Text(finding.state, style=COLOURS[finding.state]), Text(finding.name), seen)
    console.print(table)
    lacking = [finding.name for finding in findings if finding.needed and finding.state == "missing"]
    console.print(f"Real clusters cannot run here yet: {', '.join(lacking)}." if lacking else "Real clusters can run here.")


def python() -> Finding:
    """The interpreter that runs us."""
    seen = ".".join(map(str, sys.version_info[:3]))
    wanted = ".".join(map(str, OLDEST_PYTHON))
    state: Literal["ok", "missing"] = "ok" if sys.version_info[:2] >= OLDEST_PYTHON else "missing"
    return Finding("Python", state, seen, f"install Python {wanted} or later", needed=True)


def libraries() -> Finding:
    """The distributions that ours asks for."""
    asked = [requirement for requirement in metadata.requires("diarchy") or () if "extra ==" not in requirement]
    names = [match[0] for requirement in asked if (match := re.match(r"[\w.-]+", requirement))]
    absent = [name for name in names if not _installed(name)]
    if absent:
        return Finding("libraries", "missing", f"not installed: {', '.join(absent)}", f"pip install {' '.join(absent)}", needed=True)
    return Finding("libraries", "ok", f"all {len(names)} installed")


def engine() -> Iterator[Finding]:
    """The Docker engine, the images on it, its network, and what dead runs have left there."""
    try:
        client = images.connect(ENGINE_S)
    except images.NoAnswer as error:
        yield Finding("Docker engine", "missing", error.seen, error.remedy, needed=True)
        return
    try:
        yield version(client)
        entries = images.entries()
        yield from map(image, entries)
        if all(entry.state != "missing" for entry in entries if entry.name == "toxiproxy"):
            yield from network(client)
        yield leftovers(client)
    except ClusterError as error:
        yield Finding("Docker engine", "missing", str(error), "look into the engine's log", needed=True)
    finally:
        client.close()


def version(client: "DockerClient") -> Finding:
    """The engine's version, and whether it runs Linux containers."""
    seen = client.version()
    text = f"{seen['Version']}, {seen['Os']}/{seen['Arch']}"
    if seen["Os"] != "linux":
        return Finding("Docker engine", "missing", text, "switch the engine to Linux containers", needed=True)
    number = tuple(int(part) for part in re.findall(r"\d+", seen["Version"])[:2])
    if number < OLDEST_ENGINE:
        wanted = ".".join(map(str, OLDEST_ENGINE))
        return Finding("Docker engine", "warning", f"{text}; diarchy is tested with {wanted} and later", "sudo apt-get install docker.io")
    return Finding("Docker engine", "ok", text, needed=True)


def image(entry: images.Entry) -> Finding:
    """One image, as `diarchy images list` has it."""
    name, needed = f"image {entry.name}", entry.name != "helper"
    remedy = f"diarchy images build {entry.name}"
    match entry.state:
        case "missing":
            return Finding(name, "missing", f"{entry.reference} is not on the engine", remedy, needed)
        case "stale":
            return Finding(name, "warning", f"{entry.reference} was built from another recipe than this version's", remedy, needed)
        case "unlabelled":
            return Finding(name, "warning", f"{entry.reference} was not built by this program", remedy, needed)
    return Finding(name, "ok", f"{entry.reference}, {entry.size / 1e6:.1f} MB, {entry.source}", needed=needed)


def network(client: "DockerClient") -> Iterator[Finding]:
    """What a run asks of the engine's network, rehearsed with two containers."""
    from diarchy.harness.rehearsal import rehearse

    for route in rehearse(client):
        state: Literal["ok", "missing"] = "missing" if route.problem else "ok"
        yield Finding(route.name, state, route.problem or route.seen, route.remedy, needed=True)


def leftovers(client: "DockerClient") -> Finding:
    """Containers and networks whose run is dead."""
    me = owner.current()
    wanted = {"label": owner.RUN}
    kept = [*client.api.containers(all=True, filters=wanted), *client.api.networks(filters=wanted)]
    owners = [owner.of(entry["Labels"]) for entry in kept]
    dead = sum(found is not None and not found.alive(me) for found in owners)
    if dead:
        return Finding("leftovers", "warning", f"{dead} containers and networks of dead runs", "diarchy clean")
    return Finding("leftovers", "ok", "none of dead runs")


def setpriv() -> Finding:
    """What ties a candidate's life to the harness's."""
    found = shutil.which("setpriv")
    if found is None:
        return Finding("setpriv", "missing", "candidates cannot be made to die with the harness", "sudo apt-get install util-linux", needed=True)
    return Finding("setpriv", "ok", found, needed=True)


def builders() -> Iterator[Finding]:
    """The tools that build images; nobody else needs them."""
    for tool, use, remedy in (
        ("go", "toxiproxy and etcd cannot be built here", "install Go 1.24 or later (https://go.dev/dl)"),
        ("apt-get", "helper cannot be built here", "build it on Debian, and name it in DIARCHY_IMAGE_HELPER"),
    ):
        found = shutil.which(tool)
        yield Finding(tool, "ok", found) if found else Finding(tool, "warning", f"not there: {use}", remedy)


def browser() -> Finding:
    """Chromium and its driver, in which the tests look at reports."""
    remedy = "sudo apt-get install chromium chromium-driver"
    program = next((found for name in CHROMIUMS if (found := shutil.which(name))), None)
    if program is None:
        return Finding("Chromium", "warning", "not there: tests that look at reports are left out", remedy)
    if shutil.which("chromedriver") is None:
        return Finding("Chromium", "warning", f"{program} has no chromedriver: tests that look at reports are left out", remedy)
    return Finding("Chromium", "ok", program)


def disk(folder: Path) -> Finding:
    """Room for runs where they are kept by default."""
    free = shutil.disk_usage(folder).free
    seen = f"{free / 1e9:.1f} GB free in {folder}"
    if free < DISK_BYTES:
        return Finding("disk", "warning", seen, f"make room: at least {DISK_BYTES / 1e9:.0f} GB")
    return Finding("disk", "ok", seen)


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
