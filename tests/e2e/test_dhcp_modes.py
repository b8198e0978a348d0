"""Machines boot where the DHCP of their network is not simply ours: beside another server, and
behind a relay.
"""

from __future__ import annotations

import pathlib
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from drophammer.netns import Namespace
from tests.e2e.chains import Bench, assert_booted, bios, uefi

pytestmark = pytest.mark.e2e

PROXY = {
    "dhcp_enabled": False,
    "dhcp.subnets": ["rack"],
    "subnet:rack.cidr": "172.22.0.0/24",
    "subnet:rack.mode": "proxy",
    "subnet:rack.ipv6_prefix": "fd00:22::/64",
}
RELAYED = {
    "dhcp_enabled": False,
    "dhcp.subnets": ["far"],
    "subnet:far.cidr": "10.2.0.0/24",
    "subnet:far.relay": "10.2.0.1",
    "subnet:far.router": "10.2.0.1",
    "subnet:far.range_start": "10.2.0.50",
    "subnet:far.range_end": "10.2.0.99",
}


def ip(words: str, inside: str = "") -> None:
    subprocess.run(Namespace(inside).command(["ip", *words.split()]), check=True)


@contextmanager
def neighbour(server: str, address: str) -> Iterator[str]:
    """Another namespace on the server's network, with card0 in it."""
    name = f"{server}n"
    ip(f"netns add {name}")
    try:
        ip("link set lo up", name)
        ip(f"link add nport type veth peer name card0 netns {name}", server)
        ip("link set nport master br0 up", server)
        ip(f"addr add {address}/24 dev card0", name)
        ip("link set card0 up", name)
        yield name
        # The kernel would take it away with the namespace, some time later.
        ip("link del nport", server)
    finally:
        ip(f"netns del {name}")


@contextmanager
def dnsmasq(namespace: str, *options: str) -> Iterator[None]:
    argv = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--no-ping"]
    argv += ["--log-facility=-", "--user=root", "--pid-file", "--leasefile-ro", *options]
    with subprocess.Popen(Namespace(namespace).command(argv)) as child:
        try:
            yield
        finally:
            child.terminate()


@pytest.fixture
def benches(
    tmp_path: pathlib.Path, chain_namespace: str, chain_dir: pathlib.Path
) -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_a_machine_boots_beside_another_dhcp_server(
    benches: ExitStack,
    tmp_path: pathlib.Path,
    chain_namespace: str,
    chain_dir: pathlib.Path,
    firmware: str,
) -> None:
    stranger = benches.enter_context(neighbour(chain_namespace, "172.22.0.9"))
    benches.enter_context(
        dnsmasq(stranger, "--interface=card0", "--dhcp-range=172.22.0.200,172.22.0.220,1h")
    )
    bench = Bench(tmp_path, chain_namespace, chain_dir, **PROXY)
    benches.callback(bench.store.close)
    benches.callback(bench.server.stop)
    node_id = bench.node("ipxe", "ipxe")
    bench.server.start()
    bench.server.prepare(node_id)
    machine = bios() if firmware == "bios" else uefi(bench)
    serial = bench.power_on(*machine)
    assert_booted(bench, node_id, serial, "ipxe")
    clients = [message for kind, message in bench.events_of(node_id) if "sending to" in message]
    assert clients
    assert all("172.22.0.2" in message for message in clients)


def test_a_machine_boots_behind_a_relay(
    benches: ExitStack, tmp_path: pathlib.Path, chain_namespace: str, chain_dir: pathlib.Path
) -> None:
    relay = benches.enter_context(neighbour(chain_namespace, "172.22.0.2"))
    ip("link add br1 type bridge stp_state 0 forward_delay 0", relay)
    ip("addr add 10.2.0.1/24 dev br1", relay)
    ip("link set br1 up", relay)
    ip("tuntap add dev tap1 mode tap", relay)
    ip("link set tap1 master br1 up", relay)
    Namespace(relay).call(lambda: pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("1"))
    ip("route add 10.2.0.0/24 via 172.22.0.2", chain_namespace)
    benches.callback(ip, "route del 10.2.0.0/24", chain_namespace)
    benches.enter_context(
        dnsmasq(
            relay,
            "--dhcp-relay=10.2.0.1,172.22.0.1",
            *("--interface=br1", "--interface=card0", "--bind-interfaces"),
        )
    )
    bench = Bench(tmp_path, chain_namespace, chain_dir, **RELAYED)
    benches.callback(bench.store.close)
    benches.callback(bench.server.stop)
    node_id = bench.node("ipxe", "ipxe")
    bench.server.start()
    bench.server.prepare(node_id)
    bench.namespace = relay
    serial = bench.power_on(*bios())
    assert_booted(bench, node_id, serial, "ipxe")
