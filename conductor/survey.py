"""Planning without an end at the first obstacle: a driver that notes what is wrong with a
node's fields, where the node's own would raise it.
"""

from __future__ import annotations

import copy
import functools
import logging

from conductor.drivers.base import Interface
from conductor.drivers.registry import Driver
from conductor.toolbox import Toolbox
from drophammer.errors import DrophammerError
from drophammer.model import Node

LOG = logging.getLogger(__name__)
UNKNOWN = "It could not be checked; the conductor's log has the details."


class SurveyDriver(Driver):
    """``noted`` has what each interface that was asked says against it, by its kind."""

    def __init__(self, box: Toolbox, node: Node, noted: dict[str, str] | None = None) -> None:
        super().__init__(box, node)
        self.noted = {} if noted is None else noted

    def without_instance(self) -> Driver:
        """The same, noting in the same place."""
        return SurveyDriver(self.box, super().without_instance().node, self.noted)

    def interface(self, kind: str) -> Interface:
        """The node's interface, with a ``validate`` that raises nothing."""
        real = super().interface(kind)
        tolerant = copy.copy(real)
        tolerant.__dict__["validate"] = functools.partial(self._note, kind, real)
        return tolerant

    def _note(self, kind: str, real: Interface, node: Node) -> None:
        try:
            real.validate(node)
        except DrophammerError as error:
            self.noted.setdefault(kind, error.message)
        except Exception:
            LOG.exception("node %s: validation of its %s interface failed", node.uuid, kind)
            self.noted.setdefault(kind, UNKNOWN)
