"""Hides secrets in what is shown: by the names of keys, at any depth.

Used by the API's one serializer for every answer, so no verb can forget it, and
for what an agent is told of its node.
"""

from __future__ import annotations

from typing import Any

MASK = "******"

_PARTS = (
    "password",
    "admin_pass",
    "auth_token",
    "new_pass",
    "secret",
    "token",
    "configdrive",
    "chappassword",
    "encrypted_key",
    "private_key",
    "sslkey",
    "passphrase",
)
_WHOLE = frozenset({"image_url", "ipmi_hex_kg_key", "snmp_auth_key", "snmp_priv_key"})


def mask(value: Any) -> Any:
    """A copy of a JSON value in which every secret reads ``******``."""
    if isinstance(value, dict):
        return {key: MASK if is_secret(key) else mask(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [mask(inner) for inner in value]
    return value


def is_secret(key: str) -> bool:
    """Whether a key's name says that its value is for no reader's eyes."""
    lowered = key.lower()
    return lowered in _WHOLE or any(part in lowered for part in _PARTS)
