"""Tells which unique column a refused write collided on; databases say it in different words."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sqlalchemy.exc import IntegrityError

_KEY = re.compile(r"for key '([^']+)'\W*$")


def collided(error: IntegrityError, table: str, columns: Iterable[str]) -> str | None:
    """The first of ``columns`` that ``error`` names; None when it is about something else.

    sqlite says "UNIQUE constraint failed: nodes.name", the others name the constraint,
    which our naming convention makes uq_nodes_name, and a unique index ix_nodes_name.
    """
    text = _told(error)
    for column in columns:
        names = {f"{table}.{column}", f"uq_{table}_{column}", f"ix_{table}_{column}"}
        if names.intersection(text):
            return column
    return None


def _told(error: IntegrityError) -> list[str]:
    """The names in what the database says; never the values, in which anything may stand."""
    diagnosis = getattr(error.orig, "diag", None)
    if diagnosis is not None:
        return [str(diagnosis.constraint_name)]
    text = str(error.orig)
    # MariaDB: Duplicate entry '...' for key '...'
    key = _KEY.search(text)
    return [key.group(1)] if key else text.replace(",", " ").split()
