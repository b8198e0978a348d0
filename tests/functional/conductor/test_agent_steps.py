"""The ramdisk's own steps: which join a deployment, what cleaning must erase, what happens
when the ramdisk turns out to be another one.
"""

from __future__ import annotations

from typing import Any

import pytest

from drophammer import operations
from drophammer.errors import Invalid
from drophammer.model import DeployTemplate, Node, NodeTrait, new_uuid

FILES = {"deploy_kernel": "http://127.0.0.1/k", "deploy_ramdisk": "http://127.0.0.1/r"}
SHA = "0" * 64
ERASE = {"interface": "deploy", "step": "erase_devices"}
METADATA = {"interface": "deploy", "step": "erase_devices_metadata"}


def journal(scene: Any, node_id: int) -> list[str]:
    with scene.store.read() as session:
        (latest,) = operations.of_node(session, node_id, 1)
        return [step.step for step in operations.steps_of(session, [latest.id])]


def executed(agent: Any) -> list[str]:
    return [p["step"]["step"] for name, p in agent.received if ".execute_" in name]


def offer(name: str, priority: int, **more: Any) -> dict[str, Any]:
    return {"interface": "deploy", "step": name, "priority": priority, **more}


def deploying(
    scene: Any, image_server: Any, agent: Any, *traits: str, steps: Any = None, **info: Any
) -> int:
    scene.start(**FILES)
    info = {"image_source": image_server.url + "/image.raw", "image_checksum": SHA, **info}
    if traits:
        info["traits"] = list(traits)
    node_id = scene.machine("available", instance_info=info)
    with scene.store.write() as session:
        session.add_all(NodeTrait(node_id=node_id, trait=trait) for trait in traits)
    scene.provision(node_id, "active", **({"deploy_steps": steps} if steps else {}))
    scene.until_state(node_id, "wait call-back")
    return int(node_id)


def until_executed(scene: Any, agent: Any, node_id: int, *names: str) -> None:
    scene.call_back(node_id, agent)
    agent.until(lambda: "standby.power_off" in agent.names())
    assert executed(agent) == list(names)


def test_steps_of_the_ramdisk_join_a_deployment_by_their_priority(
    scene: Any, agent: Any, image_server: Any
) -> None:
    agent.deploy_steps = [
        offer("inject_files", 70),
        offer("clean_uefi_nvram", 90),
        offer("write_image", 0),
        offer("burnin", 0),
    ]
    node_id = deploying(scene, image_server, agent)
    until_executed(scene, agent, node_id, "clean_uefi_nvram", "write_image", "inject_files")
    assert journal(scene, node_id)[1:6] == [
        "deploy", "join_agent_steps", "clean_uefi_nvram", "write_image", "inject_files",
    ]  # fmt: skip


def test_the_words_of_user_and_template_count_more_than_the_ramdisks(
    scene: Any, agent: Any, image_server: Any
) -> None:
    agent.deploy_steps = [offer(name, 70) for name in ("one", "two", "three", "write_image")]
    with scene.store.write() as session:
        session.add(
            DeployTemplate(
                uuid=new_uuid(),
                name="CUSTOM_A",
                steps=[offer("one", 0, args={}), offer("two", 0, args={})],
                created_at=scene.store.clock.now(),
            )
        )
    steps = [offer("two", 90, args={})]
    node_id = deploying(scene, image_server, agent, "CUSTOM_A", steps=steps)
    until_executed(scene, agent, node_id, "two", "write_image", "three")


def test_a_step_of_the_ramdisk_that_comes_when_it_has_gone_fails_before_the_disk_is_written(
    scene: Any, agent: Any, image_server: Any
) -> None:
    agent.deploy_steps = [offer("inject_files", 30)]
    node_id = deploying(scene, image_server, agent)
    scene.call_back(node_id, agent)
    node = scene.until_state(node_id, "deploy failed")
    assert "deploy.inject_files run at priority 30" in node.last_error
    assert "priority 0 in deploy_steps" in node.last_error
    assert executed(agent) == []


