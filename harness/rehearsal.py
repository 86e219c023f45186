"""What a run asks of the engine's network, tried with two Toxiproxy containers: a few seconds, nothing left behind."""
import os
import secrets
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from diarchy.clusters.cluster import ClusterError
from diarchy.clusters.docker import containers, images, owner, sweep
from diarchy.clusters.docker import network as networks
from diarchy.clusters.docker.toxiproxy import API_PORT, Listener, Toxiproxy, ToxiproxyError

if TYPE_CHECKING:
    from docker import DockerClient

ALIAS = "169.254.213.1"
OTHER_ALIAS = "169.254.213.2"
WITHIN_S = 5.0
ON_THIS_HOST = "run diarchy on the host of the engine itself: neither in a virtual machine beside it nor with a rootless engine"


class Route(msgspec.Struct, frozen=True):
    """One way that bytes must be able to go; `problem` is empty where they did."""

    name: str
    seen: str
    problem: str
    remedy: str


def rehearse(client: "DockerClient", asked: str = ALIAS) -> list[Route]:
    """Try the routes of a run; `asked` is the alias that is called. Raises ClusterError where the engine cannot even make a network and containers."""
    run = f"doctor-{os.getpid()}-{secrets.token_hex(3)}"
    try:
        network = networks.create(client, run, owner.current().labels(run))
        first, second = network.server(1), network.server(2)
        _start(client, run, network, "first", first, ALIAS)
        _start(client, run, network, "second", second, OTHER_ALIAS)
        return [
            _try("bridge", f"the host reaches containers ({first})", ON_THIS_HOST, lambda: _answers(first)),
            _try(
                "aliases", f"containers reach each other's link-local addresses ({asked})",
                "check the firewall of the engine's bridge networks", lambda: _alias(second, asked),
            ),
            _try(
                "gateway", f"containers reach the host ({network.gateway})",
                "allow connections from Docker's bridge networks in the host's firewall", lambda: _gateway(second, network.gateway),
            ),
        ]
    finally:
        sweep.sweep(client, only=run)


def _start(client: "DockerClient", run: str, network: networks.Network, name: str, address: str, alias: str) -> None:
    image = images.IMAGES["toxiproxy"]
    spec = containers.Spec(
        name=name, image=images.reference("toxiproxy"), entrypoint=(image.program,), command=("-host=0.0.0.0",),
        address=address, link_local=(alias,),
    )
    containers.start(client, containers.create(client, run, owner.current().labels(run), network, spec))


def _try(name: str, seen: str, remedy: str, attempt: Callable[[], None]) -> Route:
    try:
        attempt()
    except (OSError, ToxiproxyError, ClusterError) as error:
        return Route(name, "", f"not so: {seen}: {error}", remedy)
    return Route(name, seen, "", remedy)


def _answers(address: str, port: int = API_PORT) -> None:
    """Return once the Toxiproxy there says its version; raise what the last attempt raised."""
    from toxiproxy.exceptions import NotFound

    deadline = time.monotonic() + WITHIN_S
    while True:
        try:
            Toxiproxy(address, port).version()
            return
        except NotFound as error:
            raise ToxiproxyError(f"somebody else answers at {address}:{port}") from error
        except (OSError, ToxiproxyError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _alias(address: str, alias: str) -> None:
    """Ask the first container for its version through the second, by an alias."""
    _answers(address)
    Toxiproxy(address).populate([Listener("alias", "0.0.0.0:9001", f"{alias}:{API_PORT}")])
    _answers(address, 9001)


def _gateway(address: str, gateway: str) -> None:
    """Call the host through a container."""
    with socket.create_server((gateway, 0)) as server:
        server.settimeout(WITHIN_S)
        _answers(address)
        Toxiproxy(address).populate([Listener("gateway", "0.0.0.0:9002", f"{gateway}:{server.getsockname()[1]}")])
        with socket.create_connection((address, 9002), timeout=WITHIN_S):
            server.accept()[0].close()
