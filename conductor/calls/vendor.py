"""Vendor methods: of a node, and of a hardware type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from conductor.calls.access import NodeCalls, explained
from conductor.drivers.base import Vendor
from conductor.drivers.registry import Driver
from conductor.drivers.vendormethods import DriverMethod, VendorMethod
from drophammer.errors import Invalid
from drophammer.model import Node

Method = TypeVar("Method", VendorMethod, DriverMethod)


class VendorCalls(NodeCalls):
    def vendor_methods(self, node_id: int) -> dict[str, Any]:
        """The node's vendor methods by name, in the form that clients get."""
        _, driver = self._driver(node_id)
        return _shown(_methods(driver))

    def vendor_call(
        self, node_id: int, method: str, http_method: str, arguments: dict[str, Any]
    ) -> dict[str, Any]:
        """Call one: {"async", "result", "attach"}. A background one has no result."""
        node, driver = self._driver(node_id)
        called = self._checked(node, driver, method, http_method, arguments)
        result = None
        if called.background:
            self._call_behind(node, method, called, http_method, arguments)
        elif called.exclusive:
            with self._held(node_id, f"vendor method {method}") as (held, _):
                result = called.run(held, http_method, arguments)
        else:
            with explained(node, f"vendor method {method}"):
                result = called.run(node, http_method, arguments)
        return {"async": called.background, "result": result, "attach": called.attach}

    def driver_vendor_methods(self, driver: str) -> dict[str, Any]:
        """The hardware type's vendor methods by name."""
        return _shown(self._driver_methods(driver))

    def driver_vendor_call(
        self, driver: str, method: str, http_method: str, arguments: dict[str, Any]
    ) -> dict[str, Any]:
        """Call one of those."""
        called = _find(self._driver_methods(driver), method, http_method, f"driver '{driver}'")
        result = None
        if called.background:
            self._workers.admit()
            self._workers.submit(called.run, http_method, arguments)
        else:
            result = called.run(http_method, arguments)
        return {"async": called.background, "result": result, "attach": called.attach}

    def _driver_methods(self, driver: str) -> Mapping[str, DriverMethod]:
        vendor = self._box.drivers.default(self._box, driver, "vendor")
        return vendor.driver_methods() if isinstance(vendor, Vendor) else {}

    def _checked(
        self,
        node: Node,
        driver: Driver,
        method: str,
        http_method: str,
        arguments: dict[str, Any],
    ) -> VendorMethod:
        found = _find(_methods(driver), method, http_method, f"node {node.uuid}")
        if found.check is not None:
            found.check(node, http_method, arguments)
        return found

    def _call_behind(
        self,
        node: Node,
        method: str,
        called: VendorMethod,
        http_method: str,
        arguments: dict[str, Any],
    ) -> None:
        if not called.exclusive:
            self._workers.admit()
            self._workers.submit(called.run, node, http_method, arguments)
            return

        def work(held: Node, driver: Driver) -> None:
            called.run(held, http_method, arguments)

        self._behind(node.id, f"vendor method {method}", work, check=lambda held, driver: None)


def _methods(driver: Driver) -> Mapping[str, VendorMethod]:
    vendor = driver.interface("vendor")
    return vendor.methods() if isinstance(vendor, Vendor) else {}


def _find(methods: Mapping[str, Method], name: str, http_method: str, where: str) -> Method:
    found = methods.get(name)
    if found is None:
        raise Invalid(
            f"There is no vendor method {name[:80]!r} on {where}; there are "
            f"{', '.join(methods) or 'none'}."
        )
    if http_method.upper() not in found.http_methods:
        raise Invalid(
            f"The vendor method {name} takes {', '.join(found.http_methods)}, not {http_method}."
        )
    return found


def _shown(methods: Mapping[str, VendorMethod] | Mapping[str, DriverMethod]) -> dict[str, Any]:
    return {
        name: {
            "http_methods": list(method.http_methods),
            "async": method.background,
            "description": method.description,
            "attach": method.attach,
            "require_exclusive_lock": method.exclusive,
        }
        for name, method in methods.items()
    }
