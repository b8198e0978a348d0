"""The ``fake-hardware`` driver: whole machines that do not exist, with the delays and
faults that are configured.

A product part: for trying the API, for tests and for measuring.
"""

from __future__ import annotations

from conductor.drivers.fake.acting import PROPERTIES
from conductor.drivers.fake.bios import FakeBios
from conductor.drivers.fake.deploy import FakeDeploy, FakeInspect, FakeRescue
from conductor.drivers.fake.firmware import FakeFirmware
from conductor.drivers.fake.management import FakeManagement
from conductor.drivers.fake.plain import FakeConsole, FakeStorage
from conductor.drivers.fake.power import FakeBoot, FakePower
from conductor.drivers.fake.raid import FakeRaid
from conductor.drivers.fake.vendor import FakeVendor

__all__ = [
    "PROPERTIES",
    "FakeBios",
    "FakeBoot",
    "FakeConsole",
    "FakeDeploy",
    "FakeFirmware",
    "FakeInspect",
    "FakeManagement",
    "FakePower",
    "FakeRaid",
    "FakeRescue",
    "FakeStorage",
    "FakeVendor",
]
