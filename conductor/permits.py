"""Whether a verb may be performed on a node as it is: the state machine's answer first, then
maintenance, protection and retirement. What hardware and lease have to say is not here.
"""

from __future__ import annotations

from collections.abc import Iterator

from drophammer import states
from drophammer.errors import DrophammerError, Forbidden, InMaintenance, Invalid, InvalidState
from drophammer.model import Node

_NOT_IN_MAINTENANCE = ("deploy", "rebuild", "clean", "rescue", "unrescue", "service")
# Nor these, where [conductor] allow_provisioning_in_maintenance is off. What ends work, and
# what takes a node back into the operator's hands, is possible always.
_WORK = ("provide", "delete", "inspect", "adopt")


def may(node: Node, target: str, *, in_maintenance: bool) -> None:
    """Raise the first thing that refuses the verb."""
    for _, refusal in refusals(node, target, in_maintenance=in_maintenance):
        raise refusal


def refusals(
    node: Node, target: str, *, in_maintenance: bool
) -> Iterator[tuple[str, DrophammerError]]:
    """All that refuses it: what kind of reason, and the error.

    ``in_maintenance``: whether nodes in maintenance may be provisioned, as far as that ever is.
    """
    if not states.verb_allowed(target, node.provision_state):
        possible = ", ".join(states.verbs_from(node.provision_state)) or "none; wait for it to end"
        yield (
            "state",
            InvalidState(
                f'The requested action "{target}" can not be performed on node "{node.uuid}" '
                f'while it is in state "{node.provision_state}". Possible from here: {possible}.'
            ),
        )
    event = states.VERBS[target].event
    barred = _NOT_IN_MAINTENANCE if in_maintenance else (*_NOT_IN_MAINTENANCE, *_WORK)
    if node.maintenance and event in barred:
        yield (
            "maintenance",
            InMaintenance(
                f"The {target} action can not be performed on node {node.uuid} because it is in "
                f"maintenance: {node.maintenance_reason or 'no reason was given'}."
            ),
        )
    if node.protected and event in ("delete", "rebuild"):
        yield (
            "protected",
            Forbidden(
                f"Node {node.uuid} is protected and cannot be undeployed, rebuilt or deleted: "
                f"{node.protected_reason or 'no reason was given'}."
            ),
        )
    if node.retired and event == "provide":
        yield (
            "retired",
            Invalid(f"Node {node.uuid} is retired and cannot be made available."),
        )
