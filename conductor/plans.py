"""From verb to ordered steps: one function per kind of operation, one table of them.

A plan is made when the operation begins, in its transaction, from the node's row
and what its interfaces say; it touches no hardware. What cannot be planned is
refused here, before anything has changed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from conductor import priorities, stepplan
from conductor.deployplan import plan_deploy
from conductor.stepplan import USER
from conductor.wish import Wish, own, switching, validate_boot
from drophammer import inspection_rules, operations, states
from drophammer.errors import Invalid
from drophammer.model import Operation
from drophammer.operations import StepSpec


def plan_verify(wish: Wish) -> list[StepSpec]:
    """Ask the power controller."""
    wish.driver.power.validate(wish.node)
    return [own("verify_power")]


def plan_inspect(wish: Wish) -> list[StepSpec]:
    """Read what is in the machine, and do what the inspection rules say of it."""
    node, driver = wish.node, wish.driver
    driver.power.validate(node)
    driver.inspect.validate(node)
    if driver.inspect.uses_agent:
        validate_boot(node, driver)
    steps = driver.inspect.inspect_steps(node)
    # Where a ramdisk has to be booted first, rules may yet be made.
    if driver.inspect.uses_agent or inspection_rules.are_any(wish.session, "main"):
        return [*steps, own("apply_rules")]
    return steps


def plan_clean(wish: Wish) -> list[StepSpec]:
    """Automated cleaning: what the driver and the ramdisk offer."""
    wish.driver.power.validate(wish.node)
    steps = _automated(wish)
    if steps and wish.driver.deploy.uses_agent:
        validate_boot(wish.node, wish.driver)
    return steps


def plan_manual_clean(wish: Wish) -> list[StepSpec]:
    """Cleaning by the operator's list."""
    steps = _named(wish, "clean_steps", "clean")
    if not wish.driver.deploy.uses_agent or wish.request.get("disable_ramdisk"):
        return steps
    validate_boot(wish.node, wish.driver)
    return [own("boot_ramdisk"), own("check_agent_steps"), *steps, own("leave_ramdisk")]


def plan_service(wish: Wish) -> list[StepSpec]:
    """Work on a deployed machine by the operator's list; a ramdisk only where one is needed."""
    steps = _named(wish, "service_steps", "service")
    needed = any(spec.requires_ramdisk for spec in steps)
    if needed and wish.driver.deploy.uses_agent:
        validate_boot(wish.node, wish.driver)
        return [own("boot_ramdisk"), own("check_agent_steps"), *steps, own("restore_instance")]
    # An earlier service that failed or is held may have left the machine in the ramdisk.
    return [*steps, own("restore_instance")] if _instance_is_away(wish) else steps


def plan_delete(wish: Wish) -> list[StepSpec]:
    """Give the system up, then clean. What cleaning needs is checked when it begins."""
    # When cleaning begins, what the instance had chosen is gone: it has no say in it.
    driver = wish.driver.without_instance()
    driver.power.validate(driver.node)
    try:
        steps = _automated(dataclasses.replace(wish, node=driver.node, driver=driver))
    except Invalid as error:
        steps = [_refusal(error.message)]
    return [switching("tear_down_instance", "off"), own("begin_cleaning"), *steps]


def plan_adopt(wish: Wish) -> list[StepSpec]:
    """Take over a running system; the machine is not touched."""
    return [own("adopt_instance")]


def plan_rescue(wish: Wish) -> list[StepSpec]:
    """From the deployed system to another one, to repair it from."""
    node, driver = wish.node, wish.driver
    driver.power.validate(node)
    driver.interface("network").validate(node)
    driver.rescue.validate(node)
    if driver.rescue.uses_agent:
        validate_boot(node, driver)
    return driver.rescue.rescue_steps(node)


def plan_unrescue(wish: Wish) -> list[StepSpec]:
    """Back to the deployed system."""
    wish.driver.power.validate(wish.node)
    return wish.driver.rescue.unrescue_steps(wish.node)


def plan_restore(wish: Wish) -> list[StepSpec]:
    """After a failed service: back to the deployed system, if a ramdisk took its place."""
    return [own("restore_instance")] if _instance_is_away(wish) else []


def _instance_is_away(wish: Wish) -> bool:
    """Whether the last service ended without bringing the deployed system back."""
    if wish.node.provision_state == states.ACTIVE:
        return False
    latest = (
        select(Operation.id)
        .where(Operation.node_id == wish.node.id, Operation.flow == "service")
        .order_by(Operation.id.desc())
        .limit(1)
    )
    operation_id = wish.session.scalars(latest).one_or_none()
    return operation_id is not None and left_instance(wish.session, operation_id)


