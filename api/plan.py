"""What a verb would do to a node, and what would refuse it, before it is asked for. Our own
addition; nothing changes by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api import nodes, provision
from api.call import Call, Reply
from api.endpoint import takes
from api.fields import BOOLEAN, OBJECT, TEXT, TEXT_OR_NULL, TEXTS, closed
from drophammer.errors import Invalid
from drophammer.masking import mask
from drophammer.states import VERBS

_SECONDS = {"type": ["number", "null"]}
_SPENT = {"last_seconds": _SECONDS, "mean_seconds": _SECONDS, "runs": {"type": "integer"}}
_STEP = closed(
    {
        "interface": TEXT,
        "step": TEXT,
        "source": {
            "enum": ["agent", "conductor", "driver", "runbook", "template", "user"],
        },
        "source_name": TEXT_OR_NULL,
        "priority": {"type": "integer"},
        "abortable": BOOLEAN,
        "args": OBJECT,
        "argsinfo": OBJECT,
        "destroys": TEXT_OR_NULL,
        "discovered_later": BOOLEAN,
        **_SPENT,
    }
)
_STEPS = {"type": "array", "items": _STEP}
_REFUSAL = closed({"reason": TEXT, "message": {"type": "string"}}, required=("reason", "message"))
_PLAN = closed(
    {
        "node": TEXT,
        "target": TEXT,
        "possible": BOOLEAN,
        "flow": TEXT_OR_NULL,
        "steps": _STEPS,
        "discovered_later": BOOLEAN,
        "destroys": TEXTS,
        "refusals": {"type": "array", "items": _REFUSAL},
        "on_offer": {**_STEPS, "type": ["array", "null"]},
        **_SPENT,
    }
)


@takes(query={"target": 1, "runbook": provision.RUNBOOK_SINCE}, reply=_PLAN)
def show(call: Call, ident: str) -> Reply:
    """Tell which steps a verb would run, what they destroy, and what would refuse it."""
    target = _target(call)
    row = nodes.find(call, ident, ())
    request: dict[str, Any] = {}
    refusal = None
    if (runbook := call.query.text("runbook")) is not None:
        asked = {"runbook": runbook}
        provision.check_runbook(target, asked, call.version)
        request, refusal = provision.runbook_steps(call, row, target, asked)
    plan = call.conductor("plan", node_id=row["id"], target=target, request=request)
    refusals = [*plan["refusals"]]
    if refusal is not None:
        refusals.append({"reason": "runbook", "message": refusal})
    offers = plan["on_offer"]
    return Reply(
        body={
            "node": row["uuid"],
            "target": target,
            "possible": not refusals,
            **plan,
            "refusals": refusals,
            "steps": [_step(step) for step in plan["steps"]],
            "on_offer": None if offers is None else [_step(step) for step in offers],
        }
    )


def _target(call: Call) -> str:
    target = call.query.text("target")
    if not target:
        raise Invalid(f"Missing mandatory parameter: target, one of {', '.join(VERBS)}.")
    if target not in VERBS:
        raise Invalid(f"target: {target[:80]!r} is no verb; these are: {', '.join(VERBS)}.")
    return target


def _step(step: Mapping[str, Any]) -> dict[str, Any]:
    return {**step, "args": mask(step["args"])}
