"""The shape of ``network_data``: what a deployed system is told of its network.

It is OpenStack's network_data.json, as config drives hold it: links, the networks
on them, and services such as DNS.
"""

from __future__ import annotations

from typing import Any

_TEXT = {"type": "string", "maxLength": 255}
_SERVICE = {
    "type": "object",
    "properties": {"type": _TEXT, "address": _TEXT},
    "required": ["type", "address"],
}
_ROUTE = {
    "type": "object",
    "properties": {
        "network": _TEXT,
        "netmask": _TEXT,
        "gateway": _TEXT,
        "services": {"type": "array", "items": _SERVICE},
    },
    "required": ["network", "netmask", "gateway"],
}
_LINK = {
    "type": "object",
    "properties": {
        "id": _TEXT,
        "type": _TEXT,
        "ethernet_mac_address": {"type": ["string", "null"], "maxLength": 64},
        "mtu": {"type": ["integer", "null"], "minimum": 1, "maximum": 65535},
        "vif_id": {"type": ["string", "null"], "maxLength": 255},
        "bond_links": {"type": "array", "items": _TEXT},
        "bond_mode": _TEXT,
        "vlan_id": {"type": "integer", "minimum": 0, "maximum": 4095},
        "vlan_link": _TEXT,
        "vlan_mac_address": _TEXT,
    },
    "required": ["id", "type"],
}
_NETWORK = {
    "type": "object",
    "properties": {
        "id": _TEXT,
        "type": _TEXT,
        "link": _TEXT,
        "network_id": _TEXT,
        "ip_address": _TEXT,
        "netmask": {"type": ["string", "integer"]},
        "gateway": _TEXT,
        "routes": {"type": "array", "items": _ROUTE},
        "services": {"type": "array", "items": _SERVICE},
    },
    "required": ["id", "type", "link"],
}

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "links": {"type": "array", "items": _LINK},
        "networks": {"type": "array", "items": _NETWORK},
        "services": {"type": "array", "items": _SERVICE},
    },
    "additionalProperties": False,
}
