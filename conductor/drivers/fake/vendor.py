"""Fake vendor methods: one of each sort, for trying out clients.

The first four take ``{"bar": ...}`` and accept one word each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from conductor.drivers.base import Vendor
from conductor.drivers.fake.acting import Fake
from conductor.drivers.vendormethods import DriverMethod, VendorMethod
from drophammer.errors import Invalid
from drophammer.masking import mask
from drophammer.model import Node

_EVERY = ("GET", "POST", "PUT", "PATCH", "DELETE")
Arguments = Mapping[str, Any]


class FakeVendor(Fake, Vendor):
    def methods(self) -> Mapping[str, VendorMethod]:
        return {
            "first_method": self._word("baz", background=True),
            "second_method": self._word("kazoo", background=True),
            "third_method_sync": self._word("meow", background=False),
            "fourth_method_shared_lock": self._word("woof", background=True, exclusive=False),
            "echo": VendorMethod(self._echo, _EVERY, "Answers what it was called with."),
            "report": VendorMethod(
                self._report, ("GET",), "Answers a short text as a file.", attach=True
            ),
        }

    def driver_methods(self) -> Mapping[str, DriverMethod]:
        return {
            "echo": DriverMethod(_driver_echo, _EVERY, "Answers what it was called with."),
            "ignore": DriverMethod(
                _ignore, ("POST",), "Takes anything and does nothing.", background=True
            ),
        }

    def _word(self, word: str, *, background: bool, exclusive: bool = True) -> VendorMethod:
        def run(node: Node, http_method: str, arguments: Arguments) -> Any:
            self.act(node)
            return None if background else True

        return VendorMethod(
            run,
            ("POST",),
            f"Accepts the argument bar when it is {word!r}.",
            background=background,
            exclusive=exclusive,
            check=_bar_is(word),
        )

    def _echo(self, node: Node, http_method: str, arguments: Arguments) -> Any:
        self.act(node)
        return {"method": http_method, "arguments": mask(dict(arguments))}

    def _report(self, node: Node, http_method: str, arguments: Arguments) -> Any:
        self.act(node)
        return f"Node {node.uuid} is fake hardware.\n"


def _bar_is(word: str) -> Callable[[Node, str, Arguments], None]:
    def check(node: Node, http_method: str, arguments: Arguments) -> None:
        if arguments.get("bar") != word:
            raise Invalid(f"This method needs the argument bar, and it must be {word!r}.")

    return check


def _driver_echo(http_method: str, arguments: Arguments) -> Any:
    return {"method": http_method, "arguments": mask(dict(arguments))}


def _ignore(http_method: str, arguments: Arguments) -> None:
    """Nothing."""
