"""The step in which inspection rules do to the node what was found on it calls for."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import Session

from conductor.outcomes import Done, Outcome
from conductor.steps import ruledriver
from drophammer import difference, rules
from drophammer.errors import DrophammerError, Invalid
from drophammer.model import InspectionRule, Inventory, Node, NodeTrait, Port, Step
from drophammer.ruleactions import Subject
from drophammer.rulevalues import PORT
from drophammer.text import readable

if TYPE_CHECKING:
    from conductor.task import Task

LOG = logging.getLogger(__name__)
_OURS = frozenset({"id", "fence", "operation_id", "deadline"})
_SEEN = tuple(
    column.name
    for column in Node.__table__.columns
    if column.name not in _OURS and not column.name.startswith("lease_")
)
_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def apply_rules(task: Task, step: Step) -> Outcome:
    """Evaluate the rules of phase "main"; all they change is written in one transaction."""
    if "held" in step.cursor:
        return Done({"rules": step.cursor["held"]})
    with task.box.store.read() as session:
        found = session.scalars(
            select(InspectionRule)
            .where(InspectionRule.phase == "main")
            .order_by(InspectionRule.priority.desc(), InspectionRule.id)
        ).all()
        if not found:
            return Done()
        subject, ports = _subject(task, session)
    before = _copy(subject)
    held = rules.apply([_rule(row) for row in found], subject)
    for level, text in subject.log:
        LOG.log(_LEVELS[level], "node %s: inspection rule: %s", task.node.uuid, readable(text))
    _settle(task, before, subject, found, held)
    try:
        _write(task, step, before, subject, ports, held)
    except IntegrityError as error:
        raise Invalid(
            "What the inspection rules set (a name, for instance) is taken by another node or "
            f"port. Rules that held: {', '.join(held)}."
        ) from error
    except DataError as error:
        raise Invalid(
            "What the inspection rules set is not what the database can hold: a value is too long "
            f"or has a character that it does not take. Rules that held: {', '.join(held)}."
        ) from error
    return Done({"rules": held})


def _rule(row: InspectionRule) -> rules.Rule:
    name = row.uuid if not row.description else f"{row.uuid} ({row.description[:80]})"
    return rules.Rule(name, row.conditions or (), row.actions, row.priority, row.sensitive)


def _subject(task: Task, session: Session) -> tuple[Subject, dict[str, int]]:
    """What the rules see, and the ports' ids by UUID."""
    inventory = session.get(Inventory, task.node.id)
    ports = session.scalars(select(Port).where(Port.node_id == task.node.id)).all()
    traits = session.scalars(select(NodeTrait.trait).where(NodeTrait.node_id == task.node.id))
    subject = Subject(
        node={name: getattr(task.node, name) for name in _SEEN},
        inventory=dict(inventory.inventory) if inventory is not None else {},
        plugin_data=dict(inventory.plugin_data) if inventory is not None else {},
        ports=[
            {name: getattr(port, name) for name in ("uuid", "address", *PORT.kinds)}
            for port in ports
        ],
        traits=set(traits),
    )
    return subject, {port.uuid: port.id for port in ports}


def _copy(subject: Subject) -> Subject:
    # Actions replace values and never change the ones that are there.
    return Subject(
        node=dict(subject.node),
        inventory=subject.inventory,
        plugin_data=dict(subject.plugin_data),
        ports=[dict(port) for port in subject.ports],
        traits=set(subject.traits),
    )


def _settle(
    task: Task, before: Subject, after: Subject, found: Sequence[InspectionRule], held: list[str]
) -> None:
    """Add to the node what a driver and interfaces that were set bring along."""
    changed = difference.changed(before.node, after.node)
    try:
        after.node.update(ruledriver.settled(task.box, task.node, changed))
    except DrophammerError as error:
        secret = any(row.sensitive and _rule(row).name in held for row in found)
        why = (
            "One of the rules is sensitive, its values are not shown." if secret else error.message
        )
        raise Invalid(
            f"The driver and interfaces that the inspection rules set cannot be: {why} Rules that "
            f"held: {', '.join(held)}."
        ) from error
    if "driver" in changed:
        after.log.append(("info", ruledriver.sentence(after.node)))


def _write(
    task: Task,
    step: Step,
    before: Subject,
    after: Subject,
    ports: dict[str, int],
    held: list[str],
) -> None:
    """Write what is different, and that it has been done."""
    values = difference.changed(before.node, after.node)
    with task.box.store.write() as session:
        task.write(session, values)
        for old, new in zip(before.ports, after.ports, strict=True):
            changed = difference.changed(old, new)
            if changed:
                session.execute(update(Port).where(Port.id == ports[old["uuid"]]).values(**changed))
        _write_traits(session, task.node.id, before.traits, after.traits)
        if not difference.same(after.plugin_data, before.plugin_data):
            session.execute(
                update(Inventory)
                .where(Inventory.node_id == task.node.id)
                .values(plugin_data=after.plugin_data)
            )
        for _, text in after.log:
            task.tell(session, "rule", readable(text))
        task.journal_note(session, step, held=held)
    task.know(values)


def _write_traits(session: Session, node_id: int, before: set[str], after: set[str]) -> None:
    gone, new = sorted(before - after), sorted(after - before)
    if gone:
        session.execute(
            delete(NodeTrait).where(NodeTrait.node_id == node_id, NodeTrait.trait.in_(gone))
        )
    if new:
        session.execute(insert(NodeTrait), [{"node_id": node_id, "trait": trait} for trait in new])
