"""The provisioning network of a lab: a bridge with a tap per machine, in a namespace.

What happens on it cannot reach the host or another lab. Several labs may use
the same addresses at the same time, since interface names and addresses belong
to the namespace. No DHCP: that is what the service under test is for.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import subprocess
from pathlib import Path

from drophammer import errors, netns

BRIDGE = "br0"
TUN_DEVICE = Path("/dev/net/tun")
# A fixed link-local address: without a machine the bridge has no carrier and
# the kernel gives it none, and router advertisements come from it.
LINK_LOCAL = "fe80::1/64"


@dataclasses.dataclass(frozen=True)
class Addresses:
    """The host's own addresses on the provisioning network, with prefix length."""

    ipv4: str = "172.22.0.1/24"
    ipv6: str = "fd00:22::1/64"

    def __post_init__(self) -> None:
        try:
            ipaddress.IPv4Interface(self.ipv4)
            ipaddress.IPv6Interface(self.ipv6)
        except ValueError as error:
            raise errors.Invalid(f"address of the provisioning network: {error}") from error


def namespace_of(lab_name: str) -> str:
    """The name of the network namespace of a lab."""
    return f"dhlab-{lab_name}"


def tap_of(number: int) -> str:
    """The tap of machine ``number``, counted from 1."""
    return f"tap{number}"


def exists(namespace: str) -> bool:
    """Whether there is such a namespace."""
    return (Path(netns.RUN_DIR) / namespace).exists()


def up(namespace: str, machines: int, addresses: Addresses) -> None:
    """Make the namespace, its bridge and ``machines`` taps, all or nothing.

    Raises Forbidden without root, Unavailable without ``ip`` or a tun device,
    Conflict when the namespace is there already.
    """
    check()
    if exists(namespace):
        raise errors.Conflict(f"the network namespace {namespace} exists already")
    try:
        _ip("netns", "add", namespace)
        _build(namespace, machines, addresses)
    except BaseException:
        down(namespace)
        raise


def down(namespace: str) -> None:
    """Remove the namespace with all that is in it; nothing happens when it is not there."""
    if exists(namespace):
        _ip("netns", "del", namespace)


def check() -> None:
    """Raise a domain error that names what a provisioning network lacks here."""
    if os.geteuid() != 0:
        raise errors.Forbidden("the lab makes network namespaces and taps: run it as root")
    if not TUN_DEVICE.exists():
        raise errors.Unavailable(
            f"{TUN_DEVICE} is missing: load the kernel module 'tun', "
            "or give the container this device"
        )


def _build(namespace: str, machines: int, addresses: Addresses) -> None:
    # Duplicate address detection would keep addresses unusable for a second
    # after the first machine has brought the bridge its carrier.
    netns.Namespace(namespace).call(_no_duplicate_address_detection)

    def inside(words: str) -> None:
        _run(netns.Namespace(namespace).command(["ip", *words.split()]))

    inside("link set lo up")
    inside(f"link add {BRIDGE} type bridge stp_state 0 forward_delay 0")
    inside(f"link set {BRIDGE} addrgenmode none")
    inside(f"addr add {addresses.ipv4} dev {BRIDGE}")
    for address in (addresses.ipv6, LINK_LOCAL):
        inside(f"addr add {address} dev {BRIDGE} nodad")
    inside(f"link set {BRIDGE} up")
    for number in range(1, machines + 1):
        inside(f"tuntap add dev {tap_of(number)} mode tap")
        inside(f"link set {tap_of(number)} addrgenmode none")
        inside(f"link set {tap_of(number)} master {BRIDGE} up")


def _no_duplicate_address_detection() -> None:
    setting = Path("/proc/sys/net/ipv6/conf/default/accept_dad")
    if setting.exists():
        setting.write_text("0")


def _ip(*words: str) -> str:
    return _run(["ip", *words])


def _run(argv: list[str]) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30)
    except FileNotFoundError as error:
        package = {"ip": "iproute2", "nsenter": "util-linux"}[argv[0]]
        raise errors.Unavailable(
            f"'{argv[0]}' is missing: install the package '{package}'"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise errors.Unavailable(f"{' '.join(argv)} did not end in 30 s") from error
    if done.returncode != 0:
        raise errors.Unavailable(f"{' '.join(argv)} failed: {done.stderr.strip()}")
    return done.stdout