def test_a_step_of_the_ramdisk_that_needs_arguments_fails_before_the_disk_is_written(
    scene: Any, agent: Any, image_server: Any
) -> None:
    needs = {"level": {"description": "", "required": True}}
    agent.deploy_steps = [offer("raise_array", 70, argsinfo=needs)]
    node_id = deploying(scene, image_server, agent)
    scene.call_back(node_id, agent)
    assert "'level' is missing" in scene.until_state(node_id, "deploy failed").last_error
    assert executed(agent) == []


def test_a_changed_ramdisk_is_asked_again_and_the_deployment_goes_on(
    scene: Any, agent: Any, image_server: Any
) -> None:
    agent.deploy_steps = [offer("first", 90), offer("last", 70)]
    agent.mismatches = 1
    node_id = deploying(scene, image_server, agent)
    until_executed(scene, agent, node_id, "first", "first", "write_image", "last")
    assert agent.names().count("deploy.get_deploy_steps") == 2


def test_an_image_that_a_changed_ramdisk_did_not_write_is_written_then(
    scene: Any, agent: Any, image_server: Any
) -> None:
    agent.mismatches = 1
    node_id = deploying(scene, image_server, agent)
    until_executed(scene, agent, node_id, "write_image", "write_image")


def cleaning(
    scene: Any, agent: Any, verb: str = "provide", settings: Any = None, **request: Any
) -> int:
    scene.start(**FILES, **(settings or {}))
    node_id = scene.machine("manageable", **request.pop("fields", {}))
    scene.provision(node_id, verb, **request)
    scene.until_state(node_id, "clean wait")
    scene.call_back(node_id, agent)
    return int(node_id)


def test_cleaning_begins_again_with_what_a_changed_ramdisk_offers(scene: Any, agent: Any) -> None:
    agent.mismatches = 1
    agent.on_command = lambda name: (
        agent.clean_steps.append(offer("erase_more", 5)) if "execute" in name else None
    )
    node_id = cleaning(scene, agent)
    scene.until_state(node_id, "available")
    assert executed(agent)[:4] == [
        "erase_devices_metadata", "erase_devices_metadata", "erase_devices", "erase_more",
    ]  # fmt: skip


def test_an_operators_list_begins_again_with_a_changed_ramdisk(scene: Any, agent: Any) -> None:
    def change(name: str) -> None:
        agent.mismatches = int("execute" in name and len(executed(agent)) == 2)

    agent.on_command = change
    node_id = cleaning(scene, agent, "clean", clean_steps=[METADATA, ERASE])
    scene.until(node_id, lambda n: n.provision_state == "manageable" and n.operation_id is None)
    assert executed(agent) == [
        "erase_devices_metadata", "erase_devices", "erase_devices_metadata", "erase_devices",
    ]  # fmt: skip


def test_an_operators_step_that_a_changed_ramdisk_has_not_any_more_fails(
    scene: Any, agent: Any
) -> None:
    agent.mismatches = 1
    agent.on_command = lambda name: agent.clean_steps.pop() if "execute" in name else None
    node_id = cleaning(scene, agent, "clean", clean_steps=[METADATA, ERASE])
    node = scene.until_state(node_id, "clean failed")
    assert "no step deploy.erase_devices;" in node.last_error
    assert node.target_provision_state == "manageable"


def test_cleaning_begins_again_when_a_reboot_brought_another_ramdisk(
    scene: Any, agent: Any
) -> None:
    agent.clean_steps[0]["reboot_requested"] = True
    node_id = cleaning(scene, agent)
    for boots in (2, 3):
        scene.until(
            node_id,
            lambda n, boots=boots: (
                n.provision_state == "clean wait" and len(scene.netboot.prepared) == boots
            ),
        )
        agent.version = "1.3"
        scene.call_back(node_id, agent)
    scene.until_state(node_id, "available")
    assert executed(agent) == ["erase_devices_metadata", "erase_devices_metadata", "erase_devices"]


def test_a_ramdisk_that_never_settles_ends_cleaning(scene: Any, agent: Any) -> None:
    agent.mismatches = 99
    node_id = cleaning(scene, agent)
    node = scene.until_state(node_id, "clean failed")
    assert "do not settle" in node.last_error
    assert len(executed(agent)) == 4


