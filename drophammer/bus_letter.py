"""What the roles write to each other: letters of one known form, signed where a key is configured.

A letter says for whom it is, when it was written and until when it may be acted upon, both
by the clock of the store, which is one for all hosts. Whatever comes out of a queue is taken
for a letter only when every part of it is as it must be. Nothing here sends anything.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import re
from dataclasses import dataclass, field
from typing import Any

from drophammer import trace

CALL, CAST, ANSWER, ALIVE = "call", "cast", "answer", "alive"
KINDS = (CALL, CAST, ANSWER, ALIVE)
# A config drive of the largest size that the API takes, and room for the rest.
MAX_CHARACTERS = 80 * 1024 * 1024
# Clocks agree to within the time of a question to the database; a machine may be slow besides.
FUTURE_SECONDS = 60.0
REPLIES = "reply."

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_METHOD = re.compile(r"[a-z_][a-z0-9_]{0,63}")
_REPLY_TO = re.compile(re.escape(REPLIES) + r"[0-9a-f-]{36}")
_PARTS = frozenset(
    {"kind", "id", "to", "sent_at", "until", "method", "arguments", "reply_to", "told", "trace"}
)


class Refused(Exception):
    """What came out of a queue is not acted upon; the text says why."""


@dataclass(frozen=True)
class Letter:
    """One letter. ``sent_at`` and ``until`` are seconds since 1970 by the clock of the store.

    ``told`` is what an answer tells: {"result": ...} or {"error": class, "message": text}.
    ``trace`` is the request of the API that it is written for, if it is for any.
    """

    kind: str
    id: str
    to: str
    sent_at: float
    until: float
    method: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    reply_to: str = ""
    told: dict[str, Any] = field(default_factory=dict)
    trace: str = ""


def pack(letter: Letter) -> str:
    """The letter as text. Raises TypeError for arguments that JSON does not know."""
    return json.dumps(letter.__dict__, separators=(",", ":"))


def sign(text: str, key: str) -> str:
    """The signature under a letter's text, empty without a key."""
    if not key:
        return ""
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def unpack(text: object, signature: object, *, to: str, key: str, now: float) -> Letter:
    """The letter to ``to`` that ``text`` is. Raises Refused."""
    if not isinstance(text, str) or len(text) > MAX_CHARACTERS:
        raise Refused("it is no text, or too long a one")
    _check_signature(text, signature, key)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise Refused("it is not JSON") from None
    letter = _letter(found)
    if letter.to != to:
        raise Refused(f"it is for {letter.to[:80]!r}, not for {to!r}")
    if letter.sent_at > now + FUTURE_SECONDS:
        raise Refused(f"it is from {letter.sent_at - now:.0f} s in the future")
    if letter.until < now:
        late, what = now - letter.until, letter.method or letter.kind
        raise Refused(f"'{what}' came {late:.1f} s after it was to be begun")
    return letter


def _check_signature(text: str, signature: object, key: str) -> None:
    if not key:
        return
    if not isinstance(signature, str) or not signature:
        raise Refused("it is not signed")
    if not hmac.compare_digest(signature.encode(errors="replace"), sign(text, key).encode()):
        raise Refused("its signature is wrong")


def _letter(found: object) -> Letter:
    # More than these parts may be of a later version, which runs beside this one for a while.
    if not isinstance(found, dict) or not found.keys() >= _PARTS:
        raise Refused("it does not have the parts of a letter")
    texts = ("kind", "id", "to", "method", "reply_to", "trace")
    if not all(isinstance(found[name], str) for name in texts):
        raise Refused("a part of it that is to be text is not")
    if not all(_is_moment(found[name]) for name in ("sent_at", "until")):
        raise Refused("its times are none")
    if not all(isinstance(found[name], dict) for name in ("arguments", "told")):
        raise Refused("a part of it that is to be an object is not")
    letter = Letter(**{name: found[name] for name in _PARTS})
    wrong = _wrong(letter)
    if wrong:
        raise Refused(wrong)
    return letter


def _wrong(letter: Letter) -> str:
    """What of the values cannot be; empty when nothing."""
    if letter.kind not in KINDS:
        return "its kind is unknown"
    if not _ID.fullmatch(letter.id):
        return "its id is no UUID"
    if letter.kind in (CALL, CAST) and not _METHOD.fullmatch(letter.method):
        return "it names no method"
    if letter.kind == CALL and not _REPLY_TO.fullmatch(letter.reply_to):
        return "it does not say where its answer goes"
    if letter.trace and not trace.well_formed(letter.trace):
        return "it names a request that is none"
    return ""


def _is_moment(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
