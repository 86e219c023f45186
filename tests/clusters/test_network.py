"""The choice of a subnet: nothing that the engine or the host uses, another beginning for each run."""
from ipaddress import IPv4Network
from itertools import islice

from diarchy.clusters.docker.network import POOLS, Network, free_subnets, host_routes

ROUTES = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
tun0\t00001EAC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
"""


def test_routes_of_the_host_are_read_without_the_default_route() -> None:
    assert host_routes(ROUTES) == [IPv4Network("192.168.1.0/24"), IPv4Network("172.30.0.0/16")]


def test_a_subnet_overlaps_nothing_that_is_taken() -> None:
    taken = [IPv4Network("172.30.0.0/17"), IPv4Network("172.30.200.128/25")]
    found = list(free_subnets("a-run", taken))
    assert found
    assert not [subnet for subnet in found for other in taken if subnet.overlaps(other)]
    assert IPv4Network("172.30.201.0/24") in found


def test_a_pool_that_is_taken_whole_leaves_the_others() -> None:
    assert next(free_subnets("a-run", POOLS[:1])).subnet_of(POOLS[1])
    assert list(free_subnets("a-run", POOLS)) == []


def test_runs_begin_elsewhere() -> None:
    firsts = {next(free_subnets(f"run-{number}", [])) for number in range(20)}
    assert len(firsts) > 10
    assert all(any(first.subnet_of(pool) for pool in POOLS) for first in firsts)


def test_every_subnet_is_tried_once() -> None:
    found = list(islice(free_subnets("a-run", []), 10_000))
    assert len(found) == len(set(found)) == 256 + 256 + 128


def test_addresses_within_a_network() -> None:
    network = Network("id", "name", "172.30.7.0/24")
    assert (network.gateway, network.toxiproxy, network.server(1)) == ("172.30.7.1", "172.30.7.2", "172.30.7.11")
