"""Whether a node's fields suffice for what its interfaces do."""

from __future__ import annotations

import logging
from typing import Any

from conductor.calls.access import NodeCalls
from conductor.drivers.registry import Driver
from drophammer.errors import DrophammerError, Unsupported
from drophammer.model import INTERFACES, Node

LOG = logging.getLogger(__name__)


class ValidationCalls(NodeCalls):
    def validate(self, node_id: int) -> dict[str, dict[str, Any]]:
        """Per interface kind (all but vendor): result true, false or None, and the reason."""
        node, driver = self._driver(node_id)
        return {kind: _verdict(driver, kind, node) for kind in INTERFACES if kind != "vendor"}


def _verdict(driver: Driver, kind: str, node: Node) -> dict[str, Any]:
    try:
        driver.interface(kind).validate(node)
    except Unsupported as error:
        return {"result": None, "reason": error.message}
    except DrophammerError as error:
        return {"result": False, "reason": error.message}
    except Exception:
        LOG.exception("node %s: validation of its %s interface failed", node.uuid, kind)
        text = "It could not be checked; the conductor's log has the details."
        return {"result": False, "reason": text}
    return {"result": True}
