"""One bridge network per run, on a /24 that neither the engine nor the host uses."""
import zlib
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from diarchy.clusters.cluster import ClusterError
from diarchy.clusters.docker.engine import asking

if TYPE_CHECKING:
    from docker import DockerClient

POOLS = (IPv4Network("172.30.0.0/16"), IPv4Network("10.213.0.0/16"), IPv4Network("192.168.128.0/17"))
ATTEMPTS = 32


class Network(msgspec.Struct, frozen=True):
    """A run's network: the host has the gateway's address, Toxiproxy the next, servers from .11 on."""

    id: str
    name: str
    subnet: str

    @property
    def gateway(self) -> str:
        """The host's own address on this network."""
        return self._address(1)

    @property
    def toxiproxy(self) -> str:
        return self._address(2)

    def server(self, number: int) -> str:
        """Address of the server with this number, from 1."""
        return self._address(10 + number)

    def _address(self, last: int) -> str:
        return str(IPv4Network(self.subnet)[last])


def create(client: "DockerClient", run: str, labels: dict[str, str]) -> Network:
    """A bridge network on a free subnet. ClusterError where none of those tried is free."""
    import docker

    name = f"diarchy-{run}"
    with asking("making a network"):
        taken = [*host_routes(Path("/proc/net/route").read_text(encoding="ascii")), *_subnets(client.api.networks())]
        for subnet, _ in zip(free_subnets(run, taken), range(ATTEMPTS), strict=False):
            pool = docker.types.IPAMPool(subnet=str(subnet), gateway=str(subnet[1]))
            try:
                made = client.api.create_network(name, driver="bridge", labels=labels, check_duplicate=True,
                                                 ipam=docker.types.IPAMConfig(pool_configs=[pool]))
            except docker.errors.APIError as error:
                # Another run may have taken it since we looked.
                if "overlap" in str(error.explanation).lower():
                    continue
                raise
            return Network(made["Id"], name, str(subnet))
    raise ClusterError(f"no free /24 in {', '.join(map(str, POOLS))} for the run's network: `docker network ls` shows what is "
                       "there, `diarchy clean` removes what dead runs left")


def free_subnets(run: str, taken: Iterable[IPv4Network]) -> Iterator[IPv4Network]:
    """Each /24 of the pools that overlaps nothing taken; each run begins elsewhere, so that two at once seldom meet."""
    subnets = [subnet for pool in POOLS for subnet in pool.subnets(new_prefix=24)]
    used = list(taken)
    first = zlib.crc32(run.encode()) % POOLS[0].num_addresses // 256
    for index in range(len(subnets)):
        subnet = subnets[(first + index) % len(subnets)]
        if not any(subnet.overlaps(other) for other in used):
            yield subnet


def host_routes(table: str) -> list[IPv4Network]:
    """The destinations in the text of `/proc/net/route`, the default route left out."""
    routes = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7 and (mask := _address(fields[7])) != "0.0.0.0":
            routes.append(IPv4Network(f"{_address(fields[1])}/{mask}", strict=False))
    return routes


def _address(little_endian: str) -> str:
    return str(IPv4Address(bytes.fromhex(little_endian)[::-1]))


def _subnets(networks: list[dict[str, Any]]) -> list[IPv4Network]:
    configs = [config for network in networks for config in (network["IPAM"] or {}).get("Config") or ()]
    return [IPv4Network(config["Subnet"]) for config in configs if ":" not in config.get("Subnet", ":")]
