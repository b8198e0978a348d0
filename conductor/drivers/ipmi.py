"""The ``ipmi`` driver: power and boot device over IPMI, through the pool of child processes.

The interface is called ``ipmitool`` on the wire, because clients ask for it by
that name; pyghmi does the talking.
"""

from __future__ import annotations

from conductor.drivers.base import Management, Power
from conductor.ipmi.target import flag, from_driver_info
from drophammer.errors import Invalid
from drophammer.model import Node


class IpmiPower(Power):
    """Chassis power (IPMI 2.0 section 28)."""

    def validate(self, node: Node) -> None:
        check_driver_info(node)

    def state(self, node: Node) -> str:
        return self.box.ipmi.get_power(from_driver_info(node.driver_info))

    def send(self, node: Node, action: str) -> None:
        self.box.ipmi.set_power(from_driver_info(node.driver_info), action)


class IpmiManagement(Management):
    """System boot options (IPMI 2.0 section 28.13)."""

    devices = ("pxe", "disk", "cdrom", "bios", "safe")

    def validate(self, node: Node) -> None:
        check_driver_info(node)

    def boot_device(self, node: Node) -> tuple[str | None, bool | None]:
        found = self.box.ipmi.get_boot_device(from_driver_info(node.driver_info))
        return found.device, found.persistent

    def set_boot_device(self, node: Node, device: str, *, persistent: bool, uefi: bool) -> None:
        self.box.ipmi.set_boot_device(
            from_driver_info(node.driver_info),
            device,
            persistent=persistent,
            uefi=uefi,
            disable_timeout=flag(
                node.driver_info,
                "ipmi_disable_boot_timeout",
                self.box.settings.ipmi_disable_boot_timeout,
            ),
        )

    def inject_nmi(self, node: Node) -> None:
        self.box.ipmi.set_power(from_driver_info(node.driver_info), "diag")


def check_driver_info(node: Node) -> None:
    """Raise Invalid, naming everything that is missing or wrong."""
    try:
        from_driver_info(node.driver_info)
    except Invalid as error:
        raise Invalid(f"Node {node.uuid}: {error.message}.") from error
