"""The entry in a node's history for an operation that ended, whichever way. Ends nothing."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from conductor.plans import FLOWS
from conductor.toolbox import Toolbox
from drophammer import history
from drophammer.model import Node, Operation


def add(
    session: Session,
    box: Toolbox,
    node: Node,
    operation: Operation,
    told: dict[str, Any],
    text: str,
    *,
    target: str | None,
    error: bool = False,
) -> None:
    """Add the entry of an operation that ends: ``told`` is its account (``report.account``)."""
    history.record(
        session,
        node_id=node.id,
        at=box.store.clock.now(),
        severity=history.ERROR if error else history.INFO,
        event_type=FLOWS[operation.flow].history,
        event=text,
        conductor=box.holder.host,
        user=told["user"],
        project=operation.request.get("project"),
        state=told["to"],
        target=target,
        seconds=told["seconds"],
    )
