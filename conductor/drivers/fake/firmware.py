"""Fake firmware: three components; their versions are kept in the node's rows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from conductor.drivers.base import Firmware, Known, StepFunction
from conductor.drivers.fake.acting import Fake, pause
from conductor.once import once
from conductor.outcomes import Done, Outcome
from drophammer.bootspec import check_file_url
from drophammer.errors import Invalid
from drophammer.model import FirmwareComponent, Node, Step
from drophammer.operations import StepSpec

if TYPE_CHECKING:
    from conductor.task import Task

_ARGUMENTS = {
    "settings": {
        "description": 'The updates, as a list of {"component", "url"}. The version is the '
        "number in the name of the file.",
        "required": True,
    }
}
_MODELS = {"bios": "Fake BIOS", "bmc": "Fake BMC", "nic:NIC1": "Fake NIC"}
_FACTORY_VERSION = "1.0.0"
_NEW = {"current_version": _FACTORY_VERSION, "last_version_flashed": None}
_VERSION = re.compile(r"\d+(\.\d+)+|\d+")


class FakeFirmware(Fake, Firmware):
    def components(self, node: Node, known: Known) -> list[dict[str, Any]]:
        self.strike(node)
        stored = known()
        return [
            {"component": name, **_NEW, **stored.get(name, {}), **_made(name)} for name in _MODELS
        ]

    def steps(self, node: Node, purpose: str) -> list[StepSpec]:
        return [StepSpec("firmware", "update", argsinfo=_ARGUMENTS)]

    def functions(self) -> Mapping[str, StepFunction]:
        return {"update": self._update}

    def _update(self, task: Task, step: Step) -> Outcome:
        versions = _checked(step.args.get("settings"))
        outcome = pause(task, step, "firmware")
        if isinstance(outcome, Done):
            once(
                task,
                step,
                "update its firmware",
                lambda: _write(task, versions),
                done=lambda: self._has(task.node, versions),
            )
        return outcome

    def _has(self, node: Node, versions: Mapping[str, str]) -> bool:
        query = select(FirmwareComponent.component, FirmwareComponent.last_version_flashed).where(
            FirmwareComponent.node_id == node.id
        )
        with self.box.store.ask() as connection:
            flashed = {row.component: row.last_version_flashed for row in connection.execute(query)}
        return all(flashed.get(name) == version for name, version in versions.items())


def _write(task: Task, versions: Mapping[str, str]) -> None:
    now = task.now()
    with task.box.store.write() as session:
        task.write(session, {})
        for name, version in versions.items():
            row = session.get(FirmwareComponent, (task.node.id, name))
            if row is None:
                row = FirmwareComponent(
                    node_id=task.node.id,
                    component=name,
                    initial_version=_FACTORY_VERSION,
                    created_at=now,
                    **_made(name),
                )
                session.add(row)
            row.current_version = row.last_version_flashed = version
            row.updated_at = now


def _made(name: str) -> dict[str, str]:
    return {"vendor": "Fake", "model": _MODELS[name], "serial_number": "0"}


def _checked(given: object) -> dict[str, str]:
    """The new version of each named component. Raises Invalid."""
    if not isinstance(given, list) or not given:
        raise Invalid('settings: expected a list of {"component", "url"} that is not empty.')
    return dict(_one(item) for item in given)


def _one(item: object) -> tuple[str, str]:
    if not isinstance(item, dict):
        raise Invalid('settings: each item is an object with "component" and "url".')
    name, url = item.get("component"), item.get("url")
    if not isinstance(name, str) or name not in _MODELS:
        raise Invalid(
            f"settings: there is no component {str(name)[:80]!r}; there are {', '.join(_MODELS)}."
        )
    if not isinstance(url, str):
        raise Invalid(f"settings: the update of {name} has no url.")
    check_file_url(url, f"settings: url of {name}")
    found = _VERSION.search(url.rpartition("/")[2])
    if found is None:
        raise Invalid(
            f"settings: the file name in the url of {name} holds no version, like bios-2.1.bin."
        )
    return name, found.group()
