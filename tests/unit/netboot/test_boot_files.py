"""Golden outputs of the renderers: what each loader is told, letter by letter."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from drophammer.bootspec import BootSpec
from drophammer.errors import Invalid
from netboot.boot import grub, ipxe, pxelinux
from netboot.boot.enlist import EnlistBoot
from netboot.loaders import LOADERS

BASE = "http://172.22.0.1:8080"
MAC = "52:54:00:22:00:01"

IPXE_BOOT = """\
#!ipxe
echo Drophammer: node 5d2b8f0a-7f5e-4c9d-9a53-2f1f9d6a7c11 starts its deploy ramdisk.
set tries:int32 0
:again
imgfree
set part kernel
kernel --name kernel http://172.22.0.1:8080/boot/k3y_abcdefgh/kernel initrd=ramdisk \
console=ttyS0 panic=10 BOOTIF=01-${netX/mac:hexhyp} || goto failed
set part ramdisk
initrd --name ramdisk http://172.22.0.1:8080/boot/k3y_abcdefgh/ramdisk || goto failed
set part start of the kernel
boot || goto failed
:failed
echo Drophammer: the ${part} failed: ${errno}
inc tries
iseq ${tries} 5 && goto leave ||
sleep 3
goto again
:leave
echo Drophammer: node 5d2b8f0a-7f5e-4c9d-9a53-2f1f9d6a7c11 gave up on the ${part} after 5 tries.
echo Starting again in 30 seconds.
sleep 30
reboot ||
exit 1
"""

IPXE_START = """\
#!ipxe
set rounds:int32 0
:round
chain --replace http://172.22.0.1:8080/ipxe/${netX/mac:hexhyp} ||
set card:int32 0
:next
isset ${net${card}/mac} || goto none
chain --replace http://172.22.0.1:8080/ipxe/${net${card}/mac:hexhyp} ||
inc card
goto next
:none
chain --replace http://172.22.0.1:8080/ipxe/default-${buildarch} ||
inc rounds
iseq ${rounds} 10 && goto leave ||
sleep 3
goto round
:leave
echo Drophammer at http://172.22.0.1:8080 has no script for ${netX/mac} or does not answer.
echo Going on with the next boot device.
exit 1
"""

PXELINUX_BOOT = """\
SAY Drophammer: node 5d2b8f0a-7f5e-4c9d-9a53-2f1f9d6a7c11 starts its deploy ramdisk.
DEFAULT ramdisk
PROMPT 0
TIMEOUT 300
ONTIMEOUT restart
LABEL ramdisk
  LINUX boot/k3y_abcdefgh/kernel
  INITRD boot/k3y_abcdefgh/ramdisk
  APPEND console=ttyS0 panic=10
  IPAPPEND 2
LABEL restart
  COM32 reboot.c32
"""

GRUB_BOOT = """\
echo 'Drophammer: node 5d2b8f0a-7f5e-4c9d-9a53-2f1f9d6a7c11 starts its deploy ramdisk.'
for try in 1 2 3; do
  if linux '/boot/k3y_abcdefgh/kernel' 'console=ttyS0' 'panic=10' \
'BOOTIF=01-52-54-00-22-00-01'; then
    if initrd '/boot/k3y_abcdefgh/ramdisk'; then
      boot
    fi
    echo 'Drophammer: the ramdisk could not be had.'
  else
    echo 'Drophammer: the kernel could not be had.'
  fi
  sleep 3
