"""The table of hardware types: what it promises, and what the configuration makes of it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from conductor.drivers.base import HardwareType, Interface, Nothing
from conductor.drivers.registry import Driver, Drivers
from conductor.drivers.table import hardware_types
from conductor.settings import Settings
from drophammer.errors import Invalid, Unsupported
from drophammer.hardware import HardwareType as Offered
from drophammer.model import INTERFACES, Node

TYPES = hardware_types()
ALL = [
    pytest.param(cls, id=f"{hardware.name}-{kind}-{name}")
    for hardware in TYPES.values()
    for kind, choices in hardware.interfaces.items()
    for name, cls in choices.items()
]


def a_node(**fields: Any) -> Node:
    values = {"uuid": "u", "driver": "ipmi", "driver_info": {}, "instance_info": {}}
    return Node(**{**values, "properties": {}, **fields})


def a_box(settings: Settings | None = None) -> Any:
    settings = settings or Settings()
    return SimpleNamespace(settings=settings, drivers=Drivers.of(settings))


def driver_of(node: Node, settings: Settings | None = None) -> Driver:
    return Driver(a_box(settings), node)


@pytest.mark.parametrize("hardware", TYPES.values(), ids=list(TYPES))
def test_a_hardware_type_has_every_kind_of_interface(hardware: HardwareType) -> None:
    assert set(hardware.interfaces) == set(INTERFACES)
    for kind, choices in hardware.interfaces.items():
        assert choices
        for name, cls in choices.items():
            assert cls.kind == kind
            assert issubclass(cls, Nothing) == name.startswith("no-")


@pytest.mark.parametrize("cls", ALL)
def test_every_step_on_offer_can_be_run_and_says_what_it_takes(cls: type[Interface]) -> None:
    interface = cls(a_box())
    for purpose in ("clean", "deploy", "service"):
        # The conductor's own have their place in the list, and no priority.
        offered = interface.steps(a_node(), purpose)
        steps = [step for step in offered if step.interface != "conductor"]
        assert [step.priority for step in steps] == sorted(
            (step.priority for step in steps), reverse=True
        )
        for step in steps:
            assert step.interface == cls.kind
            assert step.step in interface.functions()
            for told in step.argsinfo.values():
                assert set(told) == {"description", "required"}


@pytest.mark.parametrize("cls", ALL)
def test_an_interface_without_an_ability_says_so_rather_than_failing(
    cls: type[Interface],
) -> None:
    interface = cls(a_box())
    if not isinstance(interface, Nothing):
        return
    with pytest.raises(Unsupported, match="does not support"):
        interface.validate(a_node())


@pytest.mark.parametrize(
    ("driver", "kind", "wanted"),
    [
        ("ipmi", "power", "ipmitool"),
        ("ipmi", "management", "ipmitool"),
        ("ipmi", "boot", "ipxe"),
        ("ipmi", "deploy", "autodetect"),
        ("ipmi", "inspect", "agent"),
        ("ipmi", "network", "flat"),
        ("ipmi", "vendor", "ipmitool"),
        ("ipmi", "raid", "no-raid"),
        ("ipmi", "rescue", "no-rescue"),
        ("manual-management", "rescue", "no-rescue"),
        ("fake-hardware", "rescue", "fake"),
        ("fake-hardware", "deploy", "fake"),
        ("fake-hardware", "storage", "fake"),
        ("manual-management", "management", "noop"),
    ],
)
def test_the_first_choice_is_the_default(driver: str, kind: str, wanted: str) -> None:
    told = Drivers(list(TYPES)).describe({})
    assert told[driver]["interfaces"][kind]["default"] == wanted
    assert told[driver]["interfaces"][kind]["enabled"][0] == wanted


def test_only_enabled_interfaces_are_offered_in_the_order_of_the_hardware_type() -> None:
    drivers = Drivers(["fake-hardware"], {"deploy": ("direct", "fake"), "raid": ("no-raid",)})
    told = drivers.describe({})["fake-hardware"]["interfaces"]
    assert told["deploy"] == {"enabled": ["fake", "direct"], "default": "fake"}
    assert told["raid"] == {"enabled": ["no-raid"], "default": "no-raid"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hardware_types": ("toaster",)}, "toaster; known are fake-hardware"),
        ({"enabled_interfaces": {"boot": ("floppy",)}}, "enabled_boot_interfaces names floppy"),
        (
            {"enabled_interfaces": {"power": ("ipmitool",)}},
            "leaves 'fake-hardware' without a power interface: add one of fake",
        ),
        ({"default_interfaces": {"boot": "floppy"}}, "default_boot_interface = floppy"),
        (
            {
                "enabled_interfaces": {"boot": ("ipxe", "fake")},
                "default_interfaces": {"boot": "pxe"},
            },
            "default_boot_interface = pxe",
        ),
        ({"autodetect_deploy_interfaces": ("bootc",)}, "autodetect_deploy_interfaces names bootc"),
        ({"autodetect_deploy_interfaces": ("autodetect",)}, "names autodetect; it chooses from"),
    ],
)
def test_a_configuration_that_contradicts_itself_is_refused(
    changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(Invalid, match=said):
        Drivers.of(replace(Settings(), **changes))


def test_autodetect_may_name_what_is_not_enabled() -> None:
    enabled = {"deploy": ("autodetect", "direct", "fake")}
    settings = replace(Settings(), enabled_interfaces=enabled)
    node = a_node(instance_info={"kernel": "k", "ramdisk": "r"})
    assert type(driver_of(node, settings).deploy).__name__ == "DirectDeploy"


def test_a_default_that_a_hardware_type_lacks_is_refused_for_its_nodes_only() -> None:
    told = Drivers(["fake-hardware", "ipmi"]).describe({"power": "ipmitool"})

    def choose(driver: str, kind: str) -> str | None:
        interfaces = told[driver]["interfaces"]
        return Offered(
            driver,
            ("host",),
            {kind: tuple(one["enabled"]) for kind, one in interfaces.items()},
            {kind: one["default"] for kind, one in interfaces.items()},
            {},
        ).choose(kind, None)

    assert choose("ipmi", "power") == "ipmitool"
    with pytest.raises(Invalid, match=r"'ipmitool' is not enabled .*enabled: fake"):
        choose("fake-hardware", "power")


@pytest.mark.parametrize(
    ("instance_info", "wanted"),
    [
        ({}, "DirectDeploy"),
        ({"image_source": "http://127.0.0.1/i"}, "DirectDeploy"),
        ({"kernel": "k", "ramdisk": "r"}, "RamdiskDeploy"),
        ({"boot_iso": "http://127.0.0.1/i.iso"}, "RamdiskDeploy"),
        ({"kernel": "k", "ramdisk": "r", "image_source": "i"}, "DirectDeploy"),
    ],
)
def test_autodetect_goes_by_what_the_instance_asks_for(
    instance_info: dict[str, Any], wanted: str
) -> None:
    driver = driver_of(a_node(instance_info=instance_info))
    assert type(driver.deploy).__name__ == wanted


def test_autodetect_without_anything_enabled_to_choose_names_its_option() -> None:
    settings = replace(
        Settings(),
        enabled_interfaces={"deploy": ("autodetect", "ramdisk", "fake")},
        autodetect_deploy_interfaces=("ramdisk",),
    )
    with pytest.raises(Unsupported, match="autodetect_deploy_interfaces"):
        driver_of(a_node(), settings).interface("deploy")


def test_the_instance_may_bring_an_interface_of_its_own() -> None:
    info = {"deploy_interface": "custom-agent"}
    node = a_node(deploy_interface="direct", instance_info=info)
    assert type(driver_of(node).deploy).__name__ == "CustomAgentDeploy"
    node.instance_info = {"deploy_interface": "ansible"}
    with pytest.raises(Unsupported, match="'ansible' here; enabled are autodetect, direct"):
        driver_of(node).interface("deploy")
