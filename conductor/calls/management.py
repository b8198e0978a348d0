"""Out-of-band management: boot device, boot mode, Secure Boot, NMI, indicators, virtual media."""

from __future__ import annotations

from typing import Any

from conductor.bootmode import boot_mode
from conductor.calls.access import Columns, NodeCalls, explained, only_at_rest
from conductor.drivers.base import Indicator
from conductor.drivers.registry import Driver
from drophammer.errors import Invalid, NotFound
from drophammer.model import Node


class ManagementCalls(NodeCalls):
    def get_boot_device(self, node_id: int) -> dict[str, Any]:
        """{"boot_device", "persistent"} as the hardware tells it."""
        node, driver = self._driver(node_id)
        with explained(node, "get boot device"):
            device, persistent = driver.management.boot_device(node)
        return {"boot_device": device, "persistent": persistent}

    def set_boot_device(self, node_id: int, device: str, persistent: bool = False) -> None:
        """Choose what the node boots from next, or always."""
        node, driver = self._driver(node_id)
        _check_listed("Boot device", device, driver.management.devices, node)
        with self._held(node_id, "set boot device") as (node, driver):
            driver.management.set_boot_device(
                node,
                device,
                persistent=persistent,
                uefi=boot_mode(node, self._box.settings) == "uefi",
            )

    def supported_boot_devices(self, node_id: int) -> list[str]:
        """The boot devices that the node's management interface can choose."""
        _, driver = self._driver(node_id)
        return list(driver.management.devices)

    def set_boot_mode(self, node_id: int, mode: str) -> None:
        """Have the firmware boot as "uefi" or "bios", behind the answer."""

        def check(node: Node, driver: Driver) -> None:
            management = driver.management
            if not management.boot_modes:
                raise management.lacks(node, "setting the boot mode")
            _check_listed("Boot mode", mode, management.boot_modes, node)
            only_at_rest(node, "the boot mode")

        def work(node: Node, driver: Driver) -> Columns:
            driver.management.set_boot_mode(node, mode)
            return {"boot_mode": mode, **({"secure_boot": False} if mode == "bios" else {})}

        self._behind(node_id, "set boot mode", work, check=check)

    def set_secure_boot(self, node_id: int, on: bool) -> None:
        """Switch Secure Boot, behind the answer."""

        def check(node: Node, driver: Driver) -> None:
            management = driver.management
            if "uefi" not in management.boot_modes:
                raise management.lacks(node, "switching Secure Boot")
            if on and node.boot_mode == "bios":
                raise Invalid(f"Node {node.uuid} boots in BIOS mode, which has no Secure Boot.")
            only_at_rest(node, "Secure Boot")

        def work(node: Node, driver: Driver) -> Columns:
            driver.management.set_secure_boot(node, on=on)
            return {"secure_boot": on}

        self._behind(node_id, "set secure boot", work, check=check)

    def inject_nmi(self, node_id: int) -> None:
        """Interrupt the node's operating system."""
        with self._held(node_id, "inject NMI") as (node, driver):
            driver.management.inject_nmi(node)

    # Indicators

    def get_indicators(self, node_id: int) -> list[dict[str, Any]]:
        """The node's lights: name, component, readonly, states."""
        node, driver = self._driver(node_id)
        with explained(node, "get indicators"):
            found = driver.management.indicators(node)
        return [
            {
                "name": one.name,
                "component": one.component,
                "readonly": one.readonly,
                "states": list(one.states),
            }
            for one in found
        ]

    def get_indicator(self, node_id: int, component: str, name: str) -> str:
        """What a light shows: on, off, blinking or unknown."""
        node, driver = self._driver(node_id)
        with explained(node, "get indicator"):
            light = _indicator(node, driver, component, name)
            return driver.management.indicator(node, light)

    def set_indicator(self, node_id: int, component: str, name: str, state: str) -> None:
        """Have a light show ``state``."""
        node, driver = self._driver(node_id)
        with explained(node, "set indicator"):
            light = _indicator(node, driver, component, name)
        if light.readonly:
            raise Invalid(f"The {name} on {component} of node {node.uuid} can only be looked at.")
        _check_listed("Indicator state", state, light.states, node)
        with self._held(node_id, "set indicator") as (node, driver):
            driver.management.set_indicator(node, light, state)

    # Virtual media

    def get_vmedia(self, node_id: int) -> list[dict[str, Any]]:
        """The emulated drives and what is in them."""
        node, driver = self._driver(node_id)
        with explained(node, "get virtual media"):
            return driver.management.virtual_media(node)

    def attach_vmedia(
        self,
        node_id: int,
        device_type: str,
        image_url: str,
        image_download_source: str | None = None,
    ) -> None:
        """Put an image into an emulated drive, behind the answer.

        The controller fetches it itself, as ``image_download_source`` "http" (default)
        says; Unsupported for others.
        """
        device = device_type.lower()

        def check(node: Node, driver: Driver) -> None:
            _check_drive(node, driver, device)
            if image_download_source not in (None, "http"):
                raise driver.management.lacks(
                    node, f"image_download_source '{image_download_source}' for virtual media"
                )

        def work(node: Node, driver: Driver) -> None:
            driver.management.attach_virtual_media(node, device, image_url)

        self._behind(node_id, "attach virtual media", work, check=check)

    def detach_vmedia(self, node_id: int, device_types: list[str] | None = None) -> None:
        """Empty some emulated drives, all when none is named, behind the answer."""
        devices = [device.lower() for device in device_types or ()]

        def check(node: Node, driver: Driver) -> None:
            _check_drive(node, driver, *devices)

        def work(node: Node, driver: Driver) -> None:
            driver.management.detach_virtual_media(node, devices)

        self._behind(node_id, "detach virtual media", work, check=check)


def _check_listed(what: str, value: str, allowed: tuple[str, ...], node: Node) -> None:
    if value not in allowed:
        raise Invalid(
            f"{what} {value!r} is not supported by node {node.uuid}; it has {', '.join(allowed)}."
        )


def _check_drive(node: Node, driver: Driver, *devices: str) -> None:
    management = driver.management
    if not management.drives:
        raise management.lacks(node, "virtual media")
    for device in devices:
        _check_listed("Virtual media device", device, management.drives, node)


def _indicator(node: Node, driver: Driver, component: str, name: str) -> Indicator:
    for one in driver.management.indicators(node):
        if (one.component, one.name) == (component, name):
            return one
    raise NotFound(f"Node {node.uuid} has no indicator {name[:80]}@{component[:80]}.")