done
echo 'Drophammer: node 5d2b8f0a-7f5e-4c9d-9a53-2f1f9d6a7c11 gives up; restart in 30 s.'
sleep 30
reboot
"""


AMD64 = EnlistBoot(
    "amd64",
    "snapshot-20260101-000000/ubuntu/amd64/generic/trusty/release/boot-kernel",
    "snapshot-20260101-000000/ubuntu/amd64/generic/trusty/release/boot-initrd",
    ("ip=::::drophammer-enlist:BOOTIF", "console=ttyS0"),
)
I386 = EnlistBoot(
    "i386",
    "snapshot-20260101-000000/ubuntu/i386/generic/trusty/release/boot-kernel",
    "snapshot-20260101-000000/ubuntu/i386/generic/trusty/release/boot-initrd",
    ("ip=::::drophammer-enlist:BOOTIF",),
)
BOTH = [AMD64, I386]

PXELINUX_ENLIST = """\
SAY Drophammer: nobody knows this machine yet; it starts to make itself known.
DEFAULT choose
PROMPT 0
TIMEOUT 300
ONTIMEOUT restart
LABEL choose
  KERNEL ifcpu64.c32
  APPEND amd64 -- i386
LABEL amd64
  LINUX snapshot-20260101-000000/ubuntu/amd64/generic/trusty/release/boot-kernel
  INITRD snapshot-20260101-000000/ubuntu/amd64/generic/trusty/release/boot-initrd
  APPEND ip=::::drophammer-enlist:BOOTIF console=ttyS0
  IPAPPEND 2
LABEL i386
  LINUX snapshot-20260101-000000/ubuntu/i386/generic/trusty/release/boot-kernel
  INITRD snapshot-20260101-000000/ubuntu/i386/generic/trusty/release/boot-initrd
  APPEND ip=::::drophammer-enlist:BOOTIF
  IPAPPEND 2
LABEL restart
  COM32 reboot.c32
"""
PXELINUX_ENLIST_AMD64 = """\
SAY Drophammer: nobody knows this machine yet; it starts to make itself known.
DEFAULT amd64
PROMPT 0
TIMEOUT 300
ONTIMEOUT restart
LABEL amd64
  LINUX snapshot-20260101-000000/ubuntu/amd64/generic/trusty/release/boot-kernel
  INITRD snapshot-20260101-000000/ubuntu/amd64/generic/trusty/release/boot-initrd
  APPEND ip=::::drophammer-enlist:BOOTIF console=ttyS0
  IPAPPEND 2
LABEL restart
  COM32 reboot.c32
"""
GRUB_ENLIST = """\
echo 'Drophammer: nobody knows this machine yet; it starts to make itself known.'
for try in 1 2 3; do
  if linux '/snapshot-20260101-000000/ubuntu/amd64/generic/trusty/release/boot-kernel' \
'ip=::::drophammer-enlist:BOOTIF' 'console=ttyS0' "BOOTIF=01-$net_default_mac"; then
    if initrd '/snapshot-20260101-000000/ubuntu/amd64/generic/trusty/release/boot-initrd'; then
      boot
    fi
    echo 'Drophammer: the ramdisk could not be had.'
  else
    echo 'Drophammer: the kernel could not be had.'
  fi
  sleep 3
