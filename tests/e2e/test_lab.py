"""The virtual lab itself: machines that boot, obey their controllers and leave nothing behind."""

import json
import os
import select
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from drophammer import errors
from lab import image, network, processes
from lab.console import SerialLog
from lab.lab import Lab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("qemu-system-x86_64", "ipmitool", "genisoimage", "syslinux", "mcopy", "ip")
# About eight times what a quiet machine without KVM takes.
BOOT = 120
# Real mode: write the text behind the code to the first serial port, then have
# the keyboard controller reset the machine.
BOOT_CODE = bytes.fromhex(
    "fa31c08ed8be257cac84c0741188c4bafd03eca82074fb88e0b2f8eeebeab0fee664f4ebfd"
)


@pytest.fixture(scope="module", autouse=True)
def _able():
    missing = [program for program in NEEDED if shutil.which(program) is None]
    if missing or os.geteuid() != 0 or not network.TUN_DEVICE.exists():
        pytest.skip(f"needs root, {network.TUN_DEVICE} and programs; missing: {missing}")


@pytest.fixture(scope="module")
def test_image(tmp_path_factory):
    # A folder that is not there is made.
    return image.build(tmp_path_factory.mktemp("image") / "new/test.raw", ROOT / ".cache")


@pytest.fixture
def lab(tmp_path):
    with Lab(f"e2e-{os.getpid()}", tmp_path) as one:
        yield one


