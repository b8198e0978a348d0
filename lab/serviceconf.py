"""The configuration of a Drophammer that serves a lab: its boot side inside the namespace."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from lab import network

# Where operators reach the API of a service that is started without --listen.
API_URL = "http://127.0.0.1:6385"
RAMDISK_API_PORT = 6385
HTTP_PORT = 8080
# no_timer_check: under emulation on a busy host the kernel's timer test fails and it panics.
KERNEL_PARAMETERS = "console=ttyS0 no_timer_check panic=10"


def render(
    *,
    namespace: str,
    addresses: network.Addresses,
    state_dir: Path,
    boot_dir: Path,
    images_dir: Path,
    boot_mode: str = "bios",
) -> str:
    """The text of a configuration file for ``drophammer serve --config-file``."""
    interface = ipaddress.IPv4Interface(addresses.ipv4)
    address = interface.ip
    hosts = list(interface.network.hosts())
    prefix = ipaddress.IPv6Interface(addresses.ipv6).network
    return f"""\
[DEFAULT]
enabled_hardware_types = fake-hardware, ipmi
state_dir = {state_dir}

[serve]
ramdisk_listen = {address}:{RAMDISK_API_PORT}

[conductor]
network_namespace = {namespace}
ramdisk_api_url = http://{address}:{RAMDISK_API_PORT}

[deploy]
# The disks of the lab's machines are new files; overwriting them says nothing.
erase_devices_priority = 0
default_boot_mode = {boot_mode}

[pxe]
kernel_append_params = {KERNEL_PARAMETERS}

[netboot]
network_namespace = {namespace}
interface = {network.BRIDGE}
address = {address}
http_port = {HTTP_PORT}
dhcp_enabled = true
dhcp_range_start = {hosts[49]}
dhcp_range_end = {hosts[-6]}
dhcp_netmask = {interface.netmask}
ipv6_prefix = {prefix}
images_dir = {images_dir}
boot_dir = {boot_dir}
"""


def image_url(addresses: network.Addresses, name: str) -> str:
    """Where machines of the lab find the image ``name`` of the service's images folder."""
    address = ipaddress.IPv4Interface(addresses.ipv4).ip
    return f"http://{address}:{HTTP_PORT}/images/{name}"
