"""UEFI Secure Boot with Microsoft's keys in the firmware: the signed chain boots, and firmware
refuses what nobody signed.
"""

from __future__ import annotations

import shutil

import pytest

from tests.e2e.chains import MAC, OVMF, Bench, assert_booted

pytestmark = pytest.mark.e2e


def secure(bench: Bench) -> tuple[str, ...]:
    """OVMF with Secure Boot on, its variables writable in System Management Mode only."""
    code, variables = OVMF / "OVMF_CODE_4M.ms.fd", bench.folder / "vars.fd"
    if not code.exists():
        pytest.skip("needs OVMF with Microsoft's keys")
    shutil.copy(OVMF / "OVMF_VARS_4M.ms.fd", variables)
    return (
        *("-M", "q35,smm=on"),
        *("-global", "driver=cfi.pflash01,property=secure,value=on"),
        *("-global", "ICH9-LPC.disable_s3=1"),
        *("-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={code}"),
        *("-drive", f"if=pflash,format=raw,unit=1,file={variables}"),
        *("-device", f"virtio-net-pci,netdev=n0,mac={MAC},bootindex=0,romfile="),
    )


def test_shim_grub_and_the_kernel_boot_because_they_are_signed(bench: Bench) -> None:
    node_id = bench.node("pxe", "pxe")
    bench.server.start()
    bench.server.prepare(node_id)
    serial = bench.power_on(*secure(bench))
    assert "Secure boot enabled" in serial
    stages = assert_booted(bench, node_id, serial, "pxe")
    assert stages[0] == "loader"


def test_a_loader_that_nobody_signed_is_refused_by_the_firmware(bench: Bench) -> None:
    node_id = bench.node("ipxe", "ipxe")
    bench.server.start()
    bench.server.prepare(node_id)
    serial = bench.power_on(*secure(bench), until="Access Denied")
    bench.server.stop()
    told = [message for kind, message in bench.events_of(node_id) if kind != "dhcp"]
    assert "Access Denied" in serial, serial[-3000:]
    assert any(message.startswith("loader snponly.efi") for message in told), told
    assert not any(message.startswith("script") for message in told), told
