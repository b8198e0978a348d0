"""Tells which unique column a refused write collided on; databases say it in different words."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.exc import IntegrityError


def collided(error: IntegrityError, table: str, columns: Iterable[str]) -> str | None:
    """The first of ``columns`` that ``error`` names; None when it is about something else.

    sqlite says "UNIQUE constraint failed: nodes.name", PostgreSQL names the
    constraint, which our naming convention makes uq_nodes_name.
    """
    text = str(error.orig)
    for column in columns:
        if f"{table}.{column}" in text or f'"uq_{table}_{column}"' in text:
            return column
    return None
