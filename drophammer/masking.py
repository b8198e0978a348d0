"""Hides secrets in what is shown: by the names of keys, at any depth.

Used by the API's one serializer for every answer, so no verb can forget it, and
for what an agent is told of its node.
"""

from __future__ import annotations

from typing import Any

MASK = "******"

# Without regard to case, and with "-" as "_".
_PARTS = (
    "password",
    "passwd",
    "pwd",
    "admin_pass",
    "new_pass",
    "passphrase",
    "secret",
    "token",
    "bearer",
    "credential",
    "configdrive",
    "api_key",
    "apikey",
    "access_key",
    "encrypted_key",
    "private_key",
    "ssh_key",
    "sslkey",
    "snmp_community",
)
# Parts only between underscores: "pass" is none of "bypass".
_WORDS = frozenset({"pass"})
# Keys of SSH that are meant to be known.
_PUBLIC = ("public", "authorized")
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
    name = key.lower().replace("-", "_")
    if any(word in name for word in _PUBLIC):
        name = name.replace("ssh_key", "")
    return (
        name in _WHOLE
        or any(part in name for part in _PARTS)
        or not _WORDS.isdisjoint(name.split("_"))
    )
