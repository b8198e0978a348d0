"""The vendor methods and the NMI of the ipmi driver, as a controller sees them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from conductor.drivers.ipmi import IpmiManagement
from conductor.drivers.ipmivendor import IpmiVendor
from drophammer.errors import BmcError
from drophammer.model import Node

GET_DEVICE_ID = (6, 1)
COLD_RESET, WARM_RESET = (6, 2), (6, 3)
CHASSIS_CONTROL = (0, 2)


def node_of(bmc):
    return Node(
        uuid="00000000-0000-4000-8000-000000000001",
        driver="ipmi",
        driver_info={
            "ipmi_address": "127.0.0.1",
            "ipmi_port": bmc.port,
            "ipmi_username": "admin",
            "ipmi_password": "secret",
        },
    )


def call(pool, bmc, name, **arguments):
    method = IpmiVendor(SimpleNamespace(ipmi=pool)).methods()[name]
    node = node_of(bmc)
    method.check(node, "POST", arguments)
    method.run(node, "POST", arguments)


def test_raw_bytes_reach_the_controller_once(pool, bmc):
    call(pool, bmc, "send_raw", raw_bytes="0x06 0x01")
    assert [tuple(number) for *number, _ in bmc.commands].count(GET_DEVICE_ID) == 1


@pytest.mark.parametrize(
    ("arguments", "command"),
    [({}, WARM_RESET), ({"warm": "true"}, WARM_RESET), ({"warm": False}, COLD_RESET)],
)
def test_a_reset_is_warm_unless_told_otherwise(pool, bmc, arguments, command):
    # The virtual controller does not know the command; that it came is what counts.
    with pytest.raises(BmcError, match="raw command"):
        call(pool, bmc, "bmc_reset", **arguments)
    resets = [
        tuple(number) for *number, _ in bmc.commands if number[0] == 6 and number[1] in (2, 3)
    ]
    assert resets == [command]


def test_an_nmi_is_the_chassis_diagnostic_interrupt(pool, bmc):
    IpmiManagement(SimpleNamespace(ipmi=pool)).inject_nmi(node_of(bmc))
    assert [data for *number, data in bmc.commands if tuple(number) == CHASSIS_CONTROL] == ["04"]