def ipmi(machine, *words):
    argv = ["ipmitool", "-I", "lanplus", "-C", "17", "-U", machine.bmc_username]
    argv += ["-H", machine.bmc_address, "-p", str(machine.bmc_port)]
    argv += ["-f", str(machine.bmc_password_file), *words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def wait_for_end(process, seconds):
    """Wait for the end of a process that is not a child of ours."""
    if not process.alive:
        return
    handle = os.pidfd_open(process.pid)
    try:
        assert select.select([handle], [], [], seconds)[0], f"{process} still runs"
    finally:
        os.close(handle)


def qemu_of(machine):
    return processes.recorded(machine.directory / "qemu.pid")


def config_drive(folder, meta_data):
    latest = folder / "tree/openstack/latest"
    latest.mkdir(parents=True)
    (latest / "meta_data.json").write_text(json.dumps(meta_data))
    drive = folder / "config.iso"
    argv = ["genisoimage", "-quiet", "-R", "-J", "-V", "config-2", "-o", str(drive)]
    subprocess.run([*argv, str(folder / "tree")], check=True)
    return drive.read_bytes()


def deploy(disk, picture, drive):
    """Write the image, then the config drive into a second partition behind it."""
    content = bytearray(picture.read_bytes())
    start, sectors = len(content) // 512, -(-len(drive) // 512)
    entry = b"\0\xfe\xff\xff\x83\xfe\xff\xff" + struct.pack("<II", start, sectors)
    content[446 + 16 : 446 + 32] = entry
    with open(disk, "r+b") as device:
        device.write(content + drive)


def rebooting_disk(disk, line):
    """Make the disk boot into writing ``line`` and rebooting, for ever."""
    sector = (BOOT_CODE + line + b"\r\n\0").ljust(510, b"\0") + b"\x55\xaa"
    with open(disk, "r+b") as device:
        device.write(sector)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def drophammer(*words):
    return subprocess.run(
        [sys.executable, "-m", "embedded", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=100,
    )


def namespaces():
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True)
    return [line.split()[0] for line in listed.stdout.splitlines()]


def mounts():
    return Path("/proc/self/mountinfo").read_text()


META_DATA = {
    "uuid": "6e3f4b1c-0000-4000-8000-000000000001",
    "hostname": "web-7.example.org",
    "public_keys": {"me": 'ssh-ed25519 AAAA "quoted" \\ me@host\n', "you": "ssh-rsa BBBB you"},
}


@pytest.mark.parametrize(
    ("firmware", "secure_boot"), [("bios", False), ("uefi", False), ("uefi", True)]
)
def test_a_deployed_machine_boots_reads_its_config_drive_and_obeys_the_power_button(
    lab, tmp_path, test_image, firmware, secure_boot
):
    (machine,) = lab.up(firmware=firmware, secure_boot=secure_boot)
    deploy(machine.disk, test_image, config_drive(tmp_path, META_DATA))
    ipmi(machine, "chassis", "power", "on")
    log = SerialLog(machine.serial_log)
    said = log.wait("^DROPHAMMER-FIRMWARE (.*)$", BOOT)
    assert said.match[1] == ("uefi-secure-boot" if secure_boot else firmware)
    up = log.wait(r"^DROPHAMMER-UP (.*) uptime=[0-9.]+$", BOOT)
    assert up.match[1] == "hostname=web-7.example.org keys=2 disk=vda"
    qemu = qemu_of(machine)
    ipmi(machine, "chassis", "power", "soft")
    wait_for_end(qemu, 30)
    assert "is off" in ipmi(machine, "chassis", "power", "status")


def test_a_machine_with_an_empty_disk_goes_on_to_the_network(lab):
    (machine,) = lab.up()
    ipmi(machine, "chassis", "power", "on")
    log = SerialLog(machine.serial_log)
    disk = log.wait("Booting from Hard Disk", BOOT)
    log.wait("Booting from ROM", BOOT, disk.offset)


def test_a_bios_machine_boots_from_the_network_once_and_then_from_its_disk(lab):
    (machine,) = lab.up()
    rebooting_disk(machine.disk, b"BOOTED-FROM-DISK")
    log = SerialLog(machine.serial_log)
    ipmi(machine, "chassis", "bootdev", "pxe")
    ipmi(machine, "chassis", "power", "on")
    log.wait("Booting from ROM", BOOT)
    offset = log.size()
    ipmi(machine, "chassis", "power", "reset")
    # The first one after the reset by the controller, the second after the guest's own.
    first = log.wait("BOOTED-FROM-DISK", BOOT, offset)
    log.wait("BOOTED-FROM-DISK", BOOT, first.offset)
    assert not any("Booting from ROM" in line for line in log.lines(offset))


def test_each_one_time_network_boot_is_used_once_by_a_guest_that_keeps_rebooting(lab):
    (machine,) = lab.up()
    rebooting_disk(machine.disk, b"BOOTED-FROM-DISK")
    log = SerialLog(machine.serial_log)
    ipmi(machine, "chassis", "power", "on")
    offset = 0
    for _ in range(5):
        offset = log.wait("BOOTED-FROM-DISK", BOOT, offset).offset
        ipmi(machine, "chassis", "bootdev", "pxe")
        offset = log.wait("Booting from ROM", BOOT, offset).offset
        # Nobody answers on the network: without this the client would try for long.
        ipmi(machine, "chassis", "power", "reset")
    log.wait("BOOTED-FROM-DISK", BOOT, offset)
    assert sum("Booting from ROM" in line for line in log.lines()) == 5


def test_a_uefi_machine_boots_from_the_network_once_and_then_from_its_disk(lab, test_image):
    def first_boot(offset):
        found = log.wait("Start PXE over|BdsDxe: starting .*Misc", BOOT, offset, unfinished=True)
        return "network" if "PXE" in found.line else "disk"

    (machine,) = lab.up(firmware="uefi", pxe_rom="plain")
    shutil.copyfile(test_image, machine.disk)
    log = SerialLog(machine.serial_log)
    ipmi(machine, "chassis", "bootdev", "pxe", "options=efiboot")
    ipmi(machine, "chassis", "power", "on")
    assert first_boot(0) == "network"
    offset = log.size()
    ipmi(machine, "chassis", "power", "reset")
    assert first_boot(offset) == "disk"
    offset = log.size()
    ipmi(machine, "chassis", "bootdev", "pxe", "options=efiboot")
    ipmi(machine, "chassis", "power", "reset")
    assert first_boot(offset) == "network"


def test_two_labs_live_side_by_side_and_down_leaves_nothing(tmp_path):
    one, two = (Lab(f"e2e-{os.getpid()}-{letter}", tmp_path) for letter in "ab")
    with one, two:
        machines = [*one.up(), *two.up()]
        for machine in machines:
            ipmi(machine, "chassis", "power", "on")
        running = [qemu_of(machine) for machine in machines]
        running += [processes.recorded(machine.directory / "bmc.pid") for machine in machines]
        assert all(process.alive for process in running)
        assert {one.namespace, two.namespace} <= set(namespaces())
    assert not any(process.alive for process in running)
    assert not {one.namespace, two.namespace} & set(namespaces())
    assert one.namespace not in mounts()
    assert str(tmp_path) not in mounts()
    assert list(tmp_path.iterdir()) == []


def test_another_program_takes_down_a_lab_whose_records_are_lost(lab, tmp_path):
    (machine,) = lab.up()
    ipmi(machine, "chassis", "power", "on")
    running = [qemu_of(machine), processes.recorded(machine.directory / "bmc.pid")]
    for record in (lab.directory / "lab.json", *machine.directory.glob("*.pid")):
        record.unlink()
    call = "import sys; from lab.cli import main; sys.exit(main(sys.argv[1:]))"
    argv = [sys.executable, "-c", call, "down", "--name", lab.name, "--state-dir", str(tmp_path)]
    subprocess.run(argv, check=True, cwd=ROOT, timeout=60)
    assert not any(process.alive for process in running)
    assert lab.namespace not in namespaces()


def test_a_lab_made_by_hand_is_enrolled_by_its_files_and_not_removed_under_its_service(tmp_path):
    where = ["--name", f"e2e-{os.getpid()}", "--state-dir", str(tmp_path)]
    lab = Lab(where[1], tmp_path)
    with lab:
        up = drophammer("lab", "up", *where, "--nodes", "2", "--images-dir", str(tmp_path))
        assert up.returncode == 0, up.stderr
        for machine in lab.machines:
            assert f"baremetal create {machine.enrolment_file}\n" in up.stdout
            assert machine.bmc_password_file.read_text().strip() not in up.stdout
        readable = [path for path in lab.directory.rglob("*") if path.stat().st_mode & 0o077]
        assert readable == []
        assert lab.directory.stat().st_mode & 0o077 == 0
        port = free_port()
        argv = [sys.executable, "-m", "embedded", "serve", "--listen", f"127.0.0.1:{port}"]
        argv += ["--config-file", str(lab.directory / "drophammer.conf")]
        with (
            open(tmp_path / "log", "wb") as log,
            subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=log, cwd=ROOT) as service,
        ):
            try:
                assert any(b"Ctrl-C stops it" in line for line in service.stdout)
                environment = os.environ | {
                    "OS_AUTH_TYPE": "none",
                    "OS_ENDPOINT": f"http://127.0.0.1:{port}",
                }
                client = str(Path(sys.executable).with_name("baremetal"))
                files = [str(machine.enrolment_file) for machine in lab.machines]
                for words in (["create", *files], ["node", "manage", "node-2", "--wait", "60"]):
                    done = subprocess.run(
                        [client, *words], env=environment, capture_output=True, text=True
                    )
                    assert done.returncode == 0, done.stderr
                done = subprocess.run(
                    [client, "port", "list", "-f", "value", "-c", "address"],
                    env=environment,
                    capture_output=True,
                    text=True,
                )
                assert done.stdout.split() == [machine.mac for machine in lab.machines]
                refused = drophammer("lab", "down", *where)
                assert refused.returncode == 1
                assert f"a service (process {service.pid})" in refused.stderr
                assert lab.machines[1].bmc_is_up
            finally:
                service.terminate()
        gone = drophammer("lab", "down", *where)
        assert (gone.returncode, gone.stdout) == (0, f"lab '{lab.name}' is gone\n")
        assert not lab.directory.exists()


def test_an_interrupted_program_leaves_nothing(tmp_path):
    running = []

    def interrupted():
        with Lab(f"e2e-{os.getpid()}", tmp_path) as lab:
            (machine,) = lab.up()
            ipmi(machine, "chassis", "power", "on")
            running.extend([qemu_of(machine), processes.recorded(machine.directory / "bmc.pid")])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(running) == 2
    assert not any(process.alive for process in running)
    assert list(tmp_path.iterdir()) == []


def test_a_controller_that_cannot_start_leaves_nothing(lab, tmp_path):
    (machine,) = lab.up()
    other = Lab(f"e2e-{os.getpid()}-b", tmp_path)
    with other, pytest.raises(errors.Conflict, match="in use"):
        other.up(nodes=1, bmc_port=machine.bmc_port)
    assert other.namespace not in namespaces()
    assert not other.directory.exists()
