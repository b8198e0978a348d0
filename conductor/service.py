"""What a conductor does when it is called over the bus: a method per question or verb.

A verb is checked, its operation written and the node taken before the call
returns; the work itself goes to a worker thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import bindparam, select

from conductor import configdrive, rescuing
from conductor.begin import Check, begin, once
from conductor.calls.access import NodeCalls
from conductor.flows import Runner
from conductor.nudges import Nudges
from conductor.permits import may
from conductor.plans import FLOW_OF_VERB
from conductor.task import Task, tell_transition
from conductor.toolbox import Toolbox
from conductor.transitions import transition
from conductor.workers import Workers
from drophammer import direct, purposes, states
from drophammer.errors import (
    Conflict,
    Invalid,
    NotFound,
)
from drophammer.model import Node, Operation

_STATE = select(Node.__table__.c.provision_state).where(Node.__table__.c.id == bindparam("of"))
_POWER_TARGETS = (
    "power on",
    "power off",
    "rebooting",
    "soft power off",
    "soft rebooting",
)


class Service(NodeCalls):
    """The verbs, and what the API passes on from ramdisks."""

    def __init__(self, box: Toolbox, workers: Workers, runner: Runner) -> None:
        super().__init__(box, workers, runner)
        # For who calls from the same process; nothing that could be called.
        self.load = workers
        self._nudges = Nudges(box, workers, runner)

    def provision(self, node_id: int, target: str, request: dict[str, Any]) -> None:
        """Start, or at once do, the provision verb ``target``.

        Raises InvalidState, InMaintenance, Forbidden, Invalid, Unsupported,
        NodeLocked or Unavailable, and then nothing has changed.
        """
        with once(self._box):
            self._provision(node_id, target, request)

    def _provision(self, node_id: int, target: str, request: dict[str, Any]) -> None:
        verb = states.VERBS.get(target)
        if verb is None:
            raise Invalid(f"There is no provision verb {target!r}.")
        if verb.event == "abort":
            self._abort(node_id, request)
            return
        if verb.event == "unhold":
            self._unhold(node_id)
            return
        if verb.event == "manage" and self._just_manage(node_id):
            return
        self._workers.admit()
        drive = request.pop("configdrive", None)
        password = request.pop("rescue_password", None)
        hashed = rescuing.hashed(password or "") if verb.event == "rescue" else ""

        def check(node: Node) -> dict[str, Any]:
            self._may(node, target)
            if verb.event == "rescue":
                return rescuing.with_password(node, password, hashed)
            if verb.event in ("deploy", "rebuild"):
                return _with_configdrive(node, drive)
            return {}

        self._begin(node_id, target, FLOW_OF_VERB[target], verb.event, request, check)

    def power(
        self, node_id: int, target: str, timeout: float | None = None, user: str | None = None
    ) -> None:
        """Start reaching a power state: one of "power on", "power off", "rebooting", soft ones."""
        if target not in _POWER_TARGETS:
            raise Invalid(f"{target!r} is not a power target; use {', '.join(_POWER_TARGETS)}.")
        self._workers.admit()

        def check(node: Node) -> dict[str, Any]:
            if not states.is_resting(node.provision_state):
                raise Conflict(
                    f"Node {node.uuid} is in state '{node.provision_state}': its power is being "
                    "managed by the operation that is under way. Abort that first."
                )
            if node.disable_power_off and target != states.POWER_ON:
                raise Conflict(f"Node {node.uuid} has power off disabled (disable_power_off).")
            off = target.endswith("power off")
            return {"target_power_state": states.POWER_OFF if off else states.POWER_ON}

        request = {"target": target, "timeout": timeout, "user": user}
        with once(self._box):
            self._begin(node_id, target, "power", None, request, check)

    def heartbeat(self, node_id: int) -> None:
        """The node's agent has spoken: see whether that brings its operation on."""
        self._nudges.heard(node_id)

    def heartbeats(self, node_ids: list[int]) -> None:
        """The agents of several nodes have spoken."""
        for node_id in node_ids:
            self._nudges.heard(node_id)

    def inspected(self, node_id: int) -> None:
        """The node's inventory has arrived."""
        self._take_up(node_id, purposes.INSPECTION_DATA)

    def go_on(self, node_id: int) -> None:
        """The node's lease was taken from its holder: somebody is to go on with its operation."""
        self._take_up(node_id, purposes.GOING_ON)

    # Details

    def _begin(
        self,
        node_id: int,
        verb: str,
        flow: str,
        event: str | None,
        request: dict[str, Any],
        check: Check,
    ) -> None:
        self._runner.start(
            begin(
                self._box,
                node_id,
                verb=verb,
                flow=flow,
                event=event,
                request=request,
                check=check,
                unsure=self._runner.give_back_later,
            )
        )

    def _just_manage(self, node_id: int) -> bool:
        """``manage`` needs no work but from enroll; it then keeps the old last_error."""
        store = self._box.store
        with store.ask() as connection:
            found = direct.rows(connection, _STATE, {"of": node_id})
        if not found:
            raise NotFound("The node could not be found; it has been deleted meanwhile.")
        state = str(found[0]["provision_state"])
        if not states.verb_allowed("manage", state):
            with store.read() as session:
                # Said whoever holds it.
                self._may(session.get_one(Node, node_id), "manage")
        if not states.is_resting(states.next_state(state, "manage")):
            return False
        with store.write() as session:
            lease, node = store.reserve_node(session, node_id, self._box.holder, "manage")
            self._may(node, "manage")
            change = transition(node, "manage", store.clock.now())
            task = Task(self._box, lease, node, Operation())
            tell_transition(task, session, "manage", change["provision_state"])
            store.release(session, lease, {**change, "target_provision_state": None})
        task.know({**change, "target_provision_state": None})
        task.log("manage")
        return True

    def _unhold(self, node_id: int) -> None:
        """Let an operation go on that is held for the operator."""
        self._go_on(node_id, "unhold", lambda taken: taken.fire("unhold"))

    def _abort(self, node_id: int, request: dict[str, Any]) -> None:
        """End the operation: now when it waits at an abortable step, else after that step."""
        node, _ = self._driver(node_id)
        if node.provision_state == states.SERVICE_FAILED:
            self._workers.admit()
            self._begin(node_id, "abort", "restore", None, request, self._may_restore)
        else:
            # Written down first: the answer is a promise, whatever becomes of this process.
            user = request.get("user")
            self._go_on(node_id, "abort", lambda taken: taken.request_abort(user))

    def _go_on(self, node_id: int, verb: str, change: Callable[[Task], None]) -> None:
        """Take the node with the operation that ``verb`` is about, and let that feel it."""
        node, _ = self._driver(node_id)
        self._may(node, verb)
        self._workers.admit()
        taken = Task.resume(self._box, node_id, verb)
        if taken is None:
            raise Conflict(f"Node {node.uuid} has no operation to which '{verb}' could apply.")
        try:
            self._may(taken.node, verb)
            if not taken.ending:  # Then it is to end already, for a reason of its own.
                change(taken)
        except Exception:
            self._runner.give_back(taken)
            raise
        self._runner.start(taken)

    def _may(self, node: Node, verb: str) -> None:
        """Raise what refuses the verb on the node as it is."""
        allowed = self._box.settings.allow_provisioning_in_maintenance
        may(node, verb, in_maintenance=allowed)

    def _may_restore(self, node: Node) -> dict[str, Any]:
        """A failed service is left behind only where the operator does not keep the node."""
        self._may(node, "abort")
        if node.maintenance:
            reason = node.maintenance_reason or "no reason given"
            raise Conflict(
                f"Node {node.uuid} is in maintenance ({reason}); unset that before its service "
                "is aborted."
            )
        return {}


def _with_configdrive(node: Node, given: Any) -> dict[str, Any]:
    """The columns that keep the config drive with the node until its system is given up."""
    if given is None:
        return {}
    drive = configdrive.complete(given, node) if isinstance(given, dict) else given
    return {"instance_info": {**node.instance_info, "configdrive": drive}}
