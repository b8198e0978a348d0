"""The judge of the chaos: each kind of damage is seen for what it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from drophammer.model import Node, Operation, new_uuid
from drophammer.store import Store
from tests.chaos.clients import Job, Memory
from tests.chaos.verdict import Verdict, judge
from tests.databases import copied, url_of

NODE = "11111111-1111-4111-8111-111111111111"
ONE_LIFE = (
    "clean erase_devices_metadata",
    "clean erase_devices",
    "deploy write_image",
    "clean erase_devices_metadata",
    "clean erase_devices",
)


class Scene:
    """One machine that was deployed and cleaned; tests change what is remembered of it."""

    def __init__(self, store: Store, url: str, notes: Path) -> None:
        self.url, self.store, self.notes = url, store, notes
        self.done = [f"{what} {part}" for what in ONE_LIFE for part in ("begins", "ends")]
        self.jobs = [
            Job(NODE, "active", 1.0, accepted=True, ended=2.0, state="active"),
            Job(NODE, "deleted", 3.0, accepted=True, ended=4.0, state="available"),
        ]
        self.memory = Memory(jobs=self.jobs)
        self.node: dict[str, Any] = {
            "uuid": NODE,
            "provision_state": "available",
            "reservation": None,
            "maintenance": False,
        }
        self.operations = ["active", "deleted"]

    def judged(self) -> Verdict:
        now = self.store.clock.now()
        with self.store.write() as session:
            node = Node(
                uuid=NODE,
                driver="ipmi",
                provision_state="available",
                extra={"k1": 1},
                created_at=now,
            )
            session.add(node)
            session.flush()
            session.add_all(
                Operation(
                    uuid=new_uuid(),
                    node_id=node.id,
                    verb=verb,
                    flow="deploy",
                    state="done",
                    created_at=now,
                )
                for verb in self.operations
            )
        lines = [json.dumps({"at": 0, "machine": 0, "what": what}) for what in self.done]
        self.notes.write_text("\n".join(lines))
        return judge(self.memory, [self.node], [NODE], self.notes, self.url)


@pytest.fixture
def scene(empty_database: Path, tmp_path: Path) -> Scene:
    path = tmp_path / "chaos.sqlite"
    return Scene(copied(empty_database, path), url_of(path), tmp_path / "notes")


def test_what_went_well_has_survived(scene: Scene) -> None:
    scene.memory.patches[NODE] = {"k1"}
    found = scene.judged()
    assert found.good
    assert str(found) == "survived 2, failed 0, stuck 0, lost 0, double 0"


def test_a_failed_deploy_counts_as_failed(scene: Scene) -> None:
    scene.jobs[0].state, scene.jobs[0].error = "deploy failed", "no power"
    found = scene.judged()
    assert (found.failed, found.survived) == (1, 1)
    assert "no power" in found.lines[0]


@pytest.mark.parametrize(
    "left", [{"provision_state": "wait call-back"}, {"reservation": "conductor-1"}]
)
def test_a_node_that_does_not_come_to_rest_is_stuck(scene: Scene, left: dict[str, Any]) -> None:
    scene.node |= left
    assert scene.judged().stuck == 1


def test_an_accepted_verb_of_which_nothing_came_is_lost(scene: Scene) -> None:
    scene.jobs[1].ended, scene.jobs[1].state = None, "active"
    scene.operations = ["active"]
    assert scene.judged().lost >= 1


def test_an_accepted_change_that_is_gone_is_lost(scene: Scene) -> None:
    scene.memory.patches[NODE] = {"k1", "k2"}
    assert scene.judged().lost == 1


def test_a_disk_that_was_not_erased_is_lost(scene: Scene) -> None:
    scene.done.remove("clean erase_devices ends")
    assert scene.judged().lost == 1


def test_work_that_was_begun_twice_is_double(scene: Scene) -> None:
    scene.operations.append("active")
    assert scene.judged().double == 1


def test_an_image_that_was_written_twice_is_double(scene: Scene) -> None:
    scene.done += ["deploy write_image begins", "deploy write_image ends"]
    assert scene.judged().double == 1


def test_power_that_was_cut_in_the_middle_of_a_write_is_double(scene: Scene) -> None:
    scene.done.append("torn deploy.execute_deploy_step")
    assert scene.judged().double == 1
