"""Which driver and interfaces a node has once inspection rules have chosen some of them.

The answer is that of a request to the API: what is named must be enabled, what is left
out is the driver's default. Only, rules cannot ask for a reset: interfaces that a new
driver does not have, and that no rule names, are its defaults too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from drophammer.errors import Conflict, Invalid
from drophammer.hardware import HardwareType, Snapshot
from drophammer.model import INTERFACES

if TYPE_CHECKING:
    from conductor.toolbox import Toolbox
    from drophammer.model import Node

_FIELDS = {f"{kind}_interface": kind for kind in INTERFACES}


def settled(box: Toolbox, node: Node, changed: Mapping[str, Any]) -> dict[str, Any]:
    """``changed`` with the interfaces that go with it. Raises Invalid or Conflict."""
    if not changed.keys() & {"driver", *_FIELDS}:
        return dict(changed)
    _check_console(node, changed)
    hardware = _hardware(box, changed.get("driver", node.driver))
    chosen = {
        field: hardware.choose(kind, changed.get(field))
        for field, kind in _FIELDS.items()
        if field in changed or _is_lost(node, field, hardware.enabled[kind], changed)
    }
    return {**changed, **chosen}


def sentence(node: Mapping[str, Any]) -> str:
    """The driver with its interfaces, for people."""
    interfaces = ", ".join(f"{kind} {node[field]}" for field, kind in _FIELDS.items())
    return f"driver {node['driver']} with {interfaces}"


def _is_lost(node: Node, field: str, enabled: tuple[str, ...], changed: Mapping[str, Any]) -> bool:
    """Whether a new driver does not have the interface that the node had."""
    return "driver" in changed and getattr(node, field) not in enabled


def _check_console(node: Node, changed: Mapping[str, Any]) -> None:
    consoles = sorted({"driver", "console_interface"} & changed.keys())
    if consoles and node.console_enabled:
        raise Conflict(
            f"{' and '.join(consoles)} of node {node.uuid} cannot change while its console is "
            "enabled."
        )


def _hardware(box: Toolbox, driver: str) -> HardwareType:
    settings = box.settings
    told = box.drivers.describe(settings.default_interfaces)
    found = Snapshot(((settings.host, settings.conductor_group, told),)).type(driver)
    if found is None:
        raise Invalid(
            f"The conductor {settings.host} does not have the driver {driver[:80]!r}; it has "
            f"{', '.join(told)}."
        )
    return found
