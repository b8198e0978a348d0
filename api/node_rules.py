"""What may be done to a node, and what its values may be. Plain functions on plain values.

Nothing is read or written here; the handlers in ``nodes.py`` do that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.names import check_name
from api.patch import Step
from drophammer import states, steppriorities
from drophammer.bootspec import check_file_url, check_parameters, check_root_url
from drophammer.errors import Conflict, Forbidden, Invalid
from drophammer.identity import normal_uuid
from drophammer.model import INTERFACES

Row = Mapping[str, Any]

INTERFACE_FIELDS = frozenset(f"{kind}_interface" for kind in INTERFACES)
BOOT_FILES = {
    "driver_info": ("deploy_kernel", "deploy_ramdisk", "rescue_kernel", "rescue_ramdisk"),
    "instance_info": ("kernel", "ramdisk"),
}
CHASSIS_REMOVABLE_SINCE = 25
INSPECTING_FROZEN_SINCE = 39
PROTECTABLE = frozenset({states.ACTIVE, states.RESCUE})


def normalised(values: Mapping[str, Any], version: int) -> dict[str, Any]:
    """Values for a node, checked beyond their schema and in the form they are stored in.

    Raises Invalid.
    """
    result = dict(values)
    if (name := result.get("name")) is not None:
        check_name(name, "node", version)
    for key in ("uuid", "instance_uuid", "parent_node", "chassis_uuid"):
        if result.get(key) is not None:
            result[key] = normal_uuid(result[key])
    if "conductor_group" in result:
        result["conductor_group"] = result["conductor_group"].lower()
    for key in ("driver_info", "instance_info"):
        _check_boot_values(key, result.get(key, {}))
    where = f"driver_info/{steppriorities.NODE_KEY}"
    steppriorities.of_node(result.get("driver_info", {}), where)
    return result


def check_patchable(row: Row, steps: list[Step], version: int) -> None:
    """Raise when the node's state allows no change now (Conflict) or not this one."""
    if row["maintenance"] and [(s.op, s.root, s.path) for s in steps] == [
        ("remove", "instance_uuid", ())
    ]:
        return
    state = row["provision_state"]
    if row["target_provision_state"] and state not in states.PATCHABLE_WITH_TARGET:
        raise Conflict(
            f"Node {row['uuid']} cannot be updated while it is on its way from state '{state}' "
            f"to '{row['target_provision_state']}'."
        )
    if state == states.INSPECTING and version >= INSPECTING_FROZEN_SINCE:
        raise Conflict(f"Node {row['uuid']} cannot be updated while it is being inspected.")
    if any(step.root == "owner" for step in steps) and state == states.ACTIVE:
        raise Conflict(f"The owner of node {row['uuid']} cannot change while it is active.")
    for step in steps:
        if step.root == "driver" and step.op == "remove":
            raise Invalid("A node cannot be without a driver; replace it instead.")
        removing_chassis = step.root == "chassis_uuid" and step.op == "remove"
        if removing_chassis and version < CHASSIS_REMOVABLE_SINCE:
            raise Invalid("Removing chassis_uuid needs API version 1.25.")


def check_changes(row: Row, changed: Row) -> None:
    """Raise Conflict or Invalid when the node's state forbids these values.

    ``changed`` has only what differs from the row.
    """
    state, uuid = row["provision_state"], row["uuid"]
    settled = state in states.INTERFACES_CHANGEABLE
    interfaces = sorted(INTERFACE_FIELDS & set(changed))
    if interfaces and not (settled or row["maintenance"]):
        raise _wrong_state(uuid, ", ".join(interfaces), state)
    if changed.get("instance_uuid") and row["instance_uuid"]:
        raise Conflict(f"Node {uuid} is already associated with instance {row['instance_uuid']}.")
    if "resource_class" in changed and row["resource_class"] and not settled:
        raise _wrong_state(uuid, "resource_class", state)
    consoles = sorted({"driver", "console_interface"} & set(changed))
    if consoles and row["console_enabled"]:
        raise Conflict(
            f"{' and '.join(consoles)} of node {uuid} cannot change while its console is enabled."
        )
    if changed.get("protected") and state not in PROTECTABLE:
        raise _wrong_state(uuid, "protected", state)
    if changed.get("retired") and state == states.AVAILABLE:
        raise _wrong_state(uuid, "retired", state)
    for flag in ("protected", "retired"):
        wanted = changed.get(flag, row[flag])
        if changed.get(f"{flag}_reason") is not None and not wanted:
            raise Invalid(f"{flag}_reason is only possible together with {flag}.")


def follow_ups(row: Row, changed: Row) -> dict[str, Any]:
    """What changes along with ``changed``: reasons go with their flags, and so on."""
    extra: dict[str, Any] = {}
    for flag in ("protected", "retired"):
        if changed.get(flag) is False:
            extra[f"{flag}_reason"] = None
    if changed.get("maintenance") is False:
        extra.update(maintenance_reason=None, fault=None)
    display_name = changed.get("instance_info", {}).get("display_name")
    untouched = "instance_name" not in changed and row["instance_name"] is None
    if untouched and isinstance(display_name, str) and 0 < len(display_name) <= 255:
        extra["instance_name"] = display_name
    return extra


def check_deletable(row: Row, *, available_too: bool) -> None:
    """Raise Forbidden or Conflict when the node cannot be deleted as it is."""
    uuid, state = row["uuid"], row["provision_state"]
    if row["protected"]:
        raise protected(uuid, "deleted")
    if row["maintenance"]:
        return
    if row["instance_uuid"]:
        raise Conflict(
            f"Node {uuid} is associated with instance {row['instance_uuid']}; undeploy it first, "
            "or set maintenance to delete it all the same."
        )
    allowed = states.DELETABLE if available_too else states.DELETABLE - {states.AVAILABLE}
    if state not in allowed:
        raise Conflict(
            f"Cannot delete node {uuid} while it is in state '{state}'; it must be in one of "
            f"{', '.join(sorted(allowed))}, or in maintenance."
        )


def protected(uuid: str, done: str) -> Forbidden:
    """The error for a protected node."""
    return Forbidden(f"Node {uuid} is protected and cannot be {done}; unset protected first.")


def _wrong_state(uuid: str, what: str, state: str) -> Conflict:
    return Conflict(f"{what} of node {uuid} cannot change while it is in state '{state}'.")


def _check_boot_values(field: str, info: Mapping[str, Any]) -> None:
    """What ends up in a boot file must not speak the boot loaders' languages."""
    parameters = _text(field, info, "kernel_append_params")
    if parameters is not None:
        # %default% stands for the configured ones; a word of its length keeps positions right.
        check_parameters(
            parameters.replace("%default%", "xdefaultx"), f"{field}/kernel_append_params"
        )
    for key in BOOT_FILES[field]:
        url = _text(field, info, key)
        if url is not None:
            check_file_url(url, f"{field}/{key}")
    root = _text(field, info, "root_image") if field == "instance_info" else None
    if root is not None:
        check_root_url(root, f"{field}/root_image")


def _text(field: str, info: Mapping[str, Any], key: str) -> str | None:
    value = info.get(key)
    if value is not None and not isinstance(value, str):
        raise Invalid(f"{field}/{key}: expected a text.")
    return value
