"""Fake RAID: what is asked for is what there is, in the node's row."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from conductor.drivers.base import StepFunction
from conductor.drivers.fake.acting import Fake, pause
from conductor.drivers.raid import ConfiguredRaid
from conductor.once import once
from conductor.outcomes import Done, Outcome
from drophammer.errors import Invalid
from drophammer.model import Node, Step
from drophammer.operations import RAID_VOLUMES, StepSpec

if TYPE_CHECKING:
    from conductor.task import Task


def _optional(description: str) -> dict[str, Any]:
    return {"description": description, "required": False}


_CREATE = {
    "create_root_volume": _optional("Whether to build the root volume; default true."),
    "create_nonroot_volumes": _optional("Whether to build the other volumes; default true."),
    "delete_existing": _optional("Whether to delete what there is first; default true."),
}
_APPLY = {
    "raid_config": {"description": "The RAID configuration to build.", "required": True},
    **_CREATE,
}


class FakeRaid(Fake, ConfiguredRaid):
    def steps(self, node: Node, purpose: str) -> list[StepSpec]:
        offered = {
            "create_configuration": _CREATE,
            "delete_configuration": {},
            "apply_configuration": _APPLY,
        }
        return [
            StepSpec("raid", name, argsinfo=takes, destroys=RAID_VOLUMES)
            for name, takes in offered.items()
        ]

    def functions(self) -> Mapping[str, StepFunction]:
        return {
            "create_configuration": self._create,
            "delete_configuration": self._delete,
            "apply_configuration": self._apply,
        }

    def _create(self, task: Task, step: Step) -> Outcome:
        return self._build(task, step, task.node.target_raid_config)

    def _apply(self, task: Task, step: Step) -> Outcome:
        return self._build(task, step, step.args.get("raid_config"))

    def _delete(self, task: Task, step: Step) -> Outcome:
        outcome = pause(task, step, "raid")
        if isinstance(outcome, Done):
            once(
                task,
                step,
                "delete its logical disks",
                lambda: task.update(
                    {"raid_config": {}}, event=("raid", "no logical disks any more")
                ),
                done=lambda: not task.node.raid_config,
            )
        return outcome

    def _build(self, task: Task, step: Step, config: object) -> Outcome:
        if not isinstance(config, dict) or not config:
            raise Invalid(
                f"Node {task.node.uuid} has no RAID configuration to build: set its "
                "target_raid_config first (PUT states/raid)."
            )
        self.validate_config(task.node, config)
        outcome = pause(task, step, "raid")
        if isinstance(outcome, Done):
            once(
                task,
                step,
                "build its logical disks",
                lambda: _add(task, step, config["logical_disks"]),
                done=lambda: _built_since(task.node, step),
            )
        return outcome


def _add(task: Task, step: Step, disks: list[Any]) -> None:
    there = [] if step.args.get("delete_existing", True) else _disks(task.node)
    built = there + [disk for disk in disks if _wanted(disk, step.args)]
    shown = {"logical_disks": built, "last_updated": task.now().isoformat()}
    task.update({"raid_config": shown}, event=("raid", f"{len(built)} logical disks"))


def _built_since(node: Node, step: Step) -> bool:
    """Whether what there is was built in ``step``: the fake controller keeps the time."""
    told = node.raid_config.get("last_updated")
    if not isinstance(told, str) or step.started_at is None:
        return False
    return datetime.datetime.fromisoformat(told) >= step.started_at


def _wanted(disk: Mapping[str, Any], args: Mapping[str, Any]) -> bool:
    root = disk.get("is_root_volume", False)
    return bool(args.get("create_root_volume" if root else "create_nonroot_volumes", True))


def _disks(node: Node) -> list[Any]:
    disks = node.raid_config.get("logical_disks")
    return disks if isinstance(disks, list) else []
