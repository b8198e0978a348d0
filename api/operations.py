"""What is and was being done to a node, step by step. Our own addition.

Arguments of steps are not shown, nor what a step noted for itself: they may hold secrets
and are nobody's business but the conductor's.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from api import lease, nodes
from api.call import Call, Reply
from api.endpoint import takes
from api.fields import ANY_TEXT, OBJECT, TEXT, TEXT_OR_NULL, TIME, closed
from api.view import time
from drophammer import operations
from drophammer.masking import mask
from drophammer.model import Operation, Step

DEFAULT_LIMIT = 10
_COUNT = {"type": ["integer", "null"]}
_SECONDS = {"type": ["number", "null"]}
_STEP = closed(
    {
        "position": {"type": "integer"},
        "interface": TEXT,
        "step": TEXT,
        "priority": {"type": "integer"},
        "source": TEXT,
        "abortable": {"type": "boolean"},
        "state": TEXT,
        "started_at": TIME,
        "finished_at": TIME,
        "seconds": _SECONDS,
        "reached": {"type": "array", "items": TEXT},
        "result": OBJECT,
        "error": ANY_TEXT,
    }
)
_PROGRESS = closed({"done": _COUNT, "total": _COUNT, "message": ANY_TEXT, "at": TIME})
_OPERATION = closed(
    {
        "uuid": TEXT,
        "verb": TEXT,
        "flow": TEXT,
        "state": TEXT,
        "user": TEXT_OR_NULL,
        "request_id": TEXT_OR_NULL,
        "runbook": TEXT_OR_NULL,
        "abort_requested": {"type": "boolean"},
        "created_at": TIME,
        "updated_at": TIME,
        "finished_at": TIME,
        "seconds": _SECONDS,
        "error": ANY_TEXT,
        "progress": {**_PROGRESS, "type": ["object", "null"]},
        "position": _COUNT,
        "deadline": TIME,
        "lease": lease.LEASE_OR_NULL,
        "steps": {"type": "array", "items": _STEP},
    }
)
_OPERATIONS = closed(
    {"operations": {"type": "array", "items": _OPERATION}, "next": {"type": "string"}},
    required=("operations",),
)
_NODE = lease.COLUMNS | {"operation_id", "deadline"}


@takes(query={"limit": 1, "marker": 1}, reply=_OPERATIONS)
def index(call: Call, ident: str) -> Reply:
    """List what is and was being done to a node, newest first, step by step."""
    query = call.query
    limit = min(query.integer("limit", least=1) or DEFAULT_LIMIT, call.settings.max_limit)
    marker = query.uuid("marker")
    node = nodes.find(call, ident, _NODE)
    with call.store.read() as session:
        found = operations.of_node(session, node["id"], limit, marker)
        steps = operations.steps_of(session, [entry.id for entry in found])
    now = call.store.clock.now()
    of: dict[int, list[dict[str, Any]]] = {entry.id: [] for entry in found}
    for step in steps:
        of[step.operation_id].append(_step(step, now))
    body: dict[str, Any] = {
        "operations": [
            {**_operation(entry, now), **_present(call, entry, node), "steps": of[entry.id]}
            for entry in found
        ]
    }
    if len(found) == limit:
        following = query.encoded(limit=str(limit), marker=found[-1].uuid)
        body["next"] = f"{call.base}{call.path}?{following}"
    return Reply(body=body)


def _operation(entry: Operation, now: datetime.datetime) -> dict[str, Any]:
    return {
        "uuid": entry.uuid,
        "verb": entry.verb,
        "flow": entry.flow,
        "state": entry.state,
        "user": entry.request.get("user"),
        "request_id": entry.request.get("request_id"),
        "runbook": entry.request.get("runbook_name"),
        "abort_requested": entry.abort_requested,
        "created_at": time(entry.created_at),
        "updated_at": time(entry.updated_at),
        "finished_at": time(entry.finished_at),
        "seconds": _seconds(entry.created_at, entry.finished_at, now),
        "error": entry.error,
        "progress": _progress(entry),
    }


def _present(call: Call, entry: Operation, node: Mapping[str, Any]) -> dict[str, Any]:
    """What only an operation has that is under way: its place, its deadline, its worker."""
    if entry.finished_at is not None or entry.id != node["operation_id"]:
        return {"position": None, "deadline": None, "lease": None}
    return {
        "position": entry.position,
        "deadline": time(node["deadline"]),
        "lease": lease.shown(call, node),
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


def _step(step: Step, now: datetime.datetime) -> dict[str, Any]:
    return {
        "position": step.position,
        "interface": step.interface,
        "step": step.step,
        "priority": step.priority,
        "source": step.source,
        "abortable": step.abortable,
        "state": step.state,
        "started_at": time(step.started_at),
        "finished_at": time(step.finished_at),
        "seconds": _seconds(step.started_at, step.finished_at, now),
        "reached": _reached(step.cursor),
        "result": mask(step.result),
        "error": step.error,
    }


def _reached(cursor: Mapping[str, Any]) -> list[str]:
    """What a step that is under way has noted: the conductor's words, none of their values."""
    stage = cursor.get("stage")
    names = [name.replace("_", " ") for name in cursor if name != "stage"]
    return [stage, *names] if isinstance(stage, str) else names


def _seconds(
    started: datetime.datetime | None, ended: datetime.datetime | None, now: datetime.datetime
) -> float | None:
    """How long it has taken, so far or in all; None when it has not begun."""
    if started is None:
        return None
    return round(max(0.0, ((ended or now) - started).total_seconds()), 3)
