"""Whether a verb may be performed on a node as it is: the state machine's answer first, then
maintenance, protection and retirement. What hardware and lease have to say is not here.
"""

from __future__ import annotations

from collections.abc import Iterator

from drophammer import states
from drophammer.errors import DrophammerError, Forbidden, InMaintenance, Invalid, InvalidState
from drophammer.model import Node

_NOT_IN_MAINTENANCE = ("deploy", "rebuild", "clean", "rescue", "unrescue", "service")


def may(node: Node, target: str) -> None:
    """Raise the first thing that refuses the verb."""
    for _, refusal in refusals(node, target):
        raise refusal


def refusals(node: Node, target: str) -> Iterator[tuple[str, DrophammerError]]:
    """All that refuses it: what kind of reason, and the error."""
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
    if node.maintenance and event in _NOT_IN_MAINTENANCE:
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
