"""Notifications about what a conductor does to nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError

from drophammer import notifications, payloads, states, traits
from drophammer.model import Node
from drophammer.notifications import END, ERROR, START, SUCCESS
from drophammer.store import Store

if TYPE_CHECKING:
    from conductor.task import Task

ROLE = "conductor"
_FAILED = frozenset(state.name for state in states.STATES.values() if state.kind == states.FAILED)


def provision(store: Store, node: Node, event: str, state: str, target: str | None) -> None:
    """``event`` has taken the node here from ``state``, with ``target`` as it was there."""
    status = _status(state, node.provision_state)
    if status is not None:
        more = {
            "event": event,
            "previous_provision_state": state,
            "previous_target_provision_state": target,
        }
        _emit(
            "provision_set", status, lambda: payloads.NODE_PROVISION.of(_row(store, node), **more)
        )


def power(task: Task, wanted: str, status: str) -> None:
    """The node is being switched, has been, or could not be. The hardware has said so."""

    def payload() -> dict[str, Any]:
        row = _row(task.box.store, task.node)
        if status == END:
            row["power_state"] = wanted
        return payloads.NODE_POWER.of(row, to_power=wanted)

    _emit("power_set", status, payload)


def corrected(store: Store, node: Node, former: str | None) -> None:
    """The node's power was found to be another one than was thought, ``former``."""

    def payload() -> dict[str, Any]:
        with store.read() as session:
            # Whoever asks for the power of many reads few columns.
            whole = session.get_one(Node, node.id)
        return payloads.NODE_CORRECTED.of(_row(store, whole), from_power=former)

    _emit("power_state_corrected", SUCCESS, payload)


@contextmanager
def console(store: Store, node: Node) -> Iterator[None]:
    """The console is switched within the block."""

    def tell(status: str) -> None:
        _emit("console_set", status, lambda: payloads.NODE.of(_row(store, node)))

    tell(START)
    try:
        yield
    except Exception:
        tell(ERROR)
        raise
    tell(END)


def _status(old: str, new: str) -> str | None:
    """What a change of state is to those who wait for work to begin or to end."""
    if new in _FAILED:
        return ERROR
    rested, rests = states.is_resting(old), states.is_resting(new)
    if rests:
        return SUCCESS if rested else END
    return START if rested else None


def _emit(action: str, status: str, payload: Callable[[], dict[str, Any]]) -> None:
    if notifications.on():
        notifications.emit(ROLE, f"node.{action}", status, payload)


def _row(store: Store, node: Node) -> dict[str, Any]:
    row = {column.key: getattr(node, column.key, None) for column in Node.__table__.columns}
    try:
        with store.ask() as connection:
            row["traits"] = traits.of_node(connection, node.id)
    except SQLAlchemyError:
        row["traits"] = []
    return row
