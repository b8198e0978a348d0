"""A node's states at a glance, and changes of its power state."""

from __future__ import annotations

from api import nodes, schemas
from api.call import Call, Reply
from api.endpoint import takes
from api.fields import closed
from api.node_fields import NODE
from api.view import Shown
from drophammer import states
from drophammer.errors import Conflict, Invalid, NotAcceptable

# Target to the first version that has it.
POWER_TARGETS = {
    "power on": 1,
    "power off": 1,
    "rebooting": 1,
    "soft power off": 27,
    "soft rebooting": 27,
}
TIMEOUT_SINCE = 27
_POWER = closed(
    {
        "target": schemas.one_of(POWER_TARGETS),
        "timeout": {"type": ["integer", "null"], "minimum": 1, "maximum": 2**31 - 1},
    },
    required=("target",),
)
_POWERING_OFF = frozenset({"power off", "soft power off"})
_SHOWN = (
    "console_enabled",
    "last_error",
    "power_state",
    "provision_state",
    "target_power_state",
    "target_provision_state",
    "provision_updated_at",
    "raid_config",
    "target_raid_config",
    "boot_mode",
    "secure_boot",
)


@takes(reply=schemas.part(NODE, _SHOWN))
def show(call: Call, ident: str) -> Reply:
    """Show the states of a node at a glance."""
    known = (NODE.fields[name] for name in _SHOWN)
    fields = Shown(entry for entry in known if entry.since <= call.version)
    return Reply(body=call.view().show(nodes.find(call, ident, fields.columns), fields))


@takes(body=schemas.gated(_POWER, {"timeout": TIMEOUT_SINCE}), status=202)
def set_power(call: Call, ident: str) -> Reply:
    """Change a node's power state."""
    body = call.body()
    target, timeout = body["target"], body.get("timeout")
    if target not in POWER_TARGETS:
        raise Invalid(
            f"The power state {target[:80]!r} cannot be asked for; these can: "
            f"{', '.join(POWER_TARGETS)}."
        )
    if POWER_TARGETS[target] > call.version:
        raise NotAcceptable(f"'{target}' needs API version 1.{POWER_TARGETS[target]}.")
    if timeout is not None and call.version < TIMEOUT_SINCE:
        raise NotAcceptable(f"timeout needs API version 1.{TIMEOUT_SINCE}.")
    row = nodes.find(call, ident, {"provision_state", "disable_power_off"})
    if row["provision_state"] in (states.CLEANING, states.CLEAN_WAIT):
        raise Invalid(
            f"The requested action '{target}' cannot be performed on node {row['uuid']} while it "
            f"is in state '{row['provision_state']}'."
        )
    if row["disable_power_off"] and target in _POWERING_OFF:
        raise Conflict(f"Node {row['uuid']} must not be powered off (disable_power_off is set).")
    call.conductor_when_free(
        "power", node_id=row["id"], target=target, timeout=timeout, user=call.user
    )
    return accepted(call, ident, "states")


def accepted(call: Call, ident: str, *below: str) -> Reply:
    """202: it is under way; look there for what comes of it."""
    return Reply(202, headers={"Location": "/".join((f"{call.base}/v1/nodes/{ident}", *below))})