done
echo 'Drophammer: this machine gives up; restart in 30 s.'
sleep 30
reboot
"""


@pytest.mark.seed("s26")
def test_an_unknown_bios_machine_chooses_its_label_by_its_processor() -> None:
    assert pxelinux.enlist(BOTH, choose=True) == PXELINUX_ENLIST


@pytest.mark.seed("s26")
def test_a_32_bit_machine_for_which_there_is_nothing_goes_on_to_its_next_device() -> None:
    text = pxelinux.enlist([AMD64], choose=True)
    assert "  APPEND amd64 -- i386\nLABEL amd64\n" in text
    assert text.endswith("LABEL i386\n  LOCALBOOT -1\nLABEL restart\n  COM32 reboot.c32\n")


def test_a_loader_that_said_what_the_machine_is_need_not_choose() -> None:
    assert pxelinux.enlist([AMD64], choose=False) == PXELINUX_ENLIST_AMD64


def test_an_unknown_petitboot_machine_is_told_no_ipappend() -> None:
    text = pxelinux.enlist([replace(AMD64, arch="ppc64el")], choose=False)
    assert "IPAPPEND" not in text
    assert "ifcpu64" not in text


@pytest.mark.seed("s28")
def test_an_unknown_uefi_machine_writes_its_own_card_down() -> None:
    assert grub.enlist(AMD64) == GRUB_ENLIST


def test_an_unknown_machine_with_ipxe_asks_its_processor_where_there_are_two() -> None:
    script = ipxe.enlist(BOTH, BASE)
    assert "cpuid --ext 29 && goto amd64 || goto i386\n:amd64\n" in script
    for found in BOTH:
        assert f"kernel --name kernel {BASE}/{found.kernel} initrd=ramdisk ip=::::drop" in script
        assert f"initrd --name ramdisk {BASE}/{found.ramdisk} || goto failed-{found.arch}" in script
    labels = re.findall(r"^:(\S+)$", script, re.MULTILINE)
    assert len(labels) == len(set(labels))
    assert set(re.findall(r"goto (\S+)", script)) <= set(labels)


def test_an_unknown_machine_with_ipxe_needs_no_choice_where_there_is_one() -> None:
    assert "cpuid" not in ipxe.enlist([AMD64], BASE)


@pytest.mark.parametrize(
    "change",
    [
        {"arch": "amd64\n"},
        {"arch": "a'b"},
        {"kernel": "ubuntu/a b"},
        {"kernel": "ubuntu/a'b"},
        {"ramdisk": "ubuntu/${x}"},
        {"ramdisk": "ubuntu/../x"},
        {"ramdisk": "ubuntu/a\n"},
        {"parameters": ("a\nshell",)},
        {"parameters": ("BOOTIF=01-aa",)},
        {"parameters": ("a=" + "x" * 10_240,)},
    ],
)
def test_nothing_that_a_loader_would_read_as_its_own_gets_to_unknown_machines(
    change: dict[str, Any],
) -> None:
    bad = replace(AMD64, **change)
    for render in (
        lambda: pxelinux.enlist([bad], choose=False),
        lambda: pxelinux.enlist([AMD64, bad], choose=True),
        lambda: grub.enlist(bad),
        lambda: ipxe.enlist([bad], BASE),
    ):
        with pytest.raises(Invalid):
            render()


def test_ipxe_boots_a_spec(spec: BootSpec) -> None:
    assert ipxe.boot(spec, BASE) == IPXE_BOOT


def test_ipxe_asks_for_the_script_of_its_network_card_first(spec: BootSpec) -> None:
    assert ipxe.start(BASE) == IPXE_START


def test_ipxe_fetches_http_files_from_where_they_are(spec: BootSpec) -> None:
    away = replace(spec, kernel="http://mirror.example/k?x=1&y=2", ramdisk="https://a.example/r")
    script = ipxe.boot(away, BASE)
    assert "kernel --name kernel http://mirror.example/k?x=1&y=2 initrd=ramdisk" in script
    assert "initrd --name ramdisk https://a.example/r ||" in script


def test_ipxe_leaves_for_the_disk_with_an_error_so_that_uefi_goes_on() -> None:
    assert ipxe.disk().splitlines()[-1] == "exit 1"


@pytest.mark.seed("s28")
def test_pxelinux_boots_a_spec(spec: BootSpec) -> None:
    assert pxelinux.boot(spec, MAC) == PXELINUX_BOOT


def test_pxelinux_boots_a_spec_without_parameters(spec: BootSpec) -> None:
    assert "\n  APPEND\n" in pxelinux.boot(replace(spec, parameters=()), MAC)


@pytest.mark.seed("s28")
def test_petitboot_is_told_the_card_because_it_knows_no_ipappend(spec: BootSpec) -> None:
    text = pxelinux.boot(spec, MAC, "ppc64el")
    assert "IPAPPEND" not in text
    assert "  APPEND console=ttyS0 panic=10 BOOTIF=01-52-54-00-22-00-01\n" in text


PXELINUX_DISK = """\
SAY Drophammer: nothing to boot from the network, on to the disk.
DEFAULT disk
PROMPT 0
LABEL disk
"""


@pytest.mark.parametrize(
    ("way", "lines"),
    [
        ("next", "  LOCALBOOT -1\n"),
        ("chain", "  COM32 chain.c32\n  APPEND hd0\n"),
        ("zero", "  LOCALBOOT 0\n"),
    ],
)
@pytest.mark.seed("s25")
def test_pxelinux_leaves_for_the_disk_in_each_way_that_there_is(way: str, lines: str) -> None:
    assert way in pxelinux.WAYS_TO_DISK
    assert pxelinux.disk(way) == PXELINUX_DISK + lines
    assert pxelinux.disk() == PXELINUX_DISK + "  LOCALBOOT -1\n"


@pytest.mark.seed("s28")
def test_grub_boots_a_spec(spec: BootSpec) -> None:
    assert grub.boot(spec, MAC) == GRUB_BOOT


def test_grubs_first_file_names_the_machine_by_its_network_card() -> None:
    assert 'source "$prefix/grub.cfg-$net_default_mac"' in grub.start()


def test_grub_asks_for_unknown_machines_after_its_network_card() -> None:
    lines = [line.strip() for line in grub.start().splitlines()]
    own = lines.index('source "$prefix/grub.cfg-$net_default_mac"')
    assert lines[own + 1] == 'source "$prefix/grub.cfg-default-$grub_cpu"'


GRUB_DISK = """\
echo 'Drophammer: nothing to boot from the network, on to the disk.'
for loader in /EFI/debian/shimx64.efi /EFI/ubuntu/shimx64.efi /EFI/redhat/shimx64.efi \
/EFI/centos/shimx64.efi /EFI/fedora/shimx64.efi /EFI/opensuse/shim.efi \
/EFI/debian/grubx64.efi /EFI/ubuntu/grubx64.efi \
/EFI/Microsoft/Boot/bootmgfw.efi /EFI/BOOT/BOOTX64.EFI \
/EFI/debian/shimaa64.efi /EFI/ubuntu/shimaa64.efi /EFI/BOOT/BOOTAA64.EFI; do
  if search --no-floppy --set=root --file "$loader"; then
    chainloader "$loader"
    boot
  fi
