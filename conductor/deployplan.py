"""The steps of a deployment: the driver's, with what templates and the operator make of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from conductor import stepplan
from conductor.stepplan import AGENT_LEAVES, ORIGIN, TEMPLATE, USER
from conductor.wish import Wish, own, validate_boot
from drophammer.errors import Invalid
from drophammer.model import DeployTemplate, NodeTrait
from drophammer.operations import StepSpec


def plan_deploy(wish: Wish) -> list[StepSpec]:
    """The driver's steps, with what templates and the operator add, replace or take out."""
    node, driver = wish.node, wish.driver
    driver.power.validate(node)
    if driver.storage.boots(wish.session, node):
        return _plan_volume(wish)
    driver.deploy.validate(node)
    if driver.deploy.uses_agent:
        validate_boot(node, driver)
    offers = stepplan.offered(driver, node, "deploy")
    # Deployments with an agent are those that send it away again (not those of ``ramdisk``).
    agent = any((spec.interface, spec.step) == AGENT_LEAVES for spec in offers)
    named = [
        stepplan.chosen(steps, source, offers, agent=agent, children=wish.children)
        for steps, source in (
            (_template_steps(wish), TEMPLATE),
            (wish.request.get("deploy_steps") or (), USER),
        )
    ]
    steps = stepplan.merged(offers, *named)
    stepplan.refuse_power_off(node, steps)
    return _meeting_agent(steps, stepplan.left_out(*named)) if agent else steps


def _plan_volume(wish: Wish) -> list[StepSpec]:
    """The system is on a volume already: the machine only has to boot from it."""
    node, driver = wish.node, wish.driver
    driver.storage.validate(node)
    driver.boot.validate_volume(node)
    if wish.request.get("deploy_steps"):
        raise Invalid(
            f"Node {node.uuid} boots from a volume (its volume target with boot_index 0): there is "
            "no ramdisk in which deploy_steps could run."
        )
    return [own("boot_volume")]


def _template_steps(wish: Wish) -> list[Mapping[str, Any]]:
    """Steps of the deploy templates that the instance asks for by its traits."""
    asked = wish.node.instance_info.get("traits")
    if not asked:
        return []
    if not isinstance(asked, list) or not all(isinstance(trait, str) for trait in asked):
        raise Invalid(f"Node {wish.node.uuid}: instance_info traits is not a list of names.")
    present = wish.session.scalars(
        select(NodeTrait.trait).where(NodeTrait.node_id == wish.node.id)
    ).all()
    missing = [trait for trait in asked if trait not in present]
    if missing:
        raise Invalid(
            f"Node {wish.node.uuid} does not have the trait {', '.join(missing)} that its "
            "instance_info asks for."
        )
    templates = wish.session.scalars(
        select(DeployTemplate).where(DeployTemplate.name.in_(asked)).order_by(DeployTemplate.id)
    )
    return [{**step, ORIGIN: template.name} for template in templates for step in template.steps]


def _meeting_agent(steps: list[StepSpec], left_out: list[str]) -> list[StepSpec]:
    """The same with the ramdisk's steps joining in as soon as it runs, but for ``left_out``.

    Raises Invalid for one that was named and whose priority puts it where no ramdisk runs.
    """
    names = [(spec.interface, spec.step) for spec in steps]
    up = names.index(("deploy", "deploy")) if ("deploy", "deploy") in names else len(names)
    down = names.index(AGENT_LEAVES) if AGENT_LEAVES in names else len(names)
    for place, spec in enumerate(steps):
        if _unknown(spec) and not up < place < down:
            between = " and ".join(str(steps[i].priority) for i in (up, down) if i < len(steps))
            raise Invalid(
                f"Step {spec.interface}.{spec.step} runs in the ramdisk: its priority must be "
                f"between those of deploy.deploy and deploy.tear_down_agent ({between or 'none'})."
            )
    if up == len(names):
        return steps  # The operator took the ramdisk out.
    join = own("join_agent_steps", left_out=left_out)
    return [*steps[: up + 1], join, *steps[up + 1 :]]


def _unknown(spec: StepSpec) -> bool:
    return spec.requires_ramdisk and spec.source in (USER, TEMPLATE)
