"""Choosing steps from what is offered and what is named."""

from __future__ import annotations

from typing import Any

import pytest

from conductor import stepplan
from drophammer.errors import Invalid
from drophammer.operations import StepSpec

ARGS = {"level": {"description": "", "required": True}, "force": {"description": ""}}
OFFERS = [
    StepSpec("raid", "create", argsinfo=ARGS, reboot_requested=True),
    StepSpec("deploy", "erase", 10, abortable=True),
]


def named(*steps: dict[str, Any], agent: bool = False) -> list[StepSpec]:
    return stepplan.chosen(
        steps, stepplan.USER, OFFERS, agent=agent, children=lambda: ["child-1", "child-2"]
    )


def step(name: str, **more: Any) -> dict[str, Any]:
    interface, _, step = name.partition(".")
    return {"interface": interface, "step": step, **more}


def merged(templates: list[StepSpec], user: list[StepSpec]) -> list[tuple[str, int]]:
    own = [
        StepSpec("conductor", "check_image"),
        StepSpec("deploy", "deploy", 100),
        StepSpec("deploy", "write_image", 80),
        StepSpec("bios", "apply", 0),
    ]
    return [(spec.step, spec.priority) for spec in stepplan.merged(own, templates, user)]


def test_a_named_step_takes_over_what_its_offer_says() -> None:
    (spec,) = named(step("raid.create", args={"level": 1}))
    assert (spec.source, spec.reboot_requested, spec.args) == ("user", True, {"level": 1})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (step("raid.delete"), r"no step raid\.delete .* raid\.create, deploy\.erase"),
        (step("raid.create"), "argument 'level' is missing"),
        (step("raid.create", args={"level": 1, "x": 2}), "no argument 'x'.*level, force"),
        (step("power.wait", args={"seconds": -1}), "at least 0"),
        (step("power.wait", args={"seconds": float("nan")}), "at least 0"),
        (step("power.wait", args={"seconds": True}), "at least 0"),
        (step("power.hold", args={"x": 1}), "no argument 'x'"),
        (step("deploy.erase", execute_on_child_nodes=True), "cannot run on child nodes"),
        (step("power.hold", execute_on_child_nodes=True), "cannot run on child nodes"),
        (step("power.power_on", limit_child_node_execution=["child-1"]), "needs execute_on"),
        (
            step(
                "power.power_on", execute_on_child_nodes=True, limit_child_node_execution=["other"]
            ),
            "other is no child",
        ),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        named(given)


def test_what_no_interface_offers_may_be_the_agents() -> None:
    (spec,) = named(step("deploy.burnin_cpu"), agent=True)
    assert spec.requires_ramdisk


def test_a_power_step_on_child_nodes_knows_which() -> None:
    (all_of_them,) = named(step("power.power_on", execute_on_child_nodes=True))
    assert all_of_them.args == {stepplan.ON_CHILDREN: ["child-1", "child-2"]}
    (one,) = named(
        step("power.reboot", execute_on_child_nodes=True, limit_child_node_execution=["child-2"])
    )
    assert one.args == {stepplan.ON_CHILDREN: ["child-2"]}


def test_the_order_is_the_given_one_or_that_of_the_numbers() -> None:
    a, b = step("deploy.a", order=2), step("deploy.b", order=1)
    assert stepplan.in_order([a, b]) == [b, a]
    assert stepplan.in_order([step("x.a"), step("x.b")]) == [step("x.a"), step("x.b")]
    with pytest.raises(Invalid, match="with every step"):
        stepplan.in_order([a, step("deploy.b")])


def test_steps_of_equal_priority_go_by_their_interface() -> None:
    specs = [StepSpec(kind, "x", 5) for kind in ("raid", "deploy", "power", "vendor")]
    order = [spec.interface for spec in stepplan.automatic([*specs, StepSpec("bios", "off", 0)])]
    assert order == ["vendor", "power", "deploy", "raid"]


def test_the_users_word_beats_the_templates_beats_the_drivers() -> None:
    template = [
        StepSpec("bios", "apply", 90, "template"),
        StepSpec("deploy", "write_image", 70, "template"),
    ]
    assert merged(template, []) == [
        ("check_image", 0), ("deploy", 100), ("apply", 90), ("write_image", 70),
    ]  # fmt: skip
    user = [
        StepSpec("bios", "apply", 0, "user"),
        StepSpec("deploy", "write_image", 85, "user"),
    ]
    assert merged(template, user) == [("check_image", 0), ("deploy", 100), ("write_image", 85)]


def test_the_core_step_can_be_taken_out_but_not_moved() -> None:
    assert ("deploy", 100) not in merged([], [StepSpec("deploy", "deploy", 0, "user")])
    with pytest.raises(Invalid, match=r"deploy\.deploy"):
        merged([], [StepSpec("deploy", "deploy", 50, "user")])


def test_a_step_given_twice_is_refused() -> None:
    twice = [StepSpec("bios", "apply", 5, "template"), StepSpec("bios", "apply", 6, "template")]
    with pytest.raises(Invalid, match="twice by the deploy templates"):
        merged(twice, [])