done
exit
"""


@pytest.mark.seed("s25")
def test_grub_starts_the_disks_own_loader_before_it_leaves() -> None:
    assert grub.disk() == GRUB_DISK


@pytest.mark.parametrize("part", ["kernel", "ramdisk"])
def test_tftp_loaders_refuse_an_http_file_and_say_what_to_do(spec: BootSpec, part: str) -> None:
    away = replace(spec, **{part: "http://mirror.example/file"})
    for render in (pxelinux.boot, grub.boot):
        with pytest.raises(Invalid, match=rf"its {part} is an http URL.*boot interface to ipxe"):
            render(away, MAC)


def test_boot_resources_are_fetched_under_the_boots_key_like_files(spec: BootSpec) -> None:
    image = "resource:///snapshot-20260101-000000/ubuntu/amd64/generic/xenial/daily"
    pinned = replace(spec, kernel=f"{image}/boot-kernel", ramdisk=f"{image}/boot-initrd")
    assert pxelinux.boot(pinned, MAC) == PXELINUX_BOOT
    assert grub.boot(pinned, MAC) == GRUB_BOOT
    assert ipxe.boot(pinned, BASE) == IPXE_BOOT


@pytest.mark.seed("s57")
def test_no_script_of_ipxe_loads_a_loader_again(spec: BootSpec) -> None:
    names = [loader.name for loader in LOADERS]
    for script in (ipxe.start(BASE), ipxe.boot(spec, BASE), ipxe.disk(), ipxe.enlist(BOTH, BASE)):
        assert not [name for name in names if name in script]
