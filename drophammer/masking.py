"""Hides secrets in what is shown: by the names of keys, at any depth, and in URLs.

Used by the API's one serializer for every answer, so no verb can forget it, and
for what an agent is told of its node; for texts, which have no names, see ``scrub``.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

MASK = "******"

# Without regard to case, and with "-" as "_".
_PARTS = (
    "password",
    "passwd",
    "pwd",
    "pswd",
    "admin_pass",
    "adminpass",
    "rootpw",
    "fernetkey",
    "new_pass",
    "newpass",
    "passphrase",
    "secret",
    "token",
    "bearer",
    "credential",
    "configdrive",
    "api_key",
    "apikey",
    "access_key",
    "url_key",
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
# The password before the host of a URL.
_LOGIN = re.compile(r"(://[^\s/?#:@]*:)[^\s/?#]*@")
# What a URL is asked with: signed URLs have their signature there.
_QUERY = re.compile(r"(https?://[^\s?'\"<>]*\?)[^\s'\"<>)]*")
# Shorter ones would be found in words that give nothing away.
_LEAST_SECRET = 4
# The same names come again and again; long ones are made up, and not worth their memory.
_KEPT_LENGTH = 64


def mask(value: Any) -> Any:
    """A copy of a JSON value in which every secret reads ``******``."""
    if isinstance(value, dict):
        return {key: MASK if is_secret(key) else mask(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [mask(inner) for inner in value]
    if isinstance(value, str) and "@" in value:
        return _LOGIN.sub(rf"\1{MASK}@", value)
    return value


def scrub(text: str, *known: Any) -> str:
    """``text`` without the secrets that ``known`` holds (as ``mask`` finds them) or a URL shows.

    For what came back from a machine, which may repeat what it was told.
    """
    for secret in sorted(set(_secrets(known)), key=len, reverse=True):
        # As a whole word: "Check ipmi_password" gives no password away.
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", lambda match: MASK, text)
    return _QUERY.sub(r"\1***", _LOGIN.sub(rf"\1{MASK}@", text))


def _secrets(value: Any, *, secret: bool = False) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _secrets(inner, secret=secret or is_secret(key))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _secrets(inner, secret=secret)
    elif secret and isinstance(value, str) and len(value) >= _LEAST_SECRET:
        yield value


def unmask(new: Any, old: Any) -> Any:
    """``new`` with the secrets of ``old`` where it only repeats what ``mask(old)`` shows.

    Clients read a value, change a part of it, and write it back whole.
    """
    return _unmasked(new, old, mask(old))


def _unmasked(new: Any, old: Any, shown: Any) -> Any:
    if isinstance(new, dict) and isinstance(old, dict) and isinstance(shown, dict):
        return {
            key: _unmasked(inner, old[key], shown[key]) if key in old else inner
            for key, inner in new.items()
        }
    return old if new == shown and shown != old else new


def is_secret(key: str) -> bool:
    """Whether a key's name says that its value is for no reader's eyes."""
    return _known_secret(key) if len(key) <= _KEPT_LENGTH else _secret(key)


def _secret(key: str) -> bool:
    name = key.lower().replace("-", "_")
    if any(word in name for word in _PUBLIC):
        name = name.replace("ssh_key", "")
    return (
        name in _WHOLE
        or any(part in name for part in _PARTS)
        or not _WORDS.isdisjoint(name.split("_"))
    )


_known_secret = functools.lru_cache(4096)(_secret)