def left_instance(session: Session, operation_id: int) -> bool:
    """Whether the deployed system has to be brought back when this service ends.

    It has booted a ramdisk, or began where an earlier service had and was to end that.
    """
    steps = operations.steps_of(session, [operation_id])
    own_steps = [step for step in steps if step.interface == "conductor"]
    boots = [step for step in own_steps if step.step == "boot_ramdisk"]
    if boots:
        return any(step.started_at is not None for step in boots)
    return any(step.step == "restore_instance" for step in own_steps)


def plan_power(wish: Wish) -> list[StepSpec]:
    """Reach a power state."""
    wish.driver.power.validate(wish.node)
    wanted = "on" if wish.request["target"] == states.POWER_ON else "off"
    return [switching("change_power", wanted)]


def _automated(wish: Wish) -> list[StepSpec]:
    node, driver = wish.node, wish.driver
    wanted = driver.box.settings.automated_clean
    if node.automated_clean is not None:
        wanted = node.automated_clean
    if not wanted:
        return []
    given = priorities.given(driver.box.settings, node)
    if driver.deploy.uses_agent:
        # The driver's own come in where the ramdisk has told of its steps.
        return [own("boot_ramdisk"), own("plan_agent_steps"), own("leave_ramdisk")]
    offers = priorities.applied(stepplan.offered(driver, node, "clean"), given)
    steps = stepplan.automatic(offers)
    if any(stepplan.erases(spec.step) for spec in steps):
        return steps
    return [_refusal(stepplan.nothing_to_erase(node, offers))]


def _refusal(reason: str) -> StepSpec:
    """A cleaning that fails before it has begun: what it says is for the operator to mend."""
    return own("refuse_cleaning", reason=reason)


def _named(wish: Wish, key: str, purpose: str) -> list[StepSpec]:
    """The operator's list for cleaning or servicing, checked as far as can be known now."""
    node, driver = wish.node, wish.driver
    driver.power.validate(node)
    driver.interface("network").validate(node)
    given = wish.request.get(key) or ()
    if not given:
        raise Invalid(f"{key} must name at least one step.")
    ramdisk = driver.deploy.uses_agent and not wish.request.get("disable_ramdisk")
    steps = stepplan.chosen(
        stepplan.in_order(given),
        USER,
        stepplan.offered(driver, node, purpose),
        agent=ramdisk,
        children=wish.children,
    )
    stepplan.refuse_power_off(node, steps)
    for spec in steps if driver.deploy.uses_agent and not ramdisk else ():
        if spec.requires_ramdisk:
            raise Invalid(
                f"Step {spec.interface}.{spec.step} needs the ramdisk; it cannot run with "
                "disable_ramdisk."
            )
    return steps


@dataclass(frozen=True)
class Flow:
    """One kind of operation.

    ``done`` is the event at its good end; ``target`` what it seeks where the state's
    own target is another; ``purpose`` which of the drivers' and the agent's steps it
    runs; ``history`` its kind in the node's history. ``beside`` flows leave the node
    in its state while they run.
    """

    name: str
    plan: Callable[[Wish], list[StepSpec]]
    history: str
    done: str | None = "done"
    target: str | None = None
    purpose: str | None = None
    beside: bool = False


FLOWS: dict[str, Flow] = {
    flow.name: flow
    for flow in (
        Flow("verify", plan_verify, "verify"),
        Flow("inspect", plan_inspect, "inspection"),
        Flow("clean", plan_clean, "cleaning", purpose="clean"),
        Flow(
            "manual clean",
            plan_manual_clean,
            "cleaning",
            done="manage",
            target="manageable",
            purpose="clean",
        ),
        Flow("deploy", plan_deploy, "provisioning", purpose="deploy"),
        Flow("delete", plan_delete, "provisioning", purpose="clean"),
        Flow("adopt", plan_adopt, "provisioning"),
        Flow("service", plan_service, "servicing", purpose="service"),
        Flow("restore", plan_restore, "servicing", done="abort", beside=True),
        Flow("rescue", plan_rescue, "rescue"),
        Flow("unrescue", plan_unrescue, "rescue"),
        Flow("power", plan_power, "power", done=None, beside=True),
    )
}

FLOW_OF_VERB: dict[str, str] = {
    "manage": "verify",
    "inspect": "inspect",
    "provide": "clean",
    "clean": "manual clean",
    "active": "deploy",
    "deploy": "deploy",
    "rebuild": "deploy",
    "deleted": "delete",
    "undeploy": "delete",
    "adopt": "adopt",
    "rescue": "rescue",
    "unrescue": "unrescue",
    "service": "service",
}
BESIDE = frozenset(flow.name for flow in FLOWS.values() if flow.beside)
