"""The regexes of inspection rules, matched by RE2: in linear time, whatever a machine tells.

Python's own engine can take exponential time, and lets no other thread run meanwhile.
"""

from __future__ import annotations

import re
from typing import Any

import re2

from drophammer.errors import Invalid

_FIELD = re.compile(r"\{\s*(node|inventory|plugin_data|item)\b")


def check(regex: Any) -> None:
    """Raise Invalid when ``regex`` cannot be a rule's."""
    _compiled(regex)


def matches(value: Any, regex: Any) -> bool:
    """Whether the whole of the value, as a text, is what the regex says."""
    return bool(_compiled(regex).fullmatch(_bytes(value)))


def contains(value: Any, regex: Any) -> bool:
    """Whether a part of the value, as a text, is what the regex says."""
    return bool(_compiled(regex).search(_bytes(value)))


def _compiled(regex: Any) -> Any:
    if not isinstance(regex, str):
        raise Invalid("its regex is not a text")
    if _FIELD.search(regex):
        # The machine, whose values the fields are, would choose what is matched.
        raise Invalid("its regex names a field; a regex is taken as it is written")
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(regex, options)
    except re2.error as error:
        # The binding gives what the library said as bytes.
        said = error.args[0] if error.args else b"it cannot be read"
        why = said.decode(errors="replace") if isinstance(said, bytes) else said
        raise Invalid(f"its regex is none that RE2 takes: {why}") from error
    except UnicodeEncodeError as error:
        raise Invalid("its regex is none: it has half a character in it") from error


def _bytes(value: Any) -> bytes:
    """What RE2 looks at. Half a surrogate pair, which JSON can hold, becomes a "?"."""
    return str(value).encode(errors="replace")
