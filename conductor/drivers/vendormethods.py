"""Vendor methods as a driver declares them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from drophammer.model import Node


@dataclass(frozen=True)
class VendorMethod:
    """Something that only this vendor's machines can do, as a method that clients call by name.

    ``run(node, http_method, arguments)`` does it; ``check`` of the same arguments raises
    Invalid before anything begins. A background method answers nothing; ``attach``: the
    result is a file rather than JSON; ``exclusive``: nobody else works on the node.
    """

    run: Callable[[Node, str, Mapping[str, Any]], Any]
    http_methods: tuple[str, ...]
    description: str
    background: bool = False
    attach: bool = False
    exclusive: bool = True
    check: Callable[[Node, str, Mapping[str, Any]], None] | None = None


@dataclass(frozen=True)
class DriverMethod:
    """The same for a whole hardware type: ``run(http_method, arguments)``."""

    run: Callable[[str, Mapping[str, Any]], Any]
    http_methods: tuple[str, ...]
    description: str
    background: bool = False
    attach: bool = False
    exclusive: bool = False
