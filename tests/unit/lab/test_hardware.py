from pathlib import Path

import pytest

from drophammer import errors
from lab import hardware

NETWORK_FIRST = ("net0", "disk0")
DISK_FIRST = ("disk0", "net0")


def spec(**changes):
    fields = {"name": "node-1", "directory": Path("/d"), "mac": "52:54:00:22:00:01"}
    return hardware.MachineSpec(**fields | changes)


def argv(one, order=DISK_FIRST):
    return hardware.qemu_argv(one, order, 7, 8)


def value_of(words, option):
    return [words[index + 1] for index, word in enumerate(words) if word == option]


@pytest.mark.parametrize(
    ("order", "network", "disk"), [(NETWORK_FIRST, "0", "1"), (DISK_FIRST, "1", "0")]
)
def test_the_boot_order_becomes_boot_indexes(order, network, disk):
    card, drive = value_of(argv(spec(), order), "-device")
    assert card.split("bootindex=")[1].split(",")[0] == network
    assert drive.split("bootindex=")[1].split(",")[0] == disk


def test_a_reset_is_left_to_the_supervisor():
    assert "-no-reboot" in argv(spec())


def test_a_bios_machine_speaks_on_its_serial_port():
    assert value_of(argv(spec()), "-M") == ["pc,graphics=off"]


def test_the_inherited_sockets_are_named_by_number():
    serial, monitor = value_of(argv(spec()), "-chardev")
    assert ",fd=8," in serial
    assert ",fd=7," in monitor


def test_a_comma_in_a_file_name_is_doubled():
    drives = value_of(argv(spec(directory=Path("/a,b"))), "-drive")
    assert "file=/a,,b/disk.raw" in drives[0]


def test_a_tap_is_used_by_name_and_without_scripts():
    (network,) = value_of(argv(spec(tap="tap3")), "-netdev")
    assert network == "tap,id=n0,ifname=tap3,script=no,downscript=no"


def test_a_machine_without_a_tap_reaches_nothing():
    assert value_of(argv(spec()), "-netdev") == ["user,id=n0,restrict=on"]


@pytest.mark.parametrize(("nic", "model"), [("virtio", "virtio-net-pci"), ("e1000", "e1000")])
def test_the_network_card_can_be_chosen(nic, model):
    assert value_of(argv(spec(nic=nic)), "-device")[0].startswith(f"{model},id=net0,")


def test_kvm_is_used_only_when_asked_for():
    assert value_of(argv(spec()), "-accel") == ["tcg,thread=multi"]
    assert value_of(argv(spec(accel="kvm")), "-accel") == ["kvm"]


def test_a_uefi_machine_may_use_the_pxe_client_of_its_firmware():
    if not Path("/usr/share/OVMF/OVMF_CODE_4M.fd").exists():
        pytest.skip("needs the package ovmf")
    words = argv(spec(firmware="uefi", pxe_rom="plain"))
    assert value_of(words, "-M") == ["q35"]
    assert value_of(words, "-device")[0].endswith(",romfile=")
    assert "file=/d/firmware-vars.fd" in value_of(words, "-drive")[1]


def test_secure_boot_locks_the_flash_behind_system_management_mode():
    if not Path("/usr/share/OVMF/OVMF_CODE_4M.ms.fd").exists():
        pytest.skip("needs the package ovmf")
    words = argv(spec(firmware="uefi", secure_boot=True))
    assert value_of(words, "-M") == ["q35,smm=on"]
    assert "driver=cfi.pflash01,property=secure,value=on" in value_of(words, "-global")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"firmware": "efi"}, "'efi' is no firmware"),
        ({"nic": "rtl8139"}, "'rtl8139' is no network card"),
        ({"accel": "hvf"}, "'hvf' is no accelerator"),
        ({"secure_boot": True}, "Secure Boot needs UEFI"),
        ({"pxe_rom": "plain"}, "SeaBIOS has no PXE client"),
    ],
)
def test_an_impossible_machine_is_refused(changes, words):
    with pytest.raises(errors.Invalid, match=words):
        spec(**changes)


def test_a_machine_survives_being_written_as_json():
    one = spec(tap="tap1", namespace="n", memory=384)
    assert hardware.MachineSpec.from_json(one.to_json()) == one


def test_two_machines_of_one_name_have_different_uuids():
    assert spec().uuid != spec(directory=Path("/e")).uuid


def test_qemu_dies_with_its_supervisor_and_runs_in_the_namespace():
    words = hardware.in_its_cage(spec(namespace="lab-x"), ["qemu"])
    assert " ".join(words) == "setpriv --pdeathsig KILL -- nsenter --net=/run/netns/lab-x qemu"
