"""What is and was being done to a node, step by step. Our own addition.

Arguments and cursors of steps are not shown: they may hold secrets and are nobody's
business but the conductor's.
"""

from __future__ import annotations

from typing import Any

from api import nodes
from api.call import Call, Reply
from api.endpoint import takes
from api.view import time
from drophammer import operations
from drophammer.model import Operation, Step

DEFAULT_LIMIT = 10


@takes(query={"limit": 1})
def index(call: Call, ident: str) -> Reply:
    """GET /v1/nodes/{ident}/operations?limit=N: newest first."""
    limit = min(call.query.integer("limit", least=1) or DEFAULT_LIMIT, call.settings.max_limit)
    row = nodes.find(call, ident, ())
    with call.store.read() as session:
        found = operations.of_node(session, row["id"], limit)
        steps = operations.steps_of(session, [entry.id for entry in found])
    by_operation: dict[int, list[dict[str, Any]]] = {entry.id: [] for entry in found}
    for step in steps:
        by_operation[step.operation_id].append(_step(step))
    return Reply(
        body={"operations": [_operation(entry, by_operation[entry.id]) for entry in found]}
    )


def _operation(entry: Operation, steps: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "uuid": entry.uuid,
        "verb": entry.verb,
        "state": entry.state,
        "created_at": time(entry.created_at),
        "updated_at": time(entry.updated_at),
        "finished_at": time(entry.finished_at),
        "error": entry.error,
        "progress": _progress(entry),
        "steps": steps,
    }


def _progress(entry: Operation) -> dict[str, Any] | None:
    if entry.progress_at is None:
        return None
    return {
        "done": entry.progress_done,
        "total": entry.progress_total,
        "message": entry.progress_message,
        "at": time(entry.progress_at),
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "position": step.position,
        "interface": step.interface,
        "step": step.step,
        "priority": step.priority,
        "source": step.source,
        "state": step.state,
        "started_at": time(step.started_at),
        "finished_at": time(step.finished_at),
        "error": step.error,
    }