@pytest.mark.parametrize(
    ("settings", "driver_info", "ran"),
    [
        ({}, {"deploy.erase_devices": 0}, ["erase_devices_metadata"]),
        ({}, {"deploy.erase_devices": 100}, ["erase_devices", "erase_devices_metadata"]),
        (
            {"clean_step_priorities": {"deploy.erase_devices": 100}},
            {},
            ["erase_devices", "erase_devices_metadata"],
        ),
        (
            {"clean_step_priorities": {"deploy.erase_devices": 0}, "erase_devices_priority": 50},
            {},
            ["erase_devices_metadata"],
        ),
        (
            {"clean_step_priorities": {"deploy.erase_devices": 0}},
            {"deploy.erase_devices": 1, "deploy.erase_devices_metadata": 0},
            ["erase_devices"],
        ),
    ],
)
def test_the_nodes_priorities_beat_the_options_beat_the_ramdisks(
    scene: Any, agent: Any, settings: Any, driver_info: Any, ran: list[str]
) -> None:
    fields = {"driver_info": {"step_priorities": driver_info}}
    node_id = cleaning(scene, agent, settings=settings, fields=fields)
    scene.until_state(node_id, "available")
    assert executed(agent) == ran


NOTHING = {"deploy.erase_devices": 0, "deploy.erase_devices_metadata": 0}


@pytest.mark.parametrize("verb", ["provide", "deleted"])
def test_cleaning_that_would_erase_nothing_fails_on_every_driver(scene: Any, verb: str) -> None:
    scene.start(clean_step_priorities=NOTHING)
    start = "manageable" if verb == "provide" else "active"
    node_id = scene.node(start, instance_info={"a": 1} if verb == "deleted" else {})
    scene.provision(node_id, verb)
    node = scene.until_state(node_id, "clean failed")
    assert "Nothing was erased" in node.last_error
    assert "deploy.erase_devices_metadata" in node.last_error
    assert (node.instance_info, node.maintenance, node.fault) == ({}, False, None)
    with scene.store.write() as session:
        session.get_one(Node, node_id).automated_clean = False
    scene.provision(node_id, "manage")
    scene.provision(node_id, "provide")
    scene.until_state(node_id, "available")


def test_cleaning_that_only_resets_the_firmware_fails(scene: Any) -> None:
    scene.start(clean_step_priorities={**NOTHING, "bios.factory_reset": 10})
    node_id = scene.node("manageable")
    scene.provision(node_id, "provide")
    assert "Nothing was erased" in scene.until_state(node_id, "clean failed").last_error


def test_cleaning_by_a_ramdisk_that_only_had_other_steps_fails(scene: Any, agent: Any) -> None:
    agent.clean_steps = [offer("burnin_cpu", 50), offer("erase_pstore", 40), offer("erase_all", 0)]
    node = scene.until_state(cleaning(scene, agent), "clean failed")
    assert "those of deploy.erase_pstore" not in node.last_error
    assert "deploy.erase_all are 0" in node.last_error
    assert executed(agent) == []


def test_cleaning_that_found_nothing_to_erase_fails(scene: Any, agent: Any) -> None:
    agent.clean_result = {}  # The result per disk: there were none.
    node = scene.until_state(cleaning(scene, agent), "clean failed")
    assert "has erased nothing" in node.last_error
    assert executed(agent) == ["erase_devices_metadata", "erase_devices"]


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ([], "is not an object"),
        ({"erase_devices": 1}, "is no step"),
        ({"deploy.erase_devices": -1}, "not a whole number"),
        ({"deploy.erase_devices": True}, "not a whole number"),
        ({"deploy.erase_devices": None}, "not a whole number"),
    ],
)
def test_priorities_that_are_none_refuse_cleaning_but_not_deleting(
    scene: Any, told: Any, said: str
) -> None:
    scene.start()
    node_id = scene.node("manageable", driver_info={"step_priorities": told})
    with pytest.raises(Invalid, match=said):
        scene.provision(node_id, "provide")
    assert scene.get(node_id).provision_state == "manageable"
    node_id = scene.node("active", driver_info={"step_priorities": told})
    scene.provision(node_id, "deleted")
    assert said in scene.until_state(node_id, "clean failed").last_error
