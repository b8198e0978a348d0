"""The deploy, clean and service steps that this agent offers, and running one by its object.

The same loop for all kinds; what a step does is in ``install.py`` and
``erase.py``.
"""

from __future__ import annotations

from agent import erase, install
from agent.errors import InvalidCommandParams, VersionMismatch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from agent.context import Context
    from agent.imagewriter import Progress

    Json = dict[str, Any]

MANAGER = "DrophammerAgent"
#: Changes when a step's name, order or arguments change: a conductor must then not go on
#: with a list of steps that it got from another ramdisk.
VERSION = {"drophammer_agent": "1"}


class Step:
    """A step with its wire description; ``run(context, node, args, progress)`` gives a text."""

    def __init__(
        self,
        name: str,
        priority: int,
        run: Callable[[Context, Json, Json, Progress], str],
        arguments: dict[str, tuple[str, bool]] | None = None,
        *,
        abortable: bool = False,
    ) -> None:
        self.name, self.priority, self.run = name, priority, run
        self.arguments, self.abortable = arguments, abortable

    def as_wire(self) -> Json:
        """The step object of ``get_*_steps``."""
        described = {
            name: {"description": text, "required": required}
            for name, (text, required) in (self.arguments or {}).items()
        }
        return {
            "step": self.name,
            "interface": "deploy",
            "priority": self.priority,
            "reboot_requested": False,
            "abortable": self.abortable,
            "argsinfo": described or None,
        }


def _write_image(context: Context, node: Json, args: Json, progress: Progress) -> str:
    return install.install_image(
        context, node, args.get("image_info"), args.get("configdrive"), progress
    )


def _erase_metadata(context: Context, node: Json, args: Json, progress: Progress) -> str:
    switches = _switches(node)
    disks = context.disks()
    results = [erase.erase_metadata(disk, skip_read_only=switches.skip_read_only) for disk in disks]
    return erase.summary(results)


def _erase_devices(context: Context, node: Json, args: Json, progress: Progress) -> str:
    return erase.erase_devices(context.disks(), _switches(node), progress)


def _switches(node: Json) -> erase.EraseSwitches:
    try:
        return erase.EraseSwitches(node.get("driver_internal_info") or {})
    except ValueError as error:
        raise InvalidCommandParams(f"a switch in driver_internal_info is bad: {error}") from None


_IMAGE_ARGUMENTS = {
    "image_info": ("What to write: urls, checksum and format of the image.", True),
    "configdrive": ("Config drive: a URL, or base64 of a gzipped file system image.", False),
}
_ERASE_METADATA = ("erase_devices_metadata", _erase_metadata)

#: By kind. A deployed machine has nothing that this agent would do to it.
OFFERED: dict[str, tuple[Step, ...]] = {
    "deploy": (
        Step("write_image", 0, _write_image, _IMAGE_ARGUMENTS),
        Step(_ERASE_METADATA[0], 0, _ERASE_METADATA[1]),
    ),
    "clean": (
        Step("erase_devices", 10, _erase_devices, abortable=True),
        Step(_ERASE_METADATA[0], 99, _ERASE_METADATA[1], abortable=True),
    ),
    "service": (),
}


def offered(kind: str) -> Json:
    """The answer of ``get_deploy_steps`` and its like."""
    return {
        f"{kind}_steps": {MANAGER: [step.as_wire() for step in OFFERED[kind]]},
        "hardware_manager_version": dict(VERSION),
    }


def execute(
    kind: str,
    context: Context,
    progress: Progress,
    wanted: object,
    node: object,
    version: object,
) -> Json:
    """Run one step; ``kind`` is one of ``OFFERED``. The result names the step as it came.

    Raises VersionMismatch, InvalidCommandParams and what the step raises.
    """
    if version is not None and version != VERSION:
        raise VersionMismatch(f"this ramdisk's steps are {VERSION!r}, asked for {version!r}")
    if not isinstance(wanted, dict) or not isinstance(node, dict):
        raise InvalidCommandParams("step and node must be objects")
    step = next((step for step in OFFERED[kind] if step.name == wanted.get("step")), None)
    if step is None or wanted.get("interface", "deploy") != "deploy":
        raise InvalidCommandParams(
            f"this agent has no {kind} step {wanted.get('step')!r} on the interface"
            f" {wanted.get('interface')!r}"
        )
    args = wanted.get("args") or {}
    _check_args(step, args)
    progress.step = step.name
    return {f"{kind}_result": step.run(context, node, args, progress), f"{kind}_step": wanted}


def _check_args(step: Step, args: object) -> None:
    if not isinstance(args, dict):
        raise InvalidCommandParams(f"the args of {step.name} must be an object")
    known = step.arguments or {}
    unknown = [name for name in args if name not in known]
    missing = [name for name, (_, required) in known.items() if required and name not in args]
    if unknown or missing:
        raise InvalidCommandParams(
            f"the step {step.name} lacks arguments {missing} or does not know {unknown}"
        )
