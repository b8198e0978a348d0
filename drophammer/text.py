"""Text from outside, from a machine or a controller, made fit for people and databases."""

from __future__ import annotations

import re

MAX_TEXT = 4000
# What a program says to its programmers. Whoever reads our texts is none.
_INTERNAL = re.compile(r"Traceback|object at 0x|<class|KeyError|None(?![a-z])|NoneType")
_IN_WORDS: tuple[tuple[re.Pattern[str], str], ...] = (
    # The last line of a traceback is what it comes to.
    (re.compile(r"Traceback \(most recent call last\):\s*\n(?:[ \t][^\n]*\n?)*"), ""),
    (re.compile(r"Traceback(?: \(most recent call last\))?:?"), "A program's error:"),
    (re.compile(r"<class '(?:\w+\.)*(\w+)'>"), r"\1"),
    (re.compile(r"<(?:\w+\.)*(\w+) object at 0x[0-9a-fA-F]+>"), r"\1"),
    (re.compile(r"object at 0x[0-9a-fA-F]*"), "object"),
    (re.compile(r"<+class"), "class"),
    (re.compile(r"KeyError"), "missing key"),
    (re.compile(r"NoneType|None(?![a-z])"), "none"),
)


def readable(text: str, limit: int = MAX_TEXT) -> str:
    """``text`` as one line, without what databases refuse, and not endless.

    It may come from a machine: an agent's error, a controller's answer. What a program
    would say only to its programmers is put into words.
    """
    if _INTERNAL.search(text):
        for pattern, words in _IN_WORDS:
            text = pattern.sub(words, text)
    kept = text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)
    return kept if len(kept) <= limit else kept[:limit] + " ..."


def sentence(text: str) -> str:
    """``text`` with a full stop, for others to follow it."""
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."


def span(seconds: float) -> str:
    """A time that passed, as people say it: ``0.4 s``, ``31 s``, ``5 min 2 s``, ``2 h 10 min``."""
    if seconds < 10:
        return f"{max(seconds, 0.0):.1f} s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def misplaced(value: object, allowed: str) -> str:
    """Which character of ``value`` is not in the class ``allowed``, for the end of a sentence.

    ``misplaced("a b", "a-z")`` is ": ' ' at position 1"; empty for what has none, or is no text.
    """
    found = re.search(f"[^{allowed}]", value) if isinstance(value, str) else None
    return f": {found[0]!a} at position {found.start()}" if found else ""
