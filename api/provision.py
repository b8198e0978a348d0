"""Verbs: ``PUT /v1/nodes/{ident}/states/provision``.

Checks what can be known from the request and the node's row, in the order that
clients rely on; everything that concerns the hardware is the conductor's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from api import nodes
from api.call import Call, Reply
from api.endpoint import takes
from api.fields import closed
from api.names import check_ident
from api.schemas import gated, one_of
from api.states import accepted
from api.versions import text as version_text
from drophammer import states, traits
from drophammer.errors import InMaintenance, Invalid, InvalidState, NotAcceptable
from drophammer.nodes import LEASE_COLUMNS, check_free
from drophammer.runbooks import RUNBOOKS
from drophammer.states import ABORT_SINCE, VERBS

# The version of these verbs is looked at only after the state, as clients expect.
_LATE_VERSIONS = frozenset({"unhold", "service"})
# "undeploy" was always taken, whatever its number in the documents.
_NO_VERSION = frozenset({"undeploy"})
_DEPLOYING = frozenset({"active", "deploy", "rebuild"})
_DISABLE_RAMDISK_SINCE = {"clean": 70, "service": 108}
_STEPS_SINCE = {"clean_steps": 15, "service_steps": 87, "deploy_steps": 69}
_STEPS_FOR: dict[str, frozenset[str]] = {
    "clean_steps": frozenset({"clean"}),
    "service_steps": frozenset({"service"}),
    "deploy_steps": _DEPLOYING,
}
# The verbs that are nothing without steps, and where these stand.
_STEPS_OF = {"clean": "clean_steps", "service": "service_steps"}
_RUNBOOK = frozenset({"name", "steps", "traits", "disable_ramdisk"})
RUNBOOK_SINCE = 92
CONFIGDRIVE_REBUILD_SINCE = 35
CONFIGDRIVE_OBJECT_SINCE = 56
VENDOR_DATA_SINCE = 59
_SINCE = {
    **_STEPS_SINCE,
    "disable_ramdisk": min(_DISABLE_RAMDISK_SINCE.values()),
    "runbook": RUNBOOK_SINCE,
}
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_FORBIDDEN_STEPS = frozenset({("vendor", "send_raw")})
_ROW = LEASE_COLUMNS | {"provision_state", "maintenance"}

_INTERFACE = {
    "enum": ["vendor", "power", "management", "firmware", "deploy", "bios", "raid"],
}
_NAME = {"type": "string", "minLength": 1, "maxLength": 255}
_STEP = {
    "type": "object",
    "properties": {
        "interface": _INTERFACE,
        "step": _NAME,
        "args": {"type": "object"},
        "order": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
        "execute_on_child_nodes": {"type": "boolean"},
        "limit_child_node_execution": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["interface", "step"],
    "additionalProperties": False,
}
_DEPLOY_STEP = {
    "type": "object",
    "properties": {
        "interface": _INTERFACE,
        "step": _NAME,
        "args": {"type": "object"},
        "priority": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
    },
    "required": ["interface", "step", "args", "priority"],
    "additionalProperties": False,
}
_CONFIGDRIVE = {
    "type": ["string", "object", "null"],
    "properties": {
        "meta_data": {"type": "object"},
        "network_data": {"type": "object"},
        "user_data": {"type": ["object", "array", "string", "null"]},
        "vendor_data": {"type": "object"},
    },
    "additionalProperties": False,
}
_BODY = closed(
    {
        "target": one_of({word: verb.since for word, verb in VERBS.items()}),
        "configdrive": gated(_CONFIGDRIVE, {"vendor_data": VENDOR_DATA_SINCE}),
        "clean_steps": {"type": ["array", "null"], "items": _STEP},
        "service_steps": {"type": ["array", "null"], "items": _STEP},
        "deploy_steps": {"type": ["array", "null"], "items": _DEPLOY_STEP},
        "rescue_password": {"type": ["string", "null"], "maxLength": 255},
        "disable_ramdisk": {"type": ["boolean", "null"]},
        "runbook": {"type": ["string", "null"]},
    },
    required=("target",),
)


@takes(body=gated(_BODY, _SINCE), limit="max_json_body_size_provision", status=202)
def provision(call: Call, ident: str) -> Reply:
    """Move a node along its life: a verb such as manage, provide or active."""
    body = call.body()
    target = body["target"]
    if target not in VERBS:
        raise Invalid(f"{target[:80]!r} is no verb; these are: {', '.join(VERBS)}.")
    if target not in _LATE_VERSIONS:
        _check_version(target, call.version)
    row = nodes.find(call, ident, _ROW)
    if row["maintenance"] and target in _DEPLOYING:
        raise InMaintenance(
            f"Node {row['uuid']} is in maintenance; '{target}' is refused until it is unset."
        )
    _check_state(call, row, target)
    _check_version(target, call.version)
    request = checked_request(body, call.version)
    if "runbook" in request:
        found, refusal = runbook_steps(call, row, target, request)
        if refusal is not None:
            raise Invalid(refusal)
        request.update(found)
    call.conductor_when_free(
        "provision",
        node_id=row["id"],
        target=target,
        request={**request, "user": call.user, "request_id": call.request_id},
    )
    return accepted(call, ident, "states")


def checked_request(body: Mapping[str, Any], version: int) -> dict[str, Any]:
    """What goes with the verb, without nulls. Raises Invalid or NotAcceptable."""
    request = {key: value for key, value in body.items() if key != "target" and value is not None}
    target = body["target"]
    _check_configdrive(target, request.get("configdrive"), version)
    check_runbook(target, request, version)
    _check_disable_ramdisk(target, request, version)
    _check_steps(target, request, version)
    _check_rescue_password(target, request)
    return request


def _check_version(target: str, version: int) -> None:
    since = VERBS[target].since
    if since > version and target not in _NO_VERSION:
        raise NotAcceptable(
            f"The verb '{target}' needs API version {version_text(since)}; the request speaks "
            f"{version_text(version)}."
        )


def _check_state(call: Call, row: Mapping[str, Any], target: str) -> None:
    state = row["provision_state"]
    if not states.verb_allowed(target, state):
        # Something is being done to it: what is possible afterwards is not known yet.
        check_free(row, call.store.clock.now())
        raise InvalidState(
            f'The requested action "{target}" cannot be performed on node "{row["uuid"]}" while '
            f'it is in state "{state}". Possible from there: '
            f"{', '.join(states.verbs_from(state)) or 'nothing'}."
        )
    since = ABORT_SINCE.get(state, 0)
    if target == "abort" and since > call.version:
        raise NotAcceptable(f"'abort' in state '{state}' needs API version {version_text(since)}.")


def _check_configdrive(target: str, configdrive: Any, version: int) -> None:
    if not configdrive:
        return
    if target == "rebuild" and version < CONFIGDRIVE_REBUILD_SINCE:
        raise Invalid("A config drive with 'rebuild' needs API version 1.35.")
    if target not in ("active", "rebuild"):
        raise Invalid(f"A config drive is possible with 'active' and 'rebuild', not '{target}'.")
    if isinstance(configdrive, str):
        _check_configdrive_text(configdrive)
        return
    if version < CONFIGDRIVE_OBJECT_SINCE:
        raise Invalid("A config drive as an object needs API version 1.56.")
    if "vendor_data" in configdrive and version < VENDOR_DATA_SINCE:
        raise Invalid("vendor_data in a config drive needs API version 1.59.")


def _check_configdrive_text(configdrive: str) -> None:
    """Raise Invalid for a text that is neither a URL nor base64, before anything is started."""
    if "://" in configdrive:
        try:
            parts = urlsplit(configdrive)
            usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise Invalid("configdrive: not an http:// or https:// URL.")
        return
    digits = "".join(configdrive.split())
    if not digits or len(digits) % 4 or not _BASE64.fullmatch(digits):
        raise Invalid("configdrive: neither an http(s) URL nor base64 (in groups of four digits).")


def check_runbook(target: str, request: Mapping[str, Any], version: int) -> None:
    """Raise Invalid or NotAcceptable for a runbook that cannot go with the verb."""
    if "runbook" not in request:
        return
    if version < RUNBOOK_SINCE:
        raise NotAcceptable("runbook needs API version 1.92.")
    if target not in _STEPS_OF:
        raise Invalid(f"A runbook is possible with {', '.join(_STEPS_OF)}, not with '{target}'.")
    if any(name in request for name in _STEPS_FOR):
        raise Invalid("Give either a runbook or steps, not both.")


def runbook_steps(
    call: Call, row: Mapping[str, Any], target: str, request: Mapping[str, Any]
) -> tuple[dict[str, Any], str | None]:
    """What a runbook stands for in a request, and why it is not for this node, if so.

    Raises NotFound, and Invalid for a step that nobody may ask for.
    """
    ident = request["runbook"]
    check_ident(ident, "runbook")
    with call.store.read() as session:
        book = RUNBOOKS.find(session, ident, _RUNBOOK)
        present = traits.of_node(session, row["id"])
    refusal = None
    if not set(book["traits"]) & set(present):
        refusal = (
            f"Runbook {book['name']} is not meant for node {row['uuid']}: the node has none of "
            f"its traits ({', '.join(book['traits']) or 'it has none'})."
        )
    steps = sorted(book["steps"], key=lambda step: int(step["order"]))
    _check_allowed(steps)
    return {
        _STEPS_OF[target]: steps,
        "disable_ramdisk": bool(request.get("disable_ramdisk") or book["disable_ramdisk"]),
        "runbook": book["uuid"],
        "runbook_name": book["name"],
    }, refusal


def _check_disable_ramdisk(target: str, request: Mapping[str, Any], version: int) -> None:
    if "disable_ramdisk" not in request:
        return
    since = _DISABLE_RAMDISK_SINCE.get(target)
    if since is None:
        raise Invalid(f"disable_ramdisk is possible with clean and service, not with '{target}'.")
    if version < since:
        raise NotAcceptable(
            f"disable_ramdisk with '{target}' needs API version {version_text(since)}."
        )


def _check_steps(target: str, request: Mapping[str, Any], version: int) -> None:
    for name, targets in _STEPS_FOR.items():
        if name not in request:
            continue
        if version < _STEPS_SINCE[name]:
            raise NotAcceptable(f"{name} needs API version {version_text(_STEPS_SINCE[name])}.")
        if target not in targets:
            raise Invalid(f"{name} is possible with {', '.join(sorted(targets))}, not '{target}'.")
        _check_allowed(request[name])
    needed = _STEPS_OF.get(target)
    if needed and "runbook" not in request and not request.get(needed):
        raise Invalid(f"{needed} must be given with '{target}' and name at least one step.")


def _check_allowed(steps: Iterable[Mapping[str, Any]]) -> None:
    for step in steps:
        if (step["interface"], step["step"]) in _FORBIDDEN_STEPS:
            raise Invalid(f"The step {step['interface']}.{step['step']} is not allowed.")


def _check_rescue_password(target: str, request: Mapping[str, Any]) -> None:
    password = request.get("rescue_password")
    if target == "rescue" and not (password or "").strip():
        raise Invalid("rescue_password must be given with 'rescue' and must not be blank.")
    if target != "rescue" and password is not None:
        raise Invalid(f"rescue_password is possible with 'rescue', not '{target}'.")
