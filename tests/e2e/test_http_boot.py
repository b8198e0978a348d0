"""UEFI firmware boots over HTTP: it asks DHCP as architecture 16, is told a URL and loads that.

What it loads is iPXE, or shim and GRUB, by the node's boot interface; no TFTP is needed until
then. What follows is as in test_boot_chains.py.
"""

from __future__ import annotations

import pytest

from tests.e2e.chains import Bench, assert_booted, uefi

pytestmark = pytest.mark.e2e

# OVMF leaves PXE out for these, so that HTTP is the first thing it tries.
HTTP_ONLY = (
    *("-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=no"),
    *("-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=no"),
    *("-device", "virtio-rng-pci"),
)


@pytest.mark.seed("s64")
def test_uefi_firmware_loads_ipxe_over_http_which_boots_the_ramdisk(bench: Bench) -> None:
    node_id = bench.node("ipxe", "ipxe")
    bench.server.start()
    bench.server.prepare(node_id)
    serial = bench.power_on(*uefi(bench), *HTTP_ONLY)
    assert_booted(bench, node_id, serial, "ipxe")
    assert _loaders(bench, node_id) == {("http", "snponly.efi")}


@pytest.mark.seed("s64")
def test_uefi_firmware_loads_shim_and_shim_loads_grub_over_http(bench: Bench) -> None:
    """What GRUB then does is not ours: 2.06 sets up no network after an HTTP boot."""
    node_id = bench.node("pxe", "pxe")
    bench.server.start()
    serial = bench.power_on(*uefi(bench), *HTTP_ONLY, until="Welcome to GRUB")
    assert "Welcome to GRUB" in serial, serial[-3000:]
    bench.server.stop()
    assert _loaders(bench, node_id) == {("http", "bootx64.efi"), ("http", "grubx64.efi")}


def _loaders(bench: Bench, node_id: int) -> set[tuple[str, str]]:
    """(protocol, name) of the loaders that were fetched by firmware that asked for HTTP boot."""
    told = bench.events_of(node_id)
    assert any("UEFI HTTP" in message for kind, message in told if kind == "dhcp")
    # Firmware asks for the size first; what is told is the transfer that follows.
    assert not any(": 0 bytes" in message for _, message in told)
    words = [(kind, message.split(" ")) for kind, message in told]
    return {(kind, word[1].rstrip(":")) for kind, word in words if word[0] == "loader"}
