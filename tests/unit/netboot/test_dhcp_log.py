"""Lines that dnsmasq 2.90 really wrote, and what is read out of them."""

from __future__ import annotations

import os
import pathlib

from hypothesis import given
from hypothesis import strategies as st

from netboot.services.dhcp_log import DhcpEvent, DhcpLog, Leases, file_read, leases

BIOS_BOOT = """\
dnsmasq-dhcp[7972]: 2238107255 available DHCP range: 172.22.0.50 -- 172.22.0.99
dnsmasq-dhcp[7972]: 2238107255 vendor class: PXEClient:Arch:00000:UNDI:002001
dnsmasq-dhcp[7972]: 2238107255 DHCPDISCOVER(br0) 52:54:00:22:00:01 
dnsmasq-dhcp[7972]: 2238107255 tags: pxe, known, bios, br0
dnsmasq-dhcp[7972]: 2238107255 DHCPOFFER(br0) 172.22.0.55 52:54:00:22:00:01 
dnsmasq-dhcp[7972]: 2238107255 requested options: 1:netmask, 3:router, 6:dns-server, 12:hostname, 
dnsmasq-dhcp[7972]: 2238107255 next server: 172.22.0.1
dnsmasq-dhcp[7972]: 2238107255 sent size:  1 option: 53 message-type  2
dnsmasq-dhcp[7972]: 2238107255 sent size: 11 option: 67 bootfile-name  pxelinux.0
dnsmasq-dhcp[7972]: 2238107255 DHCPREQUEST(br0) 172.22.0.55 52:54:00:22:00:01 
dnsmasq-dhcp[7972]: 2238107255 tags: pxe, known, bios, br0
dnsmasq-dhcp[7972]: 2238107255 DHCPACK(br0) 172.22.0.55 52:54:00:22:00:01 
"""  # noqa: W291 - the blanks at the ends are dnsmasq's
IPXE_LINE = "dnsmasq-dhcp[7972]: 2238107255 user class: iPXE"
UNKNOWN = """\
dnsmasq-dhcp[17131]: 2599541062 vendor class: udhcp 1.35.0
dnsmasq-dhcp[17131]: 2599541062 DHCPDISCOVER(br0) 52:54:00:22:00:99 ignored
"""
NOT_ABOUT_MACHINES = """\
dnsmasq[7972]: started, version 2.90 DNS disabled
dnsmasq-dhcp[7972]: DHCP, IP range 172.22.0.50 -- 172.22.0.99, lease time 1h
dnsmasq-dhcp[7972]: DHCP, sockets bound exclusively to interface br0
dnsmasq-dhcp[7972]: RTR-ADVERT(br0) fd00:22::
dnsmasq-dhcp[17131]: RTR-SOLICIT(br0) 52:54:00:22:00:99
dnsmasq[17131]: exiting on receipt of SIGTERM
"""
LEASES = """\
1795215773 52:54:00:22:00:01 172.22.0.55 * *
1795215774 52:54:00:22:00:02 172.22.0.56 box 01:52
"""


def read_all(text: str) -> list[DhcpEvent]:
    log = DhcpLog()
    return [event for line in text.splitlines() if (event := log.read(line))]


def test_a_boot_is_read_as_four_messages() -> None:
    assert [event.message() for event in read_all(BIOS_BOOT)] == [
        "DISCOVER (BIOS)",
        "OFFER 172.22.0.55 (BIOS)",
        "REQUEST 172.22.0.55 (BIOS)",
        "ACK 172.22.0.55 (BIOS)",
    ]


def test_a_message_names_machine_and_address() -> None:
    last = read_all(BIOS_BOOT)[-1]
    assert (last.type, last.mac, last.ip) == ("ACK", "52:54:00:22:00:01", "172.22.0.55")


def test_ipxe_is_told_from_the_firmwares_own_client() -> None:
    assert read_all(f"{IPXE_LINE}\n{BIOS_BOOT}")[-1].message() == "ACK 172.22.0.55 (BIOS, iPXE)"


def test_two_machines_at_once_are_not_mixed_up() -> None:
    other = (
        BIOS_BOOT.replace("2238107255", "77").replace("00:01", "00:02").replace("00000", "00007")
    )
    mixed = [
        line
        for pair in zip(BIOS_BOOT.splitlines(), other.splitlines(), strict=True)
        for line in pair
    ]
    clients = {(event.mac[-2:], event.client) for event in read_all("\n".join(mixed))}
    assert clients == {("01", "BIOS"), ("02", "UEFI")}


def test_an_unknown_machine_is_seen_to_be_ignored() -> None:
    assert [event.message() for event in read_all(UNKNOWN)] == ["DISCOVER ignored"]


def test_lines_about_no_machine_give_nothing() -> None:
    assert read_all(NOT_ABOUT_MACHINES) == []


def test_the_hosts_file_is_seen_to_be_read() -> None:
    assert file_read("dnsmasq-dhcp[7972]: read /s/dhcp/hosts") == "/s/dhcp/hosts"
    assert file_read("dnsmasq-dhcp[7972]: 1 DHCPACK(br0) 172.22.0.55 52:54:00:22:00:01") is None


def test_a_hostname_that_looks_like_a_message_is_none() -> None:
    line = "dnsmasq-dhcp[1]: 5 client provides name: x DHCPACK(br0) 172.22.0.9 52:54:00:22:00:01"
    assert DhcpLog().read(line) is None


@given(st.text(max_size=200))
def test_no_text_makes_the_reader_fail(text: str) -> None:
    log = DhcpLog()
    log.read(text)
    log.read(f"dnsmasq-dhcp: {text}")
    file_read(text)
    leases(text)


def test_a_lease_file_tells_who_has_an_address() -> None:
    assert leases(LEASES) == {
        "172.22.0.55": "52:54:00:22:00:01",
        "172.22.0.56": "52:54:00:22:00:02",
    }


def test_leases_are_read_again_when_the_file_changes(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "leases"
    known = Leases(path)
    assert known.mac_of("172.22.0.55") is None
    path.write_text(LEASES)
    assert known.mac_of("172.22.0.55") == "52:54:00:22:00:01"
    path.write_text(LEASES.replace("00:01", "00:77"))
    os.utime(path, ns=(1, 1))
    assert known.mac_of("172.22.0.55") == "52:54:00:22:00:77"
