"""Text from outside, from a machine or a controller, made fit for people and databases."""

from __future__ import annotations

MAX_TEXT = 4000


def readable(text: str) -> str:
    """``text`` as one line, without what databases refuse, and not endless.

    It may come from a machine: an agent's error, a controller's answer.
    """
    kept = "".join(c if c.isprintable() else " " for c in text)
    return kept if len(kept) <= MAX_TEXT else kept[:MAX_TEXT] + " ..."
