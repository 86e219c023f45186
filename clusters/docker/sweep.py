"""Removes what runs have left behind on the engine: containers and networks whose owner is dead."""
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from diarchy.clusters.docker import owner

if TYPE_CHECKING:
    from docker import DockerClient

NETWORK_WITHIN_S = 2.0
STUCK = " is stuck "


def sweep(client: "DockerClient", only: str | None = None) -> list[str]:
    """Remove containers (by force, with their volumes) and networks of dead owners; what was removed, and what could not be.

    `only` names one run: all that it made goes, and its owner may live (it sweeps up after itself). Others may sweep at the
    same time. Raises what the SDK raises where the engine does not answer.
    """
    wanted = {"label": owner.RUN if only is None else f"{owner.RUN}={only}"}
    containers = [(entry["Id"], entry["Names"][0].lstrip("/") if entry["Names"] else entry["Id"][:12])
                  for entry in client.api.containers(all=True, filters=wanted) if _ours(entry["Labels"], only)]
    said: list[str] = []
    if containers:
        with ThreadPoolExecutor(max_workers=8) as pool:
            said += [line for line in pool.map(lambda found: _remove_container(client, *found), containers) if line]
    for network in client.api.networks(filters=wanted):
        if _ours(network["Labels"], only) and (line := _remove_network(client, network["Id"], network["Name"])):
            said.append(line)
    return said


def stuck(said: Sequence[str]) -> list[str]:
    """Those of a sweep's lines that tell of what could not be removed, and how to."""
    return [line for line in said if STUCK in line]


def _ours(labels: dict[str, str], only: str | None) -> bool:
    if only is not None:
        return labels.get(owner.RUN) == only
    made_by = owner.of(labels)
    return made_by is not None and not made_by.alive(owner.current())


def _remove_container(client: "DockerClient", identity: str, name: str) -> str:
    import docker

    try:
        client.api.remove_container(identity, force=True, v=True)
    except docker.errors.NotFound:
        return ""
    except docker.errors.APIError as error:
        if _status(error) == 409:  # another sweep is removing it now
            return ""
        return f"container {name}{STUCK}({_why(error)}): remove it with `docker rm -fv {name}`"
    return f"removed container {name}"


def _remove_network(client: "DockerClient", identity: str, name: str) -> str:
    import docker

    deadline = time.monotonic() + NETWORK_WITHIN_S
    while True:
        try:
            client.api.remove_network(identity)
        except docker.errors.NotFound:
            return ""
        except docker.errors.APIError as error:
            # A container that another sweep is still removing holds the network for a moment.
            if _status(error) in (403, 409) and time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            return f"network {name}{STUCK}({_why(error)}): remove it with `docker network rm {name}`"
        return f"removed network {name}"


def _status(error: Any) -> int:
    return int(error.response.status_code) if error.response is not None else 0


def _why(error: Any) -> str:
    return str(error.explanation or error).strip()
