"""Queries on the power of many nodes: whom to ask, and writing down what was found.

Written is only what differs, in one statement for a page, and only to nodes that nobody
has taken since they were read: each who takes one raises its fence.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import String, and_, case, literal, or_, select, tuple_, update
from sqlalchemy.orm import Session

from drophammer import events, history, portable, states
from drophammer.model import Node

POWER_FAILURE = "power failure"
# Contract: fsm, section 6.
_SKIPPED = (states.WAIT_CALL_BACK, states.CLEAN_WAIT, states.ENROLL, states.ADOPT_FAILED)
# What asking a power interface takes, and what is compared and written.
COLUMNS = (
    Node.id,
    Node.uuid,
    Node.fence,
    Node.driver,
    Node.driver_info,
    Node.instance_info,
    Node.power_interface,
    Node.power_state,
    Node.fault,
    Node.provision_state,
    Node.target_provision_state,
    Node.last_error,
)
_WRITTEN = (Node.power_state, Node.fault, Node.last_error)


@dataclass(frozen=True)
class Finding:
    """What a node is to have from now on (``values``), and what is told of that.

    ``silent``: for how many seconds its controller has not answered, or had not; that is
    for the history, too.
    """

    node: Node
    values: dict[str, str | None]
    message: str
    silent: float | None = None


def page(
    session: Session,
    *,
    drivers: Collection[str],
    group: str,
    failed: bool,
    after: int,
    limit: int,
) -> list[Node]:
    """Some nodes, in the order of their ids, that nobody holds and whose power may be asked.

    ``failed``: those with a power failure, which maintenance does not hide; else those
    without. They have only ``COLUMNS`` and belong to no session.
    """
    if failed:
        wanted = [Node.fault == POWER_FAILURE]
    else:
        sound = or_(Node.fault.is_(None), Node.fault != POWER_FAILURE)
        wanted = [sound, Node.maintenance.is_(False)]
    query = (
        select(*COLUMNS)
        .where(
            Node.id > after,
            Node.lease_owner.is_(None),
            Node.target_power_state.is_(None),
            Node.provision_state.not_in(_SKIPPED),
            Node.driver.in_(drivers),
            Node.conductor_group == group,
            *wanted,
        )
        .order_by(Node.id)
        .limit(limit)
    )
    return [Node(**row) for row in session.execute(query).mappings()]


def write(
    session: Session, findings: Sequence[Finding], now: datetime.datetime, host: str
) -> list[Finding]:
    """Write and tell them; returned are those of nodes that nobody has taken meanwhile."""
    found = {finding.node.id: finding for finding in findings}
    fences = [(finding.node.id, finding.node.fence) for finding in findings]
    ids = portable.update_some(
        session,
        update(Node).values(
            {Node.updated_at: now} | {column: _each(column, findings) for column in _WRITTEN}
        ),
        and_(Node.id.in_(found), tuple_(Node.id, Node.fence).in_(fences)),
        Node.id,
    )
    written = [found[node_id] for node_id in ids]
    for finding in written:
        _tell(session, finding, now, host)
    return written


def _each(column: Any, findings: Sequence[Finding]) -> Any:
    """For each node its own value; the others keep what they have."""
    name = column.key
    values = {
        finding.node.id: literal(finding.values[name], String)
        for finding in findings
        if name in finding.values
    }
    return case(values, value=Node.id, else_=column) if values else column


def _tell(session: Session, finding: Finding, now: datetime.datetime, host: str) -> None:
    node, failed = finding.node, finding.values.get("fault") is not None
    events.record(
        session,
        node_id=node.id,
        at=now,
        source="conductor",
        kind="error" if failed else "power",
        message=finding.message,
    )
    if finding.silent is not None:
        history.record(
            session,
            node_id=node.id,
            at=now,
            severity=history.ERROR if failed else history.INFO,
            event_type="power",
            event=finding.message,
            conductor=host,
            user=None,
            project=None,
            state=node.provision_state,
            target=node.target_provision_state,
            seconds=finding.silent,
        )
