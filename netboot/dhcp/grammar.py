"""The one gate to dnsmasq's configuration: which characters a value may be made of.

dnsmasq has no quoting that all of its options honour, and reads a comma, a '#', a quote, a
backslash or a newline as its own. So nothing of that is let in, in any value.
"""

from __future__ import annotations

import string

from drophammer.errors import Invalid

LETTERS = string.ascii_letters + string.digits
INTERFACE = frozenset(LETTERS + "_.:-")
PATH = frozenset(LETTERS + "_./@+=,:-")
"""Of paths on this host. A comma is none in options that take one path and nothing else."""
URL = frozenset(LETTERS + "_./@+=:-~%?&[]")
NAME = frozenset(string.ascii_lowercase + string.digits + "-")


def check(text: str, source: str, allowed: frozenset[str], longest: int) -> str:
    """Return ``text`` when it is made of ``allowed`` only; raises Invalid with the position."""
    for position, character in enumerate(text):
        if character not in allowed:
            raise Invalid(
                f"{source}: character {character!r} at position {position} is not possible here; "
                f"use letters, digits and any of {_signs(allowed)}"
            )
    if len(text) > longest:
        raise Invalid(f"{source}: {len(text)} characters; at most {longest} are possible.")
    return text


def _signs(allowed: frozenset[str]) -> str:
    return " ".join(sorted(allowed - set(LETTERS)))
