"""Deploy steps of operators and templates, and what a rebuild needs."""

from __future__ import annotations

from typing import Any

import pytest

from drophammer import operations
from drophammer.errors import Invalid
from drophammer.model import BiosSetting, DeployTemplate, NodeTrait, new_uuid

FILES = {"deploy_kernel": "http://127.0.0.1/k", "deploy_ramdisk": "http://127.0.0.1/r"}
SHA = "0" * 64


def deploy_step(name: str, priority: int, **args: Any) -> dict[str, Any]:
    interface, _, step = name.partition(".")
    return {"interface": interface, "step": step, "args": args, "priority": priority}


def template(scene: Any, name: str, *steps: dict[str, Any]) -> None:
    with scene.store.write() as session:
        session.add(
            DeployTemplate(
                uuid=new_uuid(), name=name, steps=list(steps), created_at=scene.store.clock.now()
            )
        )


def with_traits(scene: Any, *traits: str, asked: Any = None, **fields: Any) -> int:
    node_id = scene.node("available", instance_info={"traits": asked or list(traits)}, **fields)
    with scene.store.write() as session:
        session.add_all(NodeTrait(node_id=node_id, trait=trait) for trait in traits)
    return int(node_id)


def ran(scene: Any, node_id: int) -> list[tuple[str, int, str]]:
    with scene.store.read() as session:
        (latest,) = operations.of_node(session, node_id, 1)
        return [(s.step, s.priority, s.source) for s in operations.steps_of(session, [latest.id])]


def test_steps_of_templates_and_of_the_user_join_the_drivers_by_priority(scene: Any) -> None:
    scene.start()
    reset = {"settings": [{"name": "LogicalProc", "value": "Disabled"}]}
    again = {"settings": [{"name": "LogicalProc", "value": "Enabled"}]}
    template(
        scene,
        "CUSTOM_BIOS",
        deploy_step("bios.apply_configuration", 150, **reset),
        deploy_step("raid.delete_configuration", 120),
    )
    node_id = with_traits(scene, "CUSTOM_BIOS")
    scene.provision(
        node_id,
        "active",
        deploy_steps=[
            deploy_step("raid.delete_configuration", 0),
            deploy_step("power.reboot", 10),
        ],
    )
    scene.until_state(node_id, "active")
    assert ran(scene, node_id) == [
        ("apply_configuration", 150, "template"),
        ("deploy", 100, "driver"),
        ("reboot", 10, "user"),
    ]
    scene.provision(
        node_id, "rebuild", deploy_steps=[deploy_step("bios.apply_configuration", 90, **again)]
    )
    scene.until(node_id, lambda n: n.provision_state == "active" and n.operation_id is None)
    assert ran(scene, node_id) == [
        ("delete_configuration", 120, "template"),
        ("deploy", 100, "driver"),
        ("apply_configuration", 90, "user"),
    ]
    with scene.store.read() as session:
        setting = session.get_one(BiosSetting, (node_id, "LogicalProc"))
    assert setting.value == "Enabled"


def test_a_trait_that_the_node_does_not_have_is_refused_at_once(scene: Any) -> None:
    scene.start()
    node_id = with_traits(scene, "CUSTOM_A", asked=["CUSTOM_A", "CUSTOM_B"])
    with pytest.raises(Invalid, match="trait CUSTOM_B"):
        scene.provision(node_id, "active")
    assert scene.get(node_id).provision_state == "available"


def test_traits_without_templates_add_nothing(scene: Any) -> None:
    scene.start()
    node_id = with_traits(scene, "CUSTOM_A")
    scene.provision(node_id, "active")
    scene.until_state(node_id, "active")
    assert ran(scene, node_id) == [("deploy", 100, "driver")]


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([deploy_step("deploy.deploy", 50)], r"deploy\.deploy is the deployment itself"),
        ([deploy_step("bios.dance", 50)], r"no step bios\.dance"),
        ([deploy_step("bios.apply_configuration", 50)], "'settings' is missing"),
        ([deploy_step("power.hold", 50)] * 2, "twice by deploy_steps"),
    ],
)
def test_deploy_steps_that_cannot_be_are_refused_at_once(scene: Any, steps: Any, said: str) -> None:
    scene.start()
    node_id = scene.node("available")
    with pytest.raises(Invalid, match=said):
        scene.provision(node_id, "active", deploy_steps=steps)
    assert scene.get(node_id).provision_state == "available"


def test_a_held_deployment_goes_on_or_is_aborted(scene: Any) -> None:
    scene.start()
    for verb, state in (("unhold", "active"), ("abort", "deploy failed")):
        node_id = scene.node("available", instance_info={"a": 1})
        scene.provision(node_id, "active", deploy_steps=[deploy_step("power.hold", 110)])
        node = scene.until_state(node_id, "deploy hold")
        assert node.deploy_step["step"] == "hold"
        scene.provision(node_id, verb)
        node = scene.until_state(node_id, state)
        assert node.instance_info == {"a": 1}
        assert node.deploy_step == {}


def test_the_ramdisks_steps_run_between_its_boot_and_its_end(
    scene: Any, agent: Any, image_server: Any
) -> None:
    agent.deploy_steps = [{"interface": "deploy", "step": "inject_files", "priority": 0}]
    scene.start(**FILES)
    info = {"image_source": image_server.url + "/image.raw", "image_checksum": SHA}
    node_id = scene.machine("available", instance_info=info)
    for priority in (101, 30):
        with pytest.raises(Invalid, match="100 and 40"):
            scene.provision(
                node_id, "active", deploy_steps=[deploy_step("deploy.inject_files", priority)]
            )
    scene.provision(node_id, "active", deploy_steps=[deploy_step("deploy.inject_files", 70)])
    scene.until_state(node_id, "wait call-back")
    agent.hold = True
    scene.call_back(node_id, agent)
    agent.until(lambda: "deploy.execute_deploy_step" in agent.names())
    scene.until_state(node_id, "wait call-back")
    assert [step for step, *_ in ran(scene, node_id)][:5] == [
        "check_image", "deploy", "join_agent_steps", "write_image", "inject_files",
    ]  # fmt: skip
    agent.finish()
    scene.call_back(node_id, agent)
    agent.until(lambda: agent.names().count("deploy.execute_deploy_step") == 2)
    sent = [p["step"]["step"] for name, p in agent.received if "execute" in name]
    assert sent == ["write_image", "inject_files"]


def test_a_rebuild_without_an_image_is_refused_with_a_reason(scene: Any) -> None:
    scene.start(**FILES)
    node_id = scene.machine("active")
    with pytest.raises(Invalid, match="image_source is missing"):
        scene.provision(node_id, "rebuild")
    assert scene.get(node_id).provision_state == "active"
