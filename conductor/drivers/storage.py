"""Storage interface ``external``: volumes that somebody else has made, and that node's volume
targets tell of. A node with one of boot_index 0 boots from it; no disk is written.

``noop`` (``plain.py``) is for machines that have their disks inside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from conductor.drivers.base import Storage
from drophammer import volumes
from drophammer.model import Node

if TYPE_CHECKING:
    from conductor.task import Task


class ExternalStorage(Storage):
    def validate(self, node: Node) -> None:
        with self.box.store.read() as session:
            volumes.of_node(session, node.id, node.uuid)

    def boots(self, session: Session, node: Node) -> bool:
        return volumes.are_booted(session, node.id)

    def offer(self, task: Task) -> bool:
        with task.box.store.read() as session:
            # Here, so that what cannot be booted is told before the machine is touched.
            found = volumes.of_node(session, task.node.id, task.node.uuid)
        if found is None:
            return False
        task.driver.boot.prepare_volume(task)
        return True
