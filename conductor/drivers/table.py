"""The one table of hardware types: which interfaces each has, by name, in order of preference."""

from __future__ import annotations

from conductor import priorities
from conductor.drivers import agentrescue, fake, plain
from conductor.drivers.agentinspect import AgentInspect
from conductor.drivers.autodetect import AutodetectDeploy
from conductor.drivers.base import HardwareType, Interface
from conductor.drivers.customagent import CustomAgentDeploy
from conductor.drivers.direct import DirectDeploy
from conductor.drivers.ipmi import IpmiManagement, IpmiPower
from conductor.drivers.ipmivendor import IpmiVendor
from conductor.drivers.iscsi import IscsiDeploy
from conductor.drivers.netboot import IpxeBoot, PxeBoot
from conductor.drivers.network import FlatNetwork, NoopNetwork
from conductor.drivers.ramdisk import RamdiskDeploy
from conductor.drivers.storage import ExternalStorage
from conductor.ipmi import target as ipmi_target

Choices = dict[str, type[Interface]]

_BOOT: Choices = {"ipxe": IpxeBoot, "pxe": PxeBoot}
_DEPLOY: Choices = {
    "autodetect": AutodetectDeploy,
    "direct": DirectDeploy,
    "ramdisk": RamdiskDeploy,
    "custom-agent": CustomAgentDeploy,
    "iscsi": IscsiDeploy,
}
# What machines have that can nothing out of the ordinary.
_COMMON: dict[str, Choices] = {
    "bios": {"no-bios": plain.NoBios},
    "boot": _BOOT,
    "console": {"no-console": plain.NoConsole},
    "deploy": _DEPLOY,
    "firmware": {"no-firmware": plain.NoFirmware},
    "inspect": {"agent": AgentInspect, "no-inspect": plain.NoInspect},
    "network": {"flat": FlatNetwork, "noop": NoopNetwork},
    "raid": {"no-raid": plain.NoRaid},
    "rescue": {"no-rescue": plain.NoRescue, "agent": agentrescue.AgentRescue},
    "storage": {"noop": plain.LocalStorage, "external": ExternalStorage},
    "vendor": {"no-vendor": plain.NoVendor},
}
_FILES = {
    "deploy_kernel": "URL of the kernel this node boots for deployment, cleaning, inspection.",
    "deploy_ramdisk": "URL of the ramdisk that goes with deploy_kernel.",
    "kernel_append_params": "Kernel parameters of the ramdisk; %default% stands for the "
    "configured ones.",
    **agentrescue.PROPERTIES,
    **priorities.PROPERTIES,
}


def hardware_types() -> dict[str, HardwareType]:
    """All hardware types that there are, by name."""
    types = (
        HardwareType(
            "fake-hardware",
            {
                **_COMMON,
                "bios": {"fake": fake.FakeBios, **_COMMON["bios"]},
                "boot": {"fake": fake.FakeBoot, **_BOOT},
                "console": {"fake": fake.FakeConsole, **_COMMON["console"]},
                "deploy": {"fake": fake.FakeDeploy, **_DEPLOY},
                "firmware": {"fake": fake.FakeFirmware, **_COMMON["firmware"]},
                "inspect": {"fake": fake.FakeInspect, **_COMMON["inspect"]},
                "management": {"fake": fake.FakeManagement},
                "power": {"fake": fake.FakePower},
                "raid": {"fake": fake.FakeRaid, **_COMMON["raid"]},
                "rescue": {"fake": fake.FakeRescue, **_COMMON["rescue"]},
                "storage": {"fake": fake.FakeStorage, **_COMMON["storage"]},
                "vendor": {"fake": fake.FakeVendor, **_COMMON["vendor"]},
            },
            {**fake.PROPERTIES, **_FILES},
        ),
        HardwareType(
            "ipmi",
            {
                **_COMMON,
                "management": {"ipmitool": IpmiManagement, "noop": plain.NoopManagement},
                "power": {"ipmitool": IpmiPower},
                "vendor": {"ipmitool": IpmiVendor, **_COMMON["vendor"]},
            },
            {**ipmi_target.PROPERTIES, **_FILES},
        ),
        HardwareType(
            # Somebody pushes the buttons: power is as we were last told to make it.
            "manual-management",
            {
                **_COMMON,
                "deploy": {**_DEPLOY, "noop": plain.NoopDeploy},
                "management": {"noop": plain.NoopManagement, "fake": fake.FakeManagement},
                "power": {"fake": fake.FakePower},
            },
            _FILES,
        ),
    )
    return {hardware.name: hardware for hardware in types}
