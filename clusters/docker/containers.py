"""Containers of a run, by blocking calls: create and start, signals that are verified, logs."""
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from diarchy.clusters.docker import owner
from diarchy.clusters.docker.engine import asking
from diarchy.clusters.docker.network import Network

if TYPE_CHECKING:
    from docker import DockerClient

S = TypeVar("S")

SIGNAL_WITHIN_S = 2.0


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """One container: `address` on the run's network, `link_local` its further addresses there, `hosts` what names resolve to.

    `inside` is the id of a container whose network namespace it shares instead of having a place of its own.
    """

    name: str
    image: str
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    environment: Mapping[str, str] = {}
    address: str = ""
    link_local: tuple[str, ...] = ()
    hosts: Mapping[str, str] = {}
    capabilities: tuple[str, ...] = ()
    inside: str | None = None


class State(msgspec.Struct, frozen=True):
    """A container as the engine sees it. `pid` is 0 unless it runs; SIGSTOP does not show here."""

    running: bool
    pid: int
    status: str
    exit_code: int


def create(client: "DockerClient", run: str, labels: dict[str, str], network: Network, spec: Spec) -> str:
    """Create the container without starting it; its id. All capabilities are dropped but those that are asked for."""
    import docker

    api = client.api
    with asking(f"making the container of {spec.name}"):
        place: dict[str, Any] = {"network_mode": f"container:{spec.inside}"}
        if spec.inside is None:
            place = {"network_mode": network.name, "extra_hosts": dict(spec.hosts) or None}
        endpoint = api.create_endpoint_config(ipv4_address=spec.address, link_local_ips=_list(spec.link_local or None))
        endpoints: Any = {"EndpointsConfig": {network.name: endpoint}}
        made = api.create_container(
            spec.image, name=f"diarchy-{run}-{spec.name}", labels=labels, environment=dict(spec.environment),
            entrypoint=_list(spec.entrypoint), command=_list(spec.command),
            hostname=spec.name if spec.inside is None else None,
            host_config=api.create_host_config(
                **place, cap_drop=["ALL"], cap_add=_list(spec.capabilities or None), security_opt=["no-new-privileges"],
                log_config=docker.types.LogConfig(type="json-file")),
            networking_config=None if spec.inside is not None else endpoints,
        )
    return str(made["Id"])


def start(client: "DockerClient", container: str, name: str = "a container") -> State:
    """Start the container; its state just afterwards. `name` is for errors."""
    with asking(f"starting {name}"):
        client.api.start(container)
    return inspect(client, container)


def inspect(client: "DockerClient", container: str) -> State:
    """The container's state now."""
    with asking("inspecting a container"):
        state = client.api.inspect_container(container)["State"]
    return State(bool(state["Running"]), int(state["Pid"]), str(state["Status"]), int(state["ExitCode"]))


def pause(client: "DockerClient", container: str) -> tuple[bool, int, str]:
    """SIGSTOP; whether the process was seen in state T, its pid, and what was seen."""
    return _signal(client, container, "SIGSTOP", lambda state: state == "T")


def resume(client: "DockerClient", container: str) -> tuple[bool, int, str]:
    """SIGCONT; whether the process was seen to have left state T, its pid, and what was seen."""
    return _signal(client, container, "SIGCONT", lambda state: state != "T")


def kill(client: "DockerClient", container: str) -> tuple[bool, int, str]:
    """SIGKILL; whether it was seen dead, the pid it had, and what was seen."""
    import docker

    before = inspect(client, container)
    if before.running:
        with asking("killing a container"):
            try:
                client.api.kill(container, signal="SIGKILL")
            except docker.errors.APIError as error:
                if error.response is None or error.response.status_code != 409:  # 409: it has just ended by itself
                    raise
    after = _until(lambda: inspect(client, container), lambda state: not state.running)
    seen = f"it still runs (pid {after.pid})" if after.running else f"{after.status}, status {after.exit_code}"
    return not after.running, before.pid, seen if before.running else f"was not running: {seen}"


def log(client: "DockerClient", container: str, tail: int | None = None) -> bytes:
    """Its output with timestamps, the last `tail` lines or all of it."""
    with asking("reading a log"):
        return bytes(client.api.logs(container, timestamps=True, tail="all" if tail is None else tail))


def execute(client: "DockerClient", container: str, command: Sequence[str]) -> tuple[int, str]:
    """Run a command in the container; its status and output."""
    with asking(f"running {command[0]} in a container"):
        made = client.api.exec_create(container, list(command))
        output = bytes(client.api.exec_start(made["Id"]))
        return int(client.api.exec_inspect(made["Id"])["ExitCode"]), output.decode(errors="replace")


def _signal(client: "DockerClient", container: str, name: str, wanted: Callable[[str], bool]) -> tuple[bool, int, str]:
    import docker

    state = inspect(client, container)
    if not state.running:
        return False, 0, f"not running: {state.status}, status {state.exit_code}"
    with asking(f"sending {name}"):
        try:
            client.api.kill(container, signal=name)
        except docker.errors.APIError as error:
            if error.response is None or error.response.status_code != 409:
                raise
            return False, 0, "it ended before the signal came"
    seen = _until(lambda: _process_state(client, container, state.pid), wanted)
    return wanted(seen), state.pid, f"state {seen}"


def _process_state(client: "DockerClient", container: str, pid: int) -> str:
    """The first letter of the process's state. Where /proc does not show it (another pid namespace), the engine is asked."""
    fields = owner.stat(pid)
    if fields is not None:
        return fields[0]
    with asking("listing a container's processes"):
        top = client.api.top(container, ps_args="-eo pid,stat")
    for row in top["Processes"]:
        if row[0] == str(pid):
            return str(row[1][0])
    return "?"


def _until(read: Callable[[], S], wanted: Callable[[S], bool]) -> S:
    deadline = time.monotonic() + SIGNAL_WITHIN_S
    while not wanted(seen := read()) and time.monotonic() < deadline:
        time.sleep(0.005)
    return seen


def _list(items: tuple[str, ...] | None) -> list[str] | None:
    return None if items is None else list(items)
