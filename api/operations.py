"""What is and was being done to a node, step by step. Our own addition.

Arguments and cursors of steps are not shown: they may hold secrets and are nobody's
business but the conductor's.
"""

from __future__ import annotations

from typing import Any

from api import nodes
from api.call import Call, Reply
from api.endpoint import closed, takes
from api.fields import ANY_TEXT, TEXT, TIME
from api.view import time
from drophammer import operations
from drophammer.model import Operation, Step

DEFAULT_LIMIT = 10
_COUNT = {"type": ["integer", "null"]}
_STEP = closed(
    {
        "position": {"type": "integer"},
        "interface": TEXT,
        "step": TEXT,
        "priority": {"type": "integer"},
        "source": TEXT,
        "state": TEXT,
        "started_at": TIME,
        "finished_at": TIME,
        "error": ANY_TEXT,
    }
)
_PROGRESS = closed({"done": _COUNT, "total": _COUNT, "message": ANY_TEXT, "at": TIME})
_OPERATION = closed(
    {
        "uuid": TEXT,
        "verb": TEXT,
        "state": TEXT,
        "created_at": TIME,
        "updated_at": TIME,
        "finished_at": TIME,
        "error": ANY_TEXT,
        "progress": {**_PROGRESS, "type": ["object", "null"]},
        "steps": {"type": "array", "items": _STEP},
    }
)
_OPERATIONS = closed({"operations": {"type": "array", "items": _OPERATION}})


@takes(query={"limit": 1}, reply=_OPERATIONS)
def index(call: Call, ident: str) -> Reply:
    """List what is and was being done to a node, newest first."""
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
