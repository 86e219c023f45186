"""Build contexts: a folder with everything that goes into an image, made from package registries without a base image."""
import hashlib
import io
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from diarchy.clusters.cluster import ClusterError, Progress

RECIPES = Path(__file__).parent / "build"
FORMAT = 1
"""Raised where this file puts something else into an image from the same recipe."""


INSTALL_GO = "install Go 1.24 or later (Debian 13: `sudo apt-get install golang-go`; elsewhere: https://go.dev/dl)"
INSTALL_DPKG = "the packages' files can be had on Debian and its relatives only"


class Go(msgspec.Struct, frozen=True, tag="go"):
    """One static binary, compiled from the module that the recipe's go.mod and go.sum pin; `flags` are the linker's."""

    package: str
    flags: str = ""


class Debian(msgspec.Struct, frozen=True, tag="debian"):
    """The files of some Debian packages, without their maintainer scripts; `links` are added, by path, where absent."""

    packages: tuple[str, ...]
    links: dict[str, str] = {}


Content = Go | Debian


def fingerprint(name: str, content: Content) -> str:
    """Hash of the recipe's files and of its declaration."""
    digest = hashlib.sha256(f"{FORMAT}\n".encode() + msgspec.json.encode(content))
    for file in sorted((RECIPES / name).iterdir()):
        digest.update(f"\n{file.name}\n".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def fill(name: str, content: Content, architecture: str, folder: Path, say: Progress) -> None:
    """Put the Dockerfile and what it copies into the folder. Raises ClusterError with the command that mends it."""
    shutil.copy(RECIPES / name / "Dockerfile", folder)
    match content:
        case Go():
            _compile(name, content, architecture, folder / name, say)
        case Debian():
            _unpack(content, architecture, folder / "root", say)


def pack(folder: Path) -> io.BytesIO:
    """The folder as a tar file in memory, everything owned by root and as old as the epoch."""

    def anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = member.mtime = 0
        member.uname = member.gname = "root"
        return member

    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for entry in sorted(folder.iterdir()):
            tar.add(entry, arcname=entry.name, filter=anonymous)
    packed.seek(0)
    return packed


def _compile(name: str, content: Go, architecture: str, target: Path, say: Progress) -> None:
    go = _tool("go", INSTALL_GO)
    with tempfile.TemporaryDirectory(prefix="diarchy-go-") as module:
        shutil.copytree(RECIPES / name, module, ignore=shutil.ignore_patterns("Dockerfile"), dirs_exist_ok=True)
        command = [go, "build", "-mod=readonly", "-trimpath", "-buildvcs=false"]
        command += ["-ldflags", f"-s -w {content.flags}".strip(), "-o", str(target), content.package]
        settings = {"CGO_ENABLED": "0", "GOOS": "linux", "GOARCH": architecture, "GOWORK": "off", "GOFLAGS": ""}
        _run(command, Path(module), settings, "compiling", say)


def _unpack(content: Debian, architecture: str, root: Path, say: Progress) -> None:
    apt, unpacker, dpkg = (_tool(tool, INSTALL_DPKG) for tool in ("apt-get", "dpkg-deb", "dpkg"))
    own = subprocess.run([dpkg, "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()
    if own != architecture:
        raise ClusterError(f"the engine runs {architecture} images, and this machine's packages are for {own}")
    for part in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / part).mkdir(parents=True)
        (root / part).symlink_to(f"usr/{part}")
    with tempfile.TemporaryDirectory(prefix="diarchy-debs-") as folder:
        debs = Path(folder)
        _run([apt, "download", "-q", *content.packages], debs, {}, "downloading Debian packages", say)
        say("unpacking")
        for deb in sorted(debs.glob("*.deb")):
            _extract(unpacker, deb, root)
    for waste in ("usr/share", "etc", "var"):
        shutil.rmtree(root / waste, ignore_errors=True)
    for cache in root.glob("usr/lib/*/gconv"):
        shutil.rmtree(cache)
    for link, target in content.links.items():
        path = root / link
        path.unlink(missing_ok=True)
        path.symlink_to(target)


def _extract(unpacker: str, deb: Path, root: Path) -> None:
    with subprocess.Popen([unpacker, "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE) as payload:
        unpacked = subprocess.run(
            ["tar", "-x", "--keep-directory-symlink", "--no-same-owner", "-C", str(root)],
            stdin=payload.stdout, capture_output=True, text=True, check=False,
        )
    if payload.returncode or unpacked.returncode:
        raise ClusterError(f"{deb.name} cannot be unpacked: {unpacked.stderr.strip() or 'dpkg-deb failed'}")


def _tool(name: str, remedy: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise ClusterError(f"`{name}` is not on this machine's PATH: {remedy}")
    return found


def _run(command: Sequence[str], folder: Path, settings: Mapping[str, str], doing: str, say: Progress) -> None:
    """Run it in a session of its own, saying every few seconds how far it is; its whole process group dies with us."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **settings}, stdin=subprocess.DEVNULL,
            stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )
        say(doing)
        try:
            said = time.monotonic()
            while process.poll() is None:
                try:
                    process.wait(timeout=1)
                except subprocess.TimeoutExpired:
                    if time.monotonic() - said > 10:
                        said = time.monotonic()
                        say(f"still {doing}")
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if process.returncode:
            output.seek(0)
            last = output.read().decode(errors="replace").strip().splitlines()[-8:]
            what = f"{Path(command[0]).name} {command[1]}"
            raise ClusterError(f"`{what}` failed with status {process.returncode}:\n" + "\n".join(last))
