"""One etcd server in a container on loopback, for tests of what talks to it."""
import os
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

OPEN: set[str] = set()
"""Names of the containers whose blocks have not ended."""


@contextmanager
def etcd_server() -> Iterator[str]:
    """Its `host:port`. The shortest lease that it grants is 1 s. The container goes with the block, or with `diarchy clean` after a kill."""
    from diarchy.clusters.docker import owner
    from diarchy.clusters.docker.images import connect, reference

    client = connect()
    address, peer = f"127.0.0.1:{_free_port()}", f"http://127.0.0.1:{_free_port()}"
    name = f"diarchy-tests-etcd-{os.getpid()}-{address.partition(':')[2]}"
    container = client.containers.create(reference("etcd"), [
        "/usr/local/bin/etcd", "--heartbeat-interval", "50", "--election-timeout", "500", "--data-dir", "/tmp/etcd",
        "--listen-client-urls", f"http://{address}", "--advertise-client-urls", f"http://{address}",
        "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}",
    ], network_mode="host", name=name, labels=owner.current().labels(name))
    OPEN.add(name)
    try:
        container.start()
        _until_healthy(address, time.monotonic() + 20)
        yield address
    finally:
        container.remove(force=True, v=True)
        OPEN.remove(name)
        client.close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _until_healthy(address: str, deadline: float) -> None:
    while True:
        try:
            with urllib.request.urlopen(f"http://{address}/health", timeout=1) as answer:
                if b'"true"' in answer.read():
                    return
        except OSError:
            pass
        assert time.monotonic() < deadline, f"etcd at {address} does not answer"
        time.sleep(0.05)
