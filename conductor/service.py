"""What a conductor does when it is called over the bus: a method per question or verb.

A verb is checked, its operation written and the node taken before the call
returns; the work itself goes to a worker thread.
"""

from __future__ import annotations

from typing import Any

from conductor import configdrive, task
from conductor.bootmode import boot_mode
from conductor.drivers.registry import Driver
from conductor.flows import FLOW_OF_VERB, FLOWS, Runner
from conductor.task import Task
from conductor.toolbox import Toolbox
from conductor.workers import Workers
from drophammer import operations, states
from drophammer.errors import (
    Conflict,
    DrophammerError,
    Forbidden,
    InMaintenance,
    Invalid,
    InvalidState,
    NotFound,
    Unsupported,
)
from drophammer.model import INTERFACES, Node, Operation

_NOT_IN_MAINTENANCE = ("deploy", "rebuild")
_POWER_TARGETS = (
    "power on",
    "power off",
    "rebooting",
    "soft power off",
    "soft rebooting",
)


class Service:
    """The bus endpoint of topic "conductor". Node ids are the store's, not UUIDs."""

    def __init__(self, box: Toolbox, workers: Workers, runner: Runner) -> None:
        self._box = box
        self._workers = workers
        self._runner = runner

    # Verbs

    def provision(self, node_id: int, target: str, request: dict[str, Any]) -> None:
        """Start, or at once do, the provision verb ``target``.

        Raises InvalidState, InMaintenance, Forbidden, Invalid, Unsupported,
        NodeLocked or Unavailable, and then nothing has changed.
        """
        verb = states.VERBS.get(target)
        if verb is None:
            raise Invalid(f"There is no provision verb {target!r}.")
        if verb.event == "abort":
            self._abort(node_id)
            return
        if verb.event == "manage" and self._just_manage(node_id):
            return
        flow = FLOW_OF_VERB.get(target)
        if flow is None:
            raise Unsupported(
                f"The verb '{target}' is not available in this version of Drophammer."
            )
        if request.get("deploy_steps"):
            raise Unsupported("deploy_steps are not available in this version of Drophammer.")
        self._workers.admit()
        configdrive_given = request.pop("configdrive", None)

        def check(node: Node) -> None:
            _may(node, target)
            if verb.event in ("deploy", "rebuild"):
                _take_configdrive(node, configdrive_given)

        started = task.begin(
            self._box,
            node_id,
            verb=target,
            flow=flow,
            event=verb.event,
            request=request,
            plan=FLOWS[flow].plan,
            check=check,
        )
        self._runner.start(started)

    def power(self, node_id: int, target: str, timeout: float | None = None) -> None:
        """Start reaching a power state: one of "power on", "power off", "rebooting", soft ones."""
        if target not in _POWER_TARGETS:
            raise Invalid(f"{target!r} is not a power target; use {', '.join(_POWER_TARGETS)}.")
        self._workers.admit()

        def check(node: Node) -> None:
            if not states.is_resting(node.provision_state):
                raise Conflict(
                    f"Node {node.uuid} is in state '{node.provision_state}': its power is being "
                    "managed by the operation that is under way. Abort that first."
                )
            if node.disable_power_off and target != states.POWER_ON:
                raise Conflict(f"Node {node.uuid} has power off disabled (disable_power_off).")
            node.target_power_state = (
                states.POWER_OFF if target.endswith("power off") else states.POWER_ON
            )

        started = task.begin(
            self._box,
            node_id,
            verb=target,
            flow="power",
            event=None,
            request={"target": target, "timeout": timeout},
            plan=FLOWS["power"].plan,
            check=check,
        )
        self._runner.start(started)

    def heartbeat(self, node_id: int) -> None:
        """The node's agent has spoken: see whether that brings its operation on."""
        self._runner.nudge(lambda: Task.resume(self._box, node_id, "heartbeat", gently=True))

    def inspected(self, node_id: int) -> None:
        """The node's inventory has arrived."""
        self._runner.nudge(lambda: Task.resume(self._box, node_id, "inspection data", gently=True))

    # Questions

    def validate(self, node_id: int) -> dict[str, dict[str, Any]]:
        """Per interface kind (all but vendor): result true, false or None, and the reason."""
        node, driver = self._driver(node_id)
        return {kind: _verdict(driver, kind, node) for kind in INTERFACES if kind != "vendor"}

    def get_boot_device(self, node_id: int) -> dict[str, Any]:
        """{"boot_device", "persistent"} as the hardware tells it."""
        node, driver = self._driver(node_id)
        device, persistent = driver.management.boot_device(node)
        return {"boot_device": device, "persistent": persistent}

    def set_boot_device(self, node_id: int, device: str, persistent: bool = False) -> None:
        """Choose what the node boots from next, or always."""
        node, driver = self._driver(node_id)
        if device not in driver.management.devices:
            raise Invalid(
                f"Boot device {device!r} is not supported by node {node.uuid}; it has "
                f"{', '.join(driver.management.devices)}."
            )
        with self._box.store.write() as session:
            lease = self._box.store.reserve(session, node_id, self._box.holder, "set boot device")
        try:
            driver.management.set_boot_device(
                node,
                device,
                persistent=persistent,
                uefi=boot_mode(node, self._box.settings) == "uefi",
            )
        finally:
            with self._box.store.write() as session:
                self._box.store.release(session, lease)
        if node.provision_state in states.WAITING:
            self.heartbeat(node_id)  # One may have come while we held the node.

    def supported_boot_devices(self, node_id: int) -> list[str]:
        """The boot devices that the node's management interface can choose."""
        _, driver = self._driver(node_id)
        return list(driver.management.devices)

    # Details

    def _driver(self, node_id: int) -> tuple[Node, Driver]:
        with self._box.store.read() as session:
            node = session.get(Node, node_id)
            if node is None:
                raise NotFound(f"Node {node_id} could not be found.")
            session.expunge(node)
        return node, Driver(self._box, node)

    def _just_manage(self, node_id: int) -> bool:
        """``manage`` needs no work but from enroll; it then keeps the old last_error."""
        store = self._box.store
        with store.read() as session:
            node = session.get(Node, node_id)
            if node is None:
                raise NotFound(f"Node {node_id} could not be found.")
        _may(node, "manage")
        if not states.is_resting(states.next_state(node.provision_state, "manage")):
            return False
        with store.write() as session:
            lease = store.reserve(session, node_id, self._box.holder, "manage")
            node = session.get_one(Node, node_id)
            _may(node, "manage")
            change = task.transition(node, "manage", store.clock.now())
            task.tell_transition(
                Task(self._box, lease, node, Operation()),
                session,
                "manage",
                change["provision_state"],
            )
            store.release(session, lease, {**change, "target_provision_state": None})
        return True

    def _abort(self, node_id: int) -> None:
        """End the operation: now when it waits at an abortable step, else after that step."""
        with self._box.store.read() as session:
            node = session.get(Node, node_id)
            if node is None:
                raise NotFound(f"Node {node_id} could not be found.")
            _may(node, "abort")
        taken = Task.resume(self._box, node_id, "abort")
        if taken is None:
            raise Conflict(f"Node {node.uuid} has no operation that could be aborted.")
        try:
            _may(taken.node, "abort")
        except InvalidState:
            taken.release()
            raise
        # Written down first: the answer is a promise, whatever becomes of this process.
        with self._box.store.write() as session:
            taken.write(session, {})
            operations.request_abort(session, taken.operation.id)
        taken.operation.abort_requested = True
        self._runner.start(taken)


