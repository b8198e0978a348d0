"""The flows of the state machine, each told once with everything that could happen twice."""

from __future__ import annotations

from typing import Any

from tests.functional.crash.story import Act, Story
from tests.functional.crash.world import World

IMAGE: dict[str, Any] = {"image_checksum": "0" * 64}
FAKE: dict[str, Any] = {"driver": "fake-hardware"}
RAID = {
    "logical_disks": [
        {"size_gb": 10, "raid_level": "1", "is_root_volume": True},
        {"size_gb": "MAX", "raid_level": "0"},
    ]
}


def step(interface: str, name: str, **args: Any) -> dict[str, Any]:
    return {"interface": interface, "step": name, "args": args}


def clean(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"clean_steps": list(steps)}


def service(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"service_steps": list(steps)}


def failing(step_name: str) -> Any:
    def change(world: World) -> None:
        world.failing.add(step_name)

    return change


def slow(step_name: str) -> Any:
    def change(world: World) -> None:
        world.slow.add(step_name)

    return change


def lazy(world: World) -> None:
    """A machine that takes two seconds to switch."""
    world.power_seconds = 2.0


ACTIVE: dict[str, Any] = {"power_state": "power on", "instance_info": {"a": 1}}
FIRMWARE = step(
    "firmware",
    "update",
    settings=[{"component": "bmc", "url": "http://127.0.0.1/bmc-2.1.bin"}],
)
ADD_VOLUME = step("raid", "create_configuration", delete_existing=False)
HOLD, WAIT = step("deploy", "hold"), step("deploy", "wait", seconds=20)
RESCUE = {"rescue_password": "secret"}

STORIES = (
    Story("verify", "enroll", (Act("manage", "manageable"),)),
    Story("inspect with the ramdisk", "manageable", (Act("inspect", "manageable"),)),
    Story("inspect on fake hardware", "manageable", (Act("inspect", "manageable"),), FAKE),
    Story("automated cleaning", "manageable", (Act("provide", "available"),)),
    Story(
        "automated cleaning that fails",
        "manageable",
        (Act("provide", "clean failed"),),
        world=failing("erase_devices"),
    ),
    Story(
        "automated cleaning on fake hardware", "manageable", (Act("provide", "available"),), FAKE
    ),
    Story(
        "manual cleaning in the ramdisk",
        "manageable",
        (
            Act(
                "clean",
                "manageable",
                clean(
                    step("raid", "delete_configuration"),
                    step("bios", "flash"),
                    step("raid", "create_configuration"),
                    step("deploy", "erase_devices"),
                ),
            ),
        ),
    ),
    Story(
        "manual cleaning on fake hardware",
        "manageable",
        (
            Act(
                "clean",
                "manageable",
                clean(
                    step("raid", "delete_configuration"),
                    step("raid", "create_configuration"),
                    FIRMWARE,
                    step("bios", "factory_reset"),
                    step("raid", "apply_configuration", raid_config=RAID, delete_existing=False),
                    ADD_VOLUME,
                ),
            ),
        ),
        {**FAKE, "target_raid_config": RAID, "raid_config": RAID},
    ),
    Story("deployment", "available", (Act("active", "active"),), {"instance_info": IMAGE}),
    Story(
        "deployment of a UEFI machine",
        "available",
        (Act("active", "active"),),
        {"instance_info": IMAGE, "properties": {"capabilities": "boot_mode:uefi"}},
    ),
    Story(
        "deployment that fails",
        "available",
        (Act("active", "deploy failed"),),
        {"instance_info": IMAGE},
        world=failing("write_image"),
    ),
    Story(
        "deployment with steps on fake hardware",
        "available",
        (
            Act(
                "active",
                "active",
                {
                    "deploy_steps": [
                        {**FIRMWARE, "priority": 150},
                        {**ADD_VOLUME, "priority": 120},
                        {**WAIT, "priority": 50},
                    ]
                },
            ),
        ),
        {**FAKE, "target_raid_config": RAID},
    ),
    Story("deletion", "active", (Act("deleted", "available"),), ACTIVE),
    Story("deletion on fake hardware", "active", (Act("deleted", "available"),), ACTIVE | FAKE),
    Story(
        "rescue and back",
        "active",
        (Act("rescue", "rescue", RESCUE), Act("unrescue", "active")),
        ACTIVE | {"instance_info": IMAGE},
    ),
    Story(
        "rescue and back on fake hardware",
        "active",
        (Act("rescue", "rescue", RESCUE), Act("unrescue", "active")),
        ACTIVE | FAKE,
    ),
    Story(
        "service in the ramdisk",
        "active",
        (
            Act(
                "service",
                "active",
                service(step("raid", "create_configuration"), step("bios", "flash")),
            ),
        ),
        ACTIVE | {"instance_info": IMAGE},
    ),
    Story(
        "service that is aborted",
        "active",
        (
            Act("service", "service hold", service(step("bios", "flash"), HOLD)),
            Act("abort", "active"),
        ),
        ACTIVE | {"instance_info": IMAGE},
    ),
    Story("adoption", "manageable", (Act("adopt", "active"),), {"instance_info": IMAGE}),
    Story(
        "power on",
        "active",
        (Act("power on", "active", method="power"),),
        {"power_state": "power off"},
    ),
    Story(
        "reboot",
        "active",
        (Act("rebooting", "active", method="power"),),
        {"power_state": "power on"},
    ),
    Story(
        "reboot of a machine that takes its time",
        "active",
        (Act("rebooting", "active", method="power"),),
        {"power_state": "power on"},
        world=lazy,
    ),
    Story(
        "adoption and rebuild of a machine that takes its time",
        "manageable",
        (Act("adopt", "active"), Act("rebuild", "active")),
        {"instance_info": IMAGE, "power_state": "power on"},
        world=lazy,
    ),
    Story(
        "hold and unhold",
        "manageable",
        (
            Act(
                "clean",
                "clean hold",
                clean(step("raid", "create_configuration"), HOLD, step("power", "reboot"), WAIT),
            ),
            Act("unhold", "manageable"),
        ),
    ),
    Story(
        "abort of a hold",
        "manageable",
        (Act("clean", "clean hold", clean(HOLD)), Act("abort", "clean failed")),
    ),
    Story(
        "abort of cleaning",
        "manageable",
        (
            Act("provide", "clean wait", step="erase_devices"),
            Act("abort", "clean failed"),
        ),
        world=slow("erase_devices"),
    ),
    Story(
        "abort of cleaning that waits for its machine",
        "manageable",
        (Act("provide", "clean wait"), Act("abort", "clean failed")),
    ),
    Story(
        "abort of a deployment",
        "available",
        (
            Act("active", "wait call-back", step="write_image"),
            Act("abort", "deploy failed"),
        ),
        {"instance_info": IMAGE},
        world=slow("write_image"),
    ),
    Story(
        "a deletion in place of a deployment",
        "available",
        (
            Act("active", "wait call-back", step="write_image"),
            Act("deleted", "available"),
        ),
        {"instance_info": IMAGE},
        world=slow("write_image"),
    ),
)

BLIND = Story(
    "manual cleaning by a controller that answers no questions",
    "manageable",
    (
        Act(
            "clean",
            "manageable",
            {
                **clean(step("raid", "delete_configuration"), step("raid", "create_configuration")),
                "disable_ramdisk": True,
            },
        ),
    ),
    {"raid_interface": "blind"},
)
