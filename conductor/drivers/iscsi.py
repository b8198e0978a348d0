"""Deploy interface ``iscsi``: the machine offers its disk, and the conductor writes the image.

All bytes go through the conductor, so ``direct`` is what to use wherever machines reach the
image server themselves. Before and after the writing both are the same.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from conductor import configdrive, imagepush
from conductor.drivers.base import StepFunction
from conductor.drivers.direct import DirectDeploy
from conductor.outcomes import Done, Outcome
from conductor.steps.agent import ask, need_agent
from drophammer import operations
from drophammer.errors import Invalid
from drophammer.model import Node, Step
from drophammer.operations import ROOT_DEVICE, StepSpec

if TYPE_CHECKING:
    from conductor.task import Task

PORT = 3260
#: In the agent's target; tgt counts from 1.
LUN = 0


class IscsiDeploy(DirectDeploy):
    @classmethod
    def suits(cls, node: Node) -> bool:
        """Only where it was asked for by name."""
        return False

    def validate(self, node: Node) -> None:
        super().validate(node)
        info = node.instance_info
        problems = []
        if (info.get("image_disk_format") or "raw") not in imagepush.FORMATS:
            problems.append(f"image_disk_format is not one of {', '.join(imagepush.FORMATS)}")
        if "://" in str(info.get("image_checksum", "")) and not info.get("image_os_hash_value"):
            problems.append("image_checksum is a URL; deploy interface 'iscsi' takes a digest")
        if problems:
            raise Invalid(f"Cannot deploy node {node.uuid}: instance_info: {'; '.join(problems)}.")

    def steps(self, node: Node, purpose: str) -> list[StepSpec]:
        ours = StepSpec("deploy", "write_image", 80, destroys=ROOT_DEVICE)
        return [ours if spec.step == ours.step else spec for spec in super().steps(node, purpose)]

    def functions(self) -> Mapping[str, StepFunction]:
        return {**super().functions(), "write_image": write_image}


def write_image(task: Task, step: Step) -> Outcome:
    """Fetch, check, write; begun anew on each visit.

    A conductor that went on before us may still be writing: the agent ends its target when
    it makes ours, which has a name that nobody else knows.
    """
    info = task.node.instance_info
    with tempfile.TemporaryDirectory(prefix="drophammer-image-") as folder:
        image = Path(folder) / "image"
        imagepush.fetch(task.box.namespace, info, image)
        task.confirm()
        iqn = f"iqn.2026-01.org.drophammer:{task.node.uuid}:{secrets.token_hex(8)}"
        ask(task, "iscsi.start_iscsi_target", {"iqn": iqn, "portal_port": PORT})
        kind = str(info.get("image_disk_format") or "raw")
        push = imagepush.Push(task.box.namespace, image, kind, _url(task, iqn))
        push.run(lambda percent: _tell(task, percent))
    task.confirm()
    drive = configdrive.for_agent(task.node)
    ask(task, "iscsi.stop_iscsi_target", {"configdrive": drive} if drive else {})
    return Done()


def _url(task: Task, iqn: str) -> str:
    host = urlsplit(need_agent(task).url or "").hostname or ""
    return f"iscsi://{f'[{host}]' if ':' in host else host}:{PORT}/{iqn}/{LUN}"


def _tell(task: Task, percent: int) -> None:
    with task.box.store.write() as session:
        task.write(session, {})
        values = {
            "progress_done": percent,
            "progress_total": 100,
            "progress_message": "percent of the image written over iSCSI",
            "progress_at": task.now(),
        }
        operations.set_values(session, task.operation.id, values)
