"""UUIDs as people write them."""

from __future__ import annotations

import uuid as uuid_module


def normal_uuid(text: str) -> str | None:
    """A UUID in its usual spelling, or None when ``text`` is none."""
    if len(text) not in (32, 36):
        return None
    try:
        found = uuid_module.UUID(text)
    except ValueError:
        return None
    return str(found) if text.replace("-", "").lower() == found.hex else None
