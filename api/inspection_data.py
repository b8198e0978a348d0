"""The shape of inspection data: what ramdisks send, as far as somebody here reads it.

Unknown keys are welcome, and so is null wherever a collector may have found nothing.
"""

from __future__ import annotations

from typing import Any

_TEXT = {"type": ["string", "null"], "maxLength": 255}
# Firmware writes long product names.
_LONG_TEXT = {"type": ["string", "null"], "maxLength": 1024}
_NUMBER = {"type": ["integer", "null"], "minimum": 0, "maximum": 2**63 - 1}
_YES_NO = {"type": ["boolean", "null"]}
_LIST = {"type": ["array", "null"]}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": ["object", "null"], "properties": properties}


_INTERFACE = {
    **_object(
        name=_TEXT,
        mac_address=_TEXT,
        ipv4_address=_TEXT,
        ipv6_address=_TEXT,
        has_carrier=_YES_NO,
        lldp=_LIST,
        vendor=_LONG_TEXT,
        product=_LONG_TEXT,
        client_id=_LONG_TEXT,
        biosdevname=_TEXT,
        # The kernel says -1 where it does not know.
        speed_mbps={"type": ["integer", "null"]},
        pci_address=_TEXT,
        driver=_TEXT,
    ),
    "type": "object",
}
_DISK = {
    **_object(
        name=_TEXT,
        model=_LONG_TEXT,
        size=_NUMBER,
        rotational=_YES_NO,
        wwn=_TEXT,
        serial=_LONG_TEXT,
        vendor=_LONG_TEXT,
        wwn_with_extension=_TEXT,
        wwn_vendor_extension=_TEXT,
        hctl=_TEXT,
        by_path=_LONG_TEXT,
        logical_sectors=_NUMBER,
        physical_sectors=_NUMBER,
        tran=_TEXT,
    ),
    "type": "object",
}
_INVENTORY = {
    **_object(
        interfaces={"type": "array", "items": _INTERFACE, "minItems": 1},
        cpu=_object(
            model_name=_LONG_TEXT,
            # A text by contract; a number from others.
            frequency={"type": ["string", "number", "null"], "maxLength": 255},
            count=_NUMBER,
            architecture=_TEXT,
            flags={"type": ["array", "null"], "items": _TEXT},
            socket_count=_NUMBER,
        ),
        disks={"type": ["array", "null"], "items": _DISK},
        memory=_object(total=_NUMBER, physical_mb=_NUMBER),
        bmc_address=_TEXT,
        bmc_v6address=_TEXT,
        bmc_mac=_TEXT,
        system_vendor=_object(
            product_name=_LONG_TEXT,
            serial_number=_LONG_TEXT,
            manufacturer=_LONG_TEXT,
            firmware=_object(vendor=_LONG_TEXT, version=_LONG_TEXT, build_date=_LONG_TEXT),
        ),
        boot=_object(current_boot_mode=_TEXT, pxe_interface=_TEXT),
        hostname=_TEXT,
    ),
    "type": "object",
    "required": ["interfaces"],
}
SCHEMA: dict[str, Any] = {
    **_object(
        inventory=_INVENTORY,
        root_disk={**_DISK, "type": ["object", "null"]},
        boot_interface=_TEXT,
        configuration=_object(collectors=_LIST, managers=_LIST),
        error={"type": ["string", "null"]},
        logs={"type": ["string", "null"]},
    ),
    "type": "object",
    "required": ["inventory"],
}