def _may(node: Node, target: str) -> None:
    """The state machine's answer, then maintenance, protection and retirement."""
    if not states.verb_allowed(target, node.provision_state):
        possible = ", ".join(states.verbs_from(node.provision_state)) or "none; wait for it to end"
        raise InvalidState(
            f'The requested action "{target}" can not be performed on node "{node.uuid}" while '
            f'it is in state "{node.provision_state}". Possible from here: {possible}.'
        )
    event = states.VERBS[target].event
    if node.maintenance and event in _NOT_IN_MAINTENANCE:
        raise InMaintenance(
            f"The {target} action can not be performed on node {node.uuid} because it is in "
            f"maintenance: {node.maintenance_reason or 'no reason was given'}."
        )
    if node.protected and event in ("delete", "rebuild"):
        raise Forbidden(
            f"Node {node.uuid} is protected and cannot be undeployed, rebuilt or deleted: "
            f"{node.protected_reason or 'no reason was given'}."
        )
    if node.retired and event == "provide":
        raise Invalid(f"Node {node.uuid} is retired and cannot be made available.")


def _take_configdrive(node: Node, given: Any) -> None:
    """Keep the config drive with the node until its system is given up."""
    if given is None:
        return
    drive = configdrive.complete(given, node) if isinstance(given, dict) else given
    node.instance_info = {**node.instance_info, "configdrive": drive}


def _verdict(driver: Driver, kind: str, node: Node) -> dict[str, Any]:
    try:
        interface = driver.interface(kind)
        interface.validate(node)
    except Unsupported as error:
        return {"result": None, "reason": error.message}
    except DrophammerError as error:
        return {"result": False, "reason": error.message}
    return {"result": True}
