import os
import pty
import select
import signal
import socket
import subprocess
import time

import pytest

from tests.patience import PATIENCE, until

# An open session request of cipher suite 3, from a client session 04030201h.
OPEN_REQUEST = bytes.fromhex("01000000 01020304 0000000801000000 0100000801000000 0200000801000000")


# Get channel authentication capabilities, outside of a session.
CAPABILITIES_REQUEST = bytes.fromhex("0600ff07 000000000000000000 09 2018c8 8100388e04b5")


@pytest.fixture
def client(controller):
    """A UDP socket that talks to the controller."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(PATIENCE)
        one.connect(("127.0.0.1", controller.port))
        yield one


@pytest.mark.parametrize("suite", [3, 17])
def test_power_goes_on_and_off_in_each_cipher_suite(controller, suite):
    assert "Up/On" in controller.ipmitool("chassis", "power", "on", suite=suite).stdout
    assert "is on" in controller.ipmitool("chassis", "power", "status", suite=suite).stdout
    assert controller.qemu().alive
    assert "Down/Off" in controller.ipmitool("chassis", "power", "off", suite=suite).stdout
    assert "is off" in controller.ipmitool("chassis", "power", "status", suite=suite).stdout
    assert controller.qemu() is None


def test_what_a_running_machine_writes_is_for_its_owner_alone(controller):
    controller.ipmitool("chassis", "power", "on")
    modes = {
        path.name: path.stat().st_mode & 0o777
        for path in controller.directory.iterdir()
        if path.name.startswith(("qemu", "bmc.pid", "serial", "disk"))
    }
    assert {"qemu.log", "qemu.pid", "bmc.pid", "serial.log", "disk.raw"} <= modes.keys()
    assert set(modes.values()) == {0o600}


def test_a_cipher_suite_without_encryption_is_refused(controller):
    refused = controller.ipmitool("mc", "info", suite=2)
    assert refused.returncode != 0
    assert "no matching cipher suite" in refused.stderr.lower()


def test_both_cipher_suites_are_announced(controller):
    listed = controller.ipmitool("channel", "getciphers", "ipmi", "1").stdout
    assert [line.split()[0] for line in listed.splitlines()[1:]] == ["3", "17"]


def test_pyghmi_logs_in_works_and_logs_in_again(controller):
    results = controller.pyghmi(
        ["set_power", "on", True],
        ["get_power"],
        ["get_bootdev"],
        ["get_health"][:0] or ["get_power"],
    )
    assert results[0]["powerstate"] == "on"
    assert results[1] == {"powerstate": "on"}
    assert results[-1] == {"powerstate": "on"}


def test_pyghmi_is_told_that_its_password_is_wrong(controller):
    (answer,) = controller.pyghmi(["get_power"], password="not-this-one")
    assert "password" in answer["exception"].lower()


def test_a_wrong_password_is_refused_at_once(controller, tmp_path):
    wrong = tmp_path / "wrong"
    wrong.write_text("not-this-one\n")
    refused = controller.ipmitool("-v", "mc", "info", password=wrong)
    assert refused.returncode != 0
    assert "RAKP 2 HMAC is invalid" in refused.stderr


def test_an_unknown_user_is_told_so(controller):
    refused = controller.ipmitool("-v", "mc", "info", user="nobody")
    assert refused.returncode != 0
    assert "unauthorized name" in refused.stderr.lower()


def test_a_client_that_cannot_prove_the_password_is_refused_in_message_4(client):
    def ask(kind, payload):
        head = b"\x06\x00\xff\x07\x06" + bytes([kind]) + bytes(8)
        client.send(head + len(payload).to_bytes(2, "little") + payload)
        return client.recv(1000)[16:]

    managed_id = ask(0x10, OPEN_REQUEST)[8:12]
    name = b"\x14\x00\x00\x05admin"
    assert ask(0x12, b"\x02\0\0\0" + managed_id + bytes(16) + name)[1] == 0
    message_4 = ask(0x14, b"\x03\0\0\0" + managed_id + bytes(20))
    assert message_4 == b"\x03\x0f\0\0" + OPEN_REQUEST[4:8]


def test_the_password_is_in_no_command_line_and_no_log(controller):
    controller.ipmitool("chassis", "power", "on")
    for pid in (controller.process.pid, controller.qemu().pid):
        with open(f"/proc/{pid}/cmdline", "rb") as words:
            assert b"correct-horse" not in words.read()
    assert "correct-horse" not in (controller.directory / "bmc.log").read_text()


def test_a_one_time_network_boot_is_used_once(controller):
    controller.ipmitool("chassis", "bootdev", "pxe")
    controller.ipmitool("chassis", "power", "on")
    until(controller.boots)
    controller.ipmitool("chassis", "power", "cycle")
    until(lambda: len(controller.boots()) == 2)
    assert controller.boots() == [["net0", "disk0"], ["disk0", "net0"]]


def test_a_persistent_network_boot_is_used_every_time(controller):
    controller.ipmitool("chassis", "bootdev", "pxe", "options=persistent")
    controller.ipmitool("chassis", "power", "on")
    until(controller.boots)
    controller.ipmitool("chassis", "power", "cycle")
    until(lambda: len(controller.boots()) == 2)
    assert controller.boots() == [["net0", "disk0"], ["net0", "disk0"]]


def test_a_reset_uses_the_boot_device_set_while_running(controller):
    controller.ipmitool("chassis", "power", "on")
    until(lambda: len(controller.boots()) == 1)
    controller.ipmitool("chassis", "bootdev", "pxe")
    controller.ipmitool("chassis", "power", "reset")
    until(lambda: len(controller.boots()) == 2)
    controller.ipmitool("chassis", "power", "reset")
    until(lambda: len(controller.boots()) == 3)
    assert controller.boots() == [["disk0", "net0"], ["net0", "disk0"], ["disk0", "net0"]]


def type_on_serial_port(controller, line):
    with socket.socket(socket.AF_UNIX) as serial:
        serial.connect(str(controller.spec.serial_socket))
        serial.sendall(line)
        while serial.recv(100):
            pass


def test_a_reboot_by_the_guest_does_not_repeat_a_one_time_boot(controller):
    controller.ipmitool("chassis", "bootdev", "pxe")
    controller.ipmitool("chassis", "power", "on")
    type_on_serial_port(controller, b"reboot\n")
    until(lambda: len(controller.boots()) == 2)
    assert controller.boots() == [["net0", "disk0"], ["disk0", "net0"]]
    assert "is on" in controller.ipmitool("chassis", "power", "status").stdout


def test_a_boot_device_set_while_running_holds_for_the_guests_next_reboot(controller):
    controller.ipmitool("chassis", "power", "on")
    controller.ipmitool("chassis", "bootdev", "pxe")
    type_on_serial_port(controller, b"reboot\n")
    until(lambda: len(controller.boots()) == 2)
    assert controller.boots() == [["disk0", "net0"], ["net0", "disk0"]]


def test_boot_flags_read_back_as_they_were_set(controller):
    controller.ipmitool("chassis", "bootdev", "pxe", "options=persistent,efiboot")
    flags = controller.ipmitool("raw", "0x00", "0x09", "0x05", "0x00", "0x00").stdout.split()
    assert flags == ["01", "05", "e0", "04", "00", "00", "00"]


def test_pyghmi_reads_the_boot_device_that_it_set(controller):
    results = controller.pyghmi(["set_bootdev", "network", True, True], ["get_bootdev"])
    assert results[1] == {"bootdev": "network", "persistent": True, "uefimode": True}


def test_a_boot_device_the_machine_lacks_is_refused(controller):
    refused = controller.ipmitool("chassis", "bootdev", "cdrom")
    assert "Invalid data field" in refused.stderr
    flags = controller.ipmitool("raw", "0x00", "0x09", "0x05", "0x00", "0x00").stdout.split()
    assert flags[2:] == ["00", "00", "00", "00", "00"]


def test_a_power_off_by_the_guest_is_noticed(controller):
    controller.ipmitool("chassis", "power", "on")
    type_on_serial_port(controller, b"poweroff\n")
    until(lambda: controller.qemu() is None)
    assert "is off" in controller.ipmitool("chassis", "power", "status").stdout


def test_the_power_button_turns_a_willing_machine_off(controller):
    controller.ipmitool("chassis", "power", "on")
    controller.ipmitool("chassis", "power", "soft")
    until(lambda: "is off" in controller.ipmitool("chassis", "power", "status").stdout)


@pytest.mark.parametrize("verb", ["reset", "cycle", "soft", "diag"])
def test_what_needs_a_running_machine_is_refused_when_it_is_off(controller, verb):
    refused = controller.ipmitool("chassis", "power", verb)
    assert refused.returncode != 0
    assert "not supported in present state" in refused.stderr


def test_the_machine_has_one_guid(controller):
    first = controller.ipmitool("mc", "guid").stdout
    assert "System GUID" in first
    assert first.splitlines()[0] == controller.ipmitool("mc", "guid").stdout.splitlines()[0]


def test_an_unknown_command_is_answered_with_invalid_command(controller):
    refused = controller.ipmitool("raw", "0x06", "0x7e")
    assert "rsp=0xc1" in refused.stderr


def test_garbage_does_not_end_the_controller(controller, client):
    for size in (0, 1, 4, 15, 16, 22, 40, 300):
        client.send(b"\x06\x00\xff\x07"[:size].ljust(size, b"\xff"))
        for kind in (0x00, 0x10, 0x12, 0x14, 0x40, 0xC0):
            head = b"\x06\x00\xff\x07\x06" + bytes([kind])
            client.send(head.ljust(16, b"\0") + bytes(size))
    assert "is off" in controller.ipmitool("chassis", "power", "status").stdout


def test_messages_of_the_other_side_do_not_end_the_controller(controller, client):
    client.send(b"\x06\x00\xff\x07\x06\x10" + bytes(8) + b"\x20\x00" + OPEN_REQUEST)
    managed_id = client.recv(1000)[24:28]
    for kind in range(0x40):
        head = b"\x06\x00\xff\x07\x06" + bytes([kind]) + managed_id + bytes(4)
        client.send(head + b"\x08\x00" + bytes(4) + managed_id)
    assert "is off" in controller.ipmitool("chassis", "power", "status").stdout


def test_a_machine_that_cannot_start_is_off_and_its_controller_goes_on(controller):
    (controller.directory.parent / "qemu-stand-in").write_text("#!/bin/sh\nexit 1\n")
    controller.ipmitool("chassis", "power", "on")
    until(lambda: controller.qemu() is None)
    assert "is off" in controller.ipmitool("chassis", "power", "status").stdout


def test_many_unfinished_log_ins_do_not_keep_others_out(controller, client):
    request = b"\x06\x00\xff\x07\x06\x10" + bytes(8) + b"\x20\x00" + OPEN_REQUEST
    for _ in range(200):
        client.send(request)
        assert client.recv(1000)[17] == 0
    assert "is off" in controller.ipmitool("chassis", "power", "status").stdout


def test_a_restarted_controller_is_found_off_and_usable(controller):
    controller.ipmitool("chassis", "power", "on")
    qemu = controller.qemu()
    controller.stop()
    assert not qemu.alive
    controller.start()
    assert "is off" in controller.ipmitool("chassis", "power", "status").stdout
    assert "Up/On" in controller.ipmitool("chassis", "power", "on").stdout


def test_a_killed_controller_takes_its_machine_along(controller):
    controller.ipmitool("chassis", "power", "on")
    qemu = controller.qemu()
    controller.stop(signal.SIGKILL)
    until(lambda: not qemu.alive)


def test_a_silent_controller_answers_again_when_repaired(controller, client):
    controller.break_it(silent=True)
    client.send(CAPABILITIES_REQUEST)
    assert select.select([client], [], [], 0.5)[0] == []
    controller.break_it()
    client.send(CAPABILITIES_REQUEST)
    assert client.recv(1000)


def test_a_slow_controller_takes_its_time(controller, client):
    controller.break_it(delay=0.5)
    began = time.monotonic()
    client.send(CAPABILITIES_REQUEST)
    assert client.recv(1000)
    assert time.monotonic() - began >= 0.5


def test_a_controller_may_refuse_to_power_on(controller):
    controller.break_it(refuse_power_on=True)
    assert controller.ipmitool("chassis", "power", "on").returncode != 0
    assert "is off" in controller.ipmitool("chassis", "power", "status").stdout


def test_a_controller_may_reject_the_right_password(controller):
    controller.break_it(wrong_password=True)
    assert controller.ipmitool("mc", "info").returncode != 0


def test_the_serial_port_is_reached_over_lan(controller, tmp_path):
    controller.ipmitool("chassis", "power", "on")
    leader, follower = pty.openpty()
    argv = ["ipmitool", "-I", "lanplus", "-C", "17", "-H", "127.0.0.1", "-p", str(controller.port)]
    argv += ["-U", "admin", "-f", str(controller.password_file), "sol", "activate"]
    client = subprocess.Popen(argv, stdin=follower, stdout=follower, stderr=follower)
    seen = b""
    try:
        deadline = time.monotonic() + PATIENCE
        while b"typed: hello" not in seen:
            assert time.monotonic() < deadline, seen
            if select.select([leader], [], [], 0.2)[0]:
                seen += os.read(leader, 4096)
            elif b"SOL Session operational" in seen:
                # ipmitool says so before it is: what is typed too early is thrown away.
                os.write(leader, b"hello\n")
    finally:
        client.terminate()
        client.wait(timeout=PATIENCE)
        os.close(leader)
        os.close(follower)
