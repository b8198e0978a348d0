"""What finds the route of a path: werkzeug's map of the routes.

Nothing in a map belongs to an application, so that those with the same routes share one.
To make it takes longer than all else that an application needs to start.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from werkzeug.routing import Map, Rule

from api.routes import ROUTES, Route


def routes(*, ramdisk_only: bool) -> list[Route]:
    """All routes, or those that ramdisks need."""
    return [route for route in ROUTES if route.ramdisk or not ramdisk_only]


def name(route: Route) -> str:
    """What a route is called in the map."""
    return f"{route.method} {route.path}"


@functools.cache
def url_map(*, ramdisk_only: bool) -> Map:
    """The map of all routes, or of those that ramdisks need."""
    return Map([_rule(route) for route in routes(ramdisk_only=ramdisk_only)], merge_slashes=False)


def _rule(route: Route) -> Rule:
    rule = _FindingOnly(route.rule, endpoint=name(route), methods=[route.method, "OPTIONS"])
    # Only ``/v1`` has HEAD; werkzeug gives it to whatever has GET.
    if rule.methods is not None and route.method != "HEAD":
        rule.methods.discard("HEAD")
    return rule


class _FindingOnly(Rule):
    """A rule from which no URL is made: to compile what would make them is most of the work."""

    # OPTIONS is answered by Flask, with the methods that a path has.
    provide_automatic_options = True

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        return _makes_no_url


def _makes_no_url(*_: Any, **__: Any) -> tuple[str, str]:
    raise NotImplementedError("No URL is made from a route's rule.")
