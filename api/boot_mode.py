"""How a node's firmware starts systems: UEFI or BIOS, with secure boot or without."""

from __future__ import annotations

from api import nodes
from api.call import Call, Reply
from api.endpoint import takes
from api.fields import closed
from api.flags import YES_OR_NO, flag
from api.states import accepted
from drophammer import states
from drophammer.errors import Conflict

_BOOT_MODE = closed({"target": {"enum": ["uefi", "bios"]}}, required=("target",))
_SECURE_BOOT = closed({"target": YES_OR_NO}, required=("target",))


@takes(body=_BOOT_MODE, status=202)
def set_boot_mode(call: Call, ident: str) -> Reply:
    """Set a node's boot mode."""
    mode = call.body()["target"]
    call.conductor_when_free("set_boot_mode", node_id=_resting(call, ident, "boot mode"), mode=mode)
    return accepted(call, ident, "states")


@takes(body=_SECURE_BOOT, status=202)
def set_secure_boot(call: Call, ident: str) -> Reply:
    """Switch a node's secure boot on or off."""
    on = flag(call.body(), "target")
    call.conductor_when_free("set_secure_boot", node_id=_resting(call, ident, "secure boot"), on=on)
    return accepted(call, ident, "states")


def _resting(call: Call, ident: str, what: str) -> int:
    """The id of a node that nothing is being done to. Raises Conflict for another."""
    row = nodes.find(call, ident, {"provision_state"})
    state = row["provision_state"]
    if not states.is_resting(state):
        raise Conflict(
            f"The {what} of node {row['uuid']} cannot change while it is in state '{state}'; "
            "wait until that is over."
        )
    return int(row["id"])
