"""Fake BIOS settings: a small registry of them; the values are kept in the node's rows.

The table that caches real machines' settings is this machine's memory, so that no
restart of a conductor changes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from conductor.drivers.base import Bios, Known, StepFunction
from conductor.drivers.fake.acting import Fake, pause
from conductor.once import once
from conductor.outcomes import Done, Outcome
from drophammer.errors import Invalid
from drophammer.model import BiosSetting, Node, Step
from drophammer.operations import StepSpec

if TYPE_CHECKING:
    from conductor.task import Task

_ARGUMENTS = {
    "settings": {
        "description": 'The settings to change, as a list of {"name", "value"}.',
        "required": True,
    }
}


def _choice(value: str, *choices: str) -> dict[str, Any]:
    return {
        "value": value,
        "attribute_type": "Enumeration",
        "allowable_values": list(choices),
        "read_only": False,
        "reset_required": True,
    }


_FACTORY: dict[str, dict[str, Any]] = {
    "BootMode": _choice("Uefi", "Uefi", "Bios"),
    "ProcVirtualization": _choice("Enabled", "Enabled", "Disabled"),
    "LogicalProc": _choice("Enabled", "Enabled", "Disabled"),
    "SriovGlobalEnable": _choice("Disabled", "Enabled", "Disabled"),
    "BootRetryDelay": {
        "value": "30",
        "attribute_type": "Integer",
        "lower_bound": 0,
        "upper_bound": 600,
        "read_only": False,
        "reset_required": False,
    },
    "AssetTag": {
        "value": "",
        "attribute_type": "String",
        "min_length": 0,
        "max_length": 63,
        "read_only": False,
        "reset_required": False,
        "unique": True,
    },
    "SystemModelName": {
        "value": "Fake",
        "attribute_type": "String",
        "min_length": 0,
        "max_length": 63,
        "read_only": True,
        "reset_required": False,
    },
}


class FakeBios(Fake, Bios):
    def settings(self, node: Node, known: Known) -> list[dict[str, Any]]:
        self.strike(node)
        stored = known()
        return [
            {"name": name, **told, "value": stored.get(name, told)["value"]}
            for name, told in _FACTORY.items()
        ]

    def steps(self, node: Node, purpose: str) -> list[StepSpec]:
        return [
            StepSpec("bios", "apply_configuration", argsinfo=_ARGUMENTS),
            StepSpec("bios", "factory_reset"),
        ]

    def functions(self) -> Mapping[str, StepFunction]:
        return {
            "apply_configuration": self._apply_configuration,
            "factory_reset": self._factory_reset,
        }

    def _apply_configuration(self, task: Task, step: Step) -> Outcome:
        changes = _checked(step.args.get("settings"))
        outcome = pause(task, step, "bios")
        if isinstance(outcome, Done):
            self._set(task, step, self._values(task.node) | changes)
        return outcome

    def _factory_reset(self, task: Task, step: Step) -> Outcome:
        outcome = pause(task, step, "bios")
        if isinstance(outcome, Done):
            self._set(task, step, {name: told["value"] for name, told in _FACTORY.items()})
        return outcome

    def _set(self, task: Task, step: Step, values: Mapping[str, str]) -> None:
        once(
            task,
            step,
            "change its BIOS settings",
            lambda: _write(task, values),
            done=lambda: self._values(task.node) == values,
        )

    def _values(self, node: Node) -> dict[str, str]:
        query = select(BiosSetting.name, BiosSetting.value).where(BiosSetting.node_id == node.id)
        with self.box.store.ask() as connection:
            stored = {row.name: row.value for row in connection.execute(query)}
        return {name: stored.get(name, told["value"]) for name, told in _FACTORY.items()}


def _write(task: Task, values: Mapping[str, str]) -> None:
    now = task.now()
    with task.box.store.write() as session:
        task.write(session, {})
        query = select(BiosSetting).where(BiosSetting.node_id == task.node.id)
        rows = {row.name: row for row in session.scalars(query)}
        for name, told in _FACTORY.items():
            row = rows.get(name)
            if row is None:
                row = BiosSetting(node_id=task.node.id, name=name, created_at=now)
                session.add(row)
            elif row.value != values[name]:
                row.updated_at = now
            for key, value in {**told, "value": values[name]}.items():
                setattr(row, key, value)


def _checked(given: object) -> dict[str, str]:
    """The wanted values by name. Raises Invalid for what the registry does not allow."""
    if not isinstance(given, list) or not given:
        raise Invalid('settings: expected a list of {"name", "value"} that is not empty.')
    return dict(_one(item) for item in given)


def _one(item: object) -> tuple[str, str]:
    if not isinstance(item, dict) or not isinstance(item.get("name"), str) or "value" not in item:
        raise Invalid('settings: each item is an object with "name" and "value".')
    name, value = item["name"], str(item["value"])
    told = _FACTORY.get(name)
    if told is None:
        raise Invalid(f"settings: there is no {name[:80]!r}; there are {', '.join(_FACTORY)}.")
    if told["read_only"]:
        raise Invalid(f"settings: {name} is read-only.")
    if not _fits(told, value):
        raise Invalid(f"settings: {name} cannot be {value[:80]!r}; {_allowed(told)}.")
    return name, value


def _fits(told: Mapping[str, Any], value: str) -> bool:
    if "allowable_values" in told:
        return value in told["allowable_values"]
    if "upper_bound" in told:
        digits = value.isascii() and value.isdigit() and len(value) < 10
        return digits and told["lower_bound"] <= int(value) <= told["upper_bound"]
    return bool(told["min_length"] <= len(value) <= told["max_length"])


def _allowed(told: Mapping[str, Any]) -> str:
    if "allowable_values" in told:
        return f"allowed are {', '.join(told['allowable_values'])}"
    if "upper_bound" in told:
        return f"allowed are whole numbers from {told['lower_bound']} to {told['upper_bound']}"
    return f"allowed are up to {told['max_length']} characters"
