"""A recorded machine: files as /sys and /proc show them on two kinds of hardware."""

from pathlib import Path

import pytest


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def link(root: Path, path: str, target: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).symlink_to(root / target)


@pytest.fixture
def sys_root(tmp_path):
    """A machine with a virtio and an Intel NIC, a virtio, a SATA and an NVMe disk."""
    root = tmp_path / "sys"
    virtio_nic = "devices/pci0000:00/0000:00:02.0"
    write(root, f"{virtio_nic}/vendor", "0x1af4\n")
    write(root, f"{virtio_nic}/device", "0x1000\n")
    nic = f"{virtio_nic}/virtio0/net/eth0"
    write(root, f"{virtio_nic}/virtio0/vendor", "0x1af4\n")
    write(root, f"{nic}/address", "52:54:00:22:00:01\n")
    write(root, f"{nic}/type", "1\n")
    write(root, f"{nic}/carrier", "1\n")
    write(root, f"{nic}/speed", "-1\n")
    write(root, "bus/virtio/drivers/virtio_net/uevent", "")
    link(root, f"{virtio_nic}/virtio0/driver", "bus/virtio/drivers/virtio_net")
    link(root, f"{nic}/device", f"{virtio_nic}/virtio0")
    link(root, "class/net/eth0", nic)

    intel = "devices/pci0000:00/0000:03:00.1"
    write(root, f"{intel}/vendor", "0x8086\n")
    write(root, f"{intel}/device", "0x1533\n")
    write(root, f"{intel}/net/eno2/address", "A0:36:9F:00:00:02\n")
    write(root, f"{intel}/net/eno2/type", "1\n")
    write(root, f"{intel}/net/eno2/carrier", "0\n")
    write(root, f"{intel}/net/eno2/speed", "1000\n")
    write(root, "bus/pci/drivers/igb/uevent", "")
    link(root, f"{intel}/driver", "bus/pci/drivers/igb")
    link(root, f"{intel}/net/eno2/device", intel)
    link(root, "class/net/eno2", f"{intel}/net/eno2")
    write(root, "devices/virtual/net/lo/address", "00:00:00:00:00:00\n")
    write(root, "devices/virtual/net/lo/type", "772\n")
    link(root, "class/net/lo", "devices/virtual/net/lo")

    disk = "devices/pci0000:00/0000:00:04.0/virtio1/block/vda"
    write(root, f"{disk}/size", f"{20 << 21}\n")
    write(root, f"{disk}/serial", "LAB-1\n")
    write(root, f"{disk}/queue/rotational", "1\n")
    write(root, f"{disk}/queue/logical_block_size", "512\n")
    write(root, f"{disk}/queue/physical_block_size", "4096\n")
    write(root, f"{disk}/device/vendor", "0x1af4\n")
    link(root, "block/vda", disk)

    scsi = "devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0"
    write(root, f"{scsi}/model", "Samsung SSD 860 \n")
    write(root, f"{scsi}/vendor", "ATA     \n")
    write(root, f"{scsi}/wwid", "naa.5002538e40a8ce12\n")
    (root / scsi / "vpd_pg80").write_bytes(b"\0\x80\0\x08S3Z9NB0K")
    write(root, f"{scsi}/block/sda/size", f"{8 << 21}\n")
    write(root, f"{scsi}/block/sda/queue/rotational", "0\n")
    link(root, f"{scsi}/block/sda/device", scsi)
    link(root, "block/sda", f"{scsi}/block/sda")

    nvme = "devices/pci0000:00/0000:01:00.0/nvme/nvme0"
    write(root, f"{nvme}/model", "INTEL SSDPE2KX010T8\n")
    write(root, f"{nvme}/serial", "PHLJ0001\n")
    write(root, f"{nvme}/nvme0n1/size", f"{1000 << 21}\n")
    write(root, f"{nvme}/nvme0n1/wwid", "eui.01000000010000005cd2e4\n")
    write(root, f"{nvme}/nvme0n1/queue/rotational", "0\n")
    link(root, f"{nvme}/nvme0n1/device", nvme)
    link(root, "block/nvme0n1", f"{nvme}/nvme0n1")
    for name in ("loop0", "sr0", "ram0", "zram0"):
        write(root, f"devices/virtual/block/{name}/size", "8388608\n")
        link(root, f"block/{name}", f"devices/virtual/block/{name}")
    write(root, "devices/virtual/block/sdz/size", "0\n")
    link(root, "block/sdz", "devices/virtual/block/sdz")

    write(root, "class/dmi/id/sys_vendor", "Dell Inc.\n")
    write(root, "class/dmi/id/product_name", "PowerEdge R640\n")
    write(root, "class/dmi/id/product_serial", "ABC1234\n")
    write(root, "class/dmi/id/bios_vendor", "Dell Inc.\n")
    write(root, "class/dmi/id/bios_version", "2.10.2\n")
    write(root, "class/dmi/id/bios_date", "02/24/2021\n")
    return root


@pytest.fixture
def proc_root(tmp_path):
    root = tmp_path / "proc"
    cpu = "vendor_id : X\nmodel name\t: Xeon Gold 6230\ncpu MHz\t\t: 2100.000\n"
    cpu += "flags\t\t: fpu vme sse2\n"
    blocks = [f"processor\t: {n}\n{cpu}physical id\t: {n // 2}\n" for n in range(4)]
    write(root, "cpuinfo", "\n".join(blocks) + "\n")
    write(root, "meminfo", "MemTotal:       16384000 kB\nMemFree:  100 kB\n")
    write(
        root,
        "net/if_inet6",
        "fe80000000000000505400fffe220001 02 40 20 80     eth0\n"
        "fd000022000000000000000000000011 02 40 00 80     eth0\n",
    )
    return root
