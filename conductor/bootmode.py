"""Which firmware a machine boots with: what the operator said, else what inspection saw."""

from __future__ import annotations

import json

from conductor.settings import Settings
from drophammer.model import Node


def boot_mode(node: Node, settings: Settings) -> str:
    """ "uefi" or "bios" for this node's next boot."""
    for holder in (node.instance_info, node.properties):
        mode = _capabilities(holder.get("capabilities")).get("boot_mode")
        if mode in ("uefi", "bios"):
            return mode
    return node.boot_mode or settings.default_boot_mode


def _capabilities(value: object) -> dict[str, str]:
    """``k:v,k:v`` text, JSON text or an object, as clients send them."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    if isinstance(value, dict):
        return {str(key): str(item) for key, item in value.items()}
    if isinstance(value, str):
        pairs = (item.partition(":") for item in value.split(","))
        return {key.strip(): item.strip() for key, _, item in pairs}
    return {}
