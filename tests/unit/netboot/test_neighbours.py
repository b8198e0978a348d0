"""Reading the kernel's neighbour table: bytes as rtnetlink sends them, and broken ones."""

from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netboot.neighbours import Clients, Neighbours, neighbour

REACHABLE, STALE, FAILED, NOARP = 0x02, 0x04, 0x20, 0x40


def message(family: int, address: bytes, mac: bytes, state: int = REACHABLE) -> bytes:
    attributes = b"".join(
        struct.pack("=HH", 4 + len(value), kind) + value.ljust(-(-len(value) // 4) * 4, b"\0")
        for kind, value in ((1, address), (2, mac), (3, b"\0" * 16))
    )
    return struct.pack("=BxxxiHBB", family, 2, state, 0, 1) + attributes


MAC = bytes.fromhex("525400220001")
V4 = message(socket.AF_INET, bytes((172, 22, 0, 50)), MAC)


def test_an_ipv4_neighbour_is_read() -> None:
    assert neighbour(V4) == ("172.22.0.50", "52:54:00:22:00:01")


def test_an_ipv6_neighbour_is_read() -> None:
    address = socket.inet_pton(socket.AF_INET6, "fd00:22::50")
    found = neighbour(message(socket.AF_INET6, address, MAC, STALE))
    assert found == ("fd00:22::50", "52:54:00:22:00:01")


@pytest.mark.parametrize("state", [FAILED, NOARP, 0x01])
def test_one_that_does_not_answer_or_is_ourselves_is_none(state: int) -> None:
    assert neighbour(message(socket.AF_INET, bytes(4), MAC, state)) is None


@pytest.mark.parametrize("end", range(len(V4)))
def test_a_truncated_message_is_survived(end: int) -> None:
    assert neighbour(V4[:end]) in (None, ("172.22.0.50", "52:54:00:22:00:01"))


@given(st.binary(max_size=100))
def test_random_bytes_are_survived(data: bytes) -> None:
    neighbour(data)


def test_the_table_of_this_host_can_be_read() -> None:
    assert Neighbours(socket.socket).mac_of("192.0.2.254") is None


def test_a_table_that_cannot_be_read_is_empty() -> None:
    def refuse(family: int, kind: int) -> socket.socket:
        raise PermissionError(family, kind)

    assert Neighbours(refuse).mac_of("172.22.0.50") is None


def test_what_is_on_the_wire_counts_more_than_a_lease() -> None:
    class Wire(Neighbours):
        def _read(self) -> dict[str, str]:
            return {"172.22.0.50": "52:54:00:22:00:01"}

    leases = {"172.22.0.50": "52:54:00:22:00:02", "172.22.0.51": "52:54:00:22:00:03"}
    clients = Clients(Wire(socket.socket), leases.get)
    assert clients.mac_of("172.22.0.50") == "52:54:00:22:00:01"
    assert clients.mac_of("172.22.0.51") == "52:54:00:22:00:03"
    assert clients.mac_of("172.22.0.52") is None
