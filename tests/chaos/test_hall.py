"""Real machines are looked at: an image that is not there, a disk that was not emptied."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.lab import LabMachine
from tests.chaos.clients import Memory
from tests.chaos.hall import Host

MIB = 1 << 20
IMAGE = bytes(range(256)) * (MIB // 128)
WRITES = "agent: command: deploy.execute_deploy_step begins"
ERASES = "agent: clean: /dev/vda: pass 1 of 1 with random data"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A machine whose disk, twice as long as the image, is empty."""
    machine = LabMachine(
        name="node-1",
        mac="52:54:00:22:00:01",
        bmc_address="127.0.0.1",
        bmc_port=623,
        bmc_username="admin",
        bmc_password_file=tmp_path / "password",
        serial_log=tmp_path / "serial.log",
        serial_socket=tmp_path / "serial.sock",
        disk=tmp_path / "disk.raw",
        directory=tmp_path,
        firmware="bios",
    )
    image = tmp_path / "image.raw"
    image.write_bytes(IMAGE)
    machine.disk.write_bytes(bytes(2 * len(IMAGE)))
    return Host(machine, image)


def found(host: Host, verb: str) -> tuple[list[str], list[str]]:
    memory = Memory()
    host.examine(verb, memory)
    return memory.lost, memory.double


def says(host: Host, *lines: str) -> None:
    with host.machine.serial_log.open("a") as log:
        log.writelines(f"{line}\r\n" for line in lines)


def test_a_disk_with_the_image_and_an_empty_one_are_right(host: Host) -> None:
    host.machine.disk.write_bytes(IMAGE + bytes(len(IMAGE)))
    says(host, WRITES)
    assert found(host, "active") == ([], [])
    host.machine.disk.write_bytes(bytes(2 * len(IMAGE)))
    says(host, ERASES)
    assert found(host, "deleted") == ([], [])


def test_an_image_that_is_not_whole_is_lost(host: Host) -> None:
    host.machine.disk.write_bytes(IMAGE[:-1] + bytes(len(IMAGE)))
    (lost,), double = found(host, "active")
    assert f"from byte {MIB} on" in lost
    assert not double


def test_a_disk_with_something_left_on_it_is_lost(host: Host) -> None:
    host.machine.disk.write_bytes(bytes(2 * len(IMAGE) - 1) + b"x")
    (lost,), _ = found(host, "deleted")
    assert "not empty" in lost


@pytest.mark.parametrize(("verb", "line"), [("active", WRITES), ("deleted", ERASES)])
def test_what_was_begun_twice_on_the_machine_is_double(host: Host, verb: str, line: str) -> None:
    says(host, line, line)
    _, (double,) = found(host, verb)
    assert "2 times" in double
    says(host, line)
    assert not found(host, verb)[1]
