"""Deploy interface ``autodetect``: another one, chosen by what ``instance_info`` asks for.

It is never made: ``registry.Driver`` puts the chosen one in its place each time, so
the node's field keeps saying ``autodetect``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from conductor.drivers.base import Deploy, Interface
from drophammer.errors import Unsupported
from drophammer.model import Node


class AutodetectDeploy(Deploy):
    """Only a name in the table of drivers."""


def choose(
    node: Node, choices: Mapping[str, type[Interface]], order: Iterable[str]
) -> type[Interface]:
    """The first interface in ``order`` that is enabled and suits the node."""
    for name in order:
        cls = choices.get(name)
        if cls is not None and issubclass(cls, Deploy) and cls.suits(node):
            return cls
    raise Unsupported(
        f"Node {node.uuid}: 'autodetect' finds no deploy interface for it among "
        f"{', '.join(order)} ([DEFAULT] autodetect_deploy_interfaces) that is enabled."
    )
