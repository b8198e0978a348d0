"""UUIDs as people write them, and which texts can stand for a thing in URLs beside them."""

from __future__ import annotations

import re
import uuid as uuid_module

# RFC 3986, section 2.3.
UNRESERVED = re.compile(r"[A-Za-z0-9._~-]{1,255}")
RESERVED = frozenset(
    {"maintenance", "management", "states", "vendor_passthru", "detail", "validate"}
)
_USUAL = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def normal_uuid(text: str) -> str | None:
    """A UUID in its usual spelling, or None when ``text`` is none."""
    if len(text) not in (32, 36):
        return None
    if _USUAL.fullmatch(text):
        return text
    try:
        found = uuid_module.UUID(text)
    except ValueError:
        return None
    return str(found) if text.replace("-", "").lower() == found.hex else None
