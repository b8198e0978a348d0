"""Names that people give to things: which are possible in URLs beside UUIDs and reserved words."""

from __future__ import annotations

import re

from drophammer.errors import Invalid
from drophammer.identity import RESERVED, UNRESERVED, normal_uuid

ANY_CHARACTER_SINCE = 10
_HOST_NAME = re.compile(r"(?=.{1,255}\Z)[A-Za-z0-9]([A-Za-z0-9-]{0,62})(\.[A-Za-z0-9-]{1,63})*")


def check_name(name: str, noun: str, version: int) -> None:
    """Raise Invalid when ``name`` cannot be a node's or port's name (RFC 3986, section 2.3)."""
    pattern = UNRESERVED if version >= ANY_CHARACTER_SINCE else _HOST_NAME
    if not pattern.fullmatch(name) or name in (".", ".."):
        raise Invalid(
            f"{name[:80]!r} cannot be the name of a {noun}: use 1 to 255 of the characters A-Z, "
            "a-z, 0-9, '-', '.', '_' and '~'."
        )
    if normal_uuid(name) is not None:
        raise Invalid(f"'{name}' cannot be the name of a {noun}: it looks like a UUID.")
    if name in RESERVED:
        raise Invalid(f"'{name}' cannot be the name of a {noun}: the word is part of URLs.")


def check_ident(ident: str, noun: str) -> None:
    """Raise Invalid when a path part can be neither a UUID nor a name."""
    if not UNRESERVED.fullmatch(ident):
        raise Invalid(f"Expected a UUID or name of a {noun} but received {ident[:80]!r}.")
