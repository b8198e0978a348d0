"""The node's console: is it on, how to reach it, on and off."""

from __future__ import annotations

from typing import Any

from conductor import announce
from conductor.calls.access import Columns, NodeCalls, explained
from conductor.drivers.registry import Driver
from drophammer.model import Node


class ConsoleCalls(NodeCalls):
    def get_console(self, node_id: int) -> dict[str, Any]:
        """{"console_enabled", "console_info"}; the latter is None when it is off."""
        node, driver = self._driver(node_id)
        console = driver.console
        with explained(node, "get console"):
            info = console.info(node) if node.console_enabled else None
        return {"console_enabled": node.console_enabled, "console_info": info}

    def set_console(self, node_id: int, enabled: bool) -> None:
        """Switch it, behind the answer."""

        def check(node: Node, driver: Driver) -> None:
            driver.console.validate(node)

        def work(node: Node, driver: Driver) -> Columns:
            with announce.console(self._box.store, node):
                if enabled:
                    driver.console.start(node)
                else:
                    driver.console.stop(node)
            return {"console_enabled": enabled}

        purpose = "start console" if enabled else "stop console"
        self._behind(node_id, purpose, work, check=check)
