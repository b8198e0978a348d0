"""Golden outputs of the renderers: what each loader is told, letter by letter."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drophammer.bootspec import BootSpec
from drophammer.errors import Invalid
from netboot.boot import grub, ipxe, pxelinux

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


def test_pxelinux_boots_a_spec(spec: BootSpec) -> None:
    assert pxelinux.boot(spec) == PXELINUX_BOOT


def test_pxelinux_boots_a_spec_without_parameters(spec: BootSpec) -> None:
    assert "\n  APPEND\n" in pxelinux.boot(replace(spec, parameters=()))


def test_pxelinux_leaves_for_the_disk(spec: BootSpec) -> None:
    assert "LOCALBOOT -1" in pxelinux.disk()


def test_grub_boots_a_spec(spec: BootSpec) -> None:
    assert grub.boot(spec, MAC) == GRUB_BOOT


def test_grubs_first_file_names_the_machine_by_its_network_card() -> None:
    assert 'source "$prefix/grub.cfg-$net_default_mac"' in grub.start()


def test_grub_starts_the_disks_own_loader_before_it_leaves() -> None:
    lines = grub.disk().splitlines()
    assert lines[-1] == "exit"
    assert "/EFI/BOOT/BOOTX64.EFI; do" in lines[1]


@pytest.mark.parametrize("part", ["kernel", "ramdisk"])
def test_tftp_loaders_refuse_an_http_file_and_say_what_to_do(spec: BootSpec, part: str) -> None:
    away = replace(spec, **{part: "http://mirror.example/file"})
    for render in (pxelinux.boot, lambda given: grub.boot(given, MAC)):
        with pytest.raises(Invalid, match=rf"its {part} is an http URL.*boot interface to ipxe"):
            render(away)
