"""Traits: what may be one, and the queries on those of nodes.

A trait is a standard name of os-traits or anyone's own beginning with ``CUSTOM_``.
Deploy templates, runbooks, allocations and inspection rules name traits as well.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterable

import os_traits
from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from drophammer.errors import Invalid
from drophammer.model import NodeTrait
from drophammer.store import Reader

LONGEST = 255
MOST = 50
_CUSTOM = re.compile(r"CUSTOM_[A-Z0-9_]+")


def check(trait: str) -> None:
    """Raise Invalid when ``trait`` cannot be the name of a trait."""
    if len(trait) > LONGEST or not (_CUSTOM.fullmatch(trait) or trait in _standard()):
        raise Invalid(
            f"{trait[:80]!r} is no trait: write CUSTOM_ and then A-Z, 0-9 or _, at most {LONGEST} "
            "characters in all, or a name that os-traits has."
        )


def check_all(traits: Collection[str], owner: str) -> None:
    """Raise Invalid when ``owner``, "a node" for instance, cannot have just these traits.

    What a node cannot have nothing needs that is about nodes.
    """
    for trait in traits:
        check(trait)
    if len(traits) > MOST:
        raise Invalid(
            f"{owner.capitalize()} can have at most {MOST} traits; these are {len(traits)}."
        )


def of_node(session: Reader, node_id: int) -> list[str]:
    """A node's traits, sorted."""
    query = select(NodeTrait.trait).where(NodeTrait.node_id == node_id).order_by(NodeTrait.trait)
    return list(session.scalars(query))


def replace(session: Session, node_id: int, traits: Iterable[str]) -> None:
    """Let a node have these traits and no others."""
    session.execute(delete(NodeTrait).where(NodeTrait.node_id == node_id))
    rows = [{"node_id": node_id, "trait": trait} for trait in sorted(set(traits))]
    if rows:
        session.execute(insert(NodeTrait), rows)


def add(session: Session, node_id: int, trait: str) -> None:
    """Give a node a trait that it does not have."""
    session.execute(insert(NodeTrait).values(node_id=node_id, trait=trait))


def remove(session: Session, node_id: int, trait: str) -> bool:
    """Take a trait from a node. False when it did not have it."""
    gone = delete(NodeTrait).where(NodeTrait.node_id == node_id, NodeTrait.trait == trait)
    return session.execute(gone.returning(NodeTrait.trait)).first() is not None


@functools.cache
def _standard() -> frozenset[str]:
    return frozenset(os_traits.get_traits())
