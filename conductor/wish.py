"""What an operator wants of a node, and what every plan for it needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from drophammer.errors import Unsupported
from drophammer.model import Node
from drophammer.operations import StepSpec

if TYPE_CHECKING:
    from conductor.drivers.registry import Driver


MEANT = "{}_meant"
"""In a step's cursor: it began in order to bring the machine "on" or "off"."""


@dataclass(frozen=True)
class Wish:
    """What an operator wants of a node, and what is needed to plan it."""

    session: Session
    node: Node
    driver: Driver
    request: Mapping[str, Any]

    def children(self) -> Sequence[str]:
        """UUIDs of the nodes inside this one."""
        query = select(Node.uuid).where(Node.parent_node == self.node.uuid).order_by(Node.id)
        return self.session.scalars(query).all()


def own(step: str, **args: Any) -> StepSpec:
    """A step of the conductor's own."""
    return StepSpec("conductor", step, source="conductor", args=args)


def switching(step: str, wanted: str) -> StepSpec:
    """A step of the conductor's own that may begin with switching the machine.

    ``wanted``: "on" or "off". Who takes the step up knows by it that the command may be on
    its way; journalled with the step, that takes no transaction of its own.
    """
    return dataclasses.replace(own(step), cursor={MEANT.format(wanted): True})


def validate_boot(node: Node, driver: Driver) -> None:
    """Raise unless the node can be made to boot our ramdisk."""
    driver.boot.validate(node)
    if node.disable_power_off:
        raise Unsupported(
            f"Node {node.uuid} has disable_power_off set; operations that boot a ramdisk cannot "
            "do without power off yet."
        )
