"""What is told of paths that have no route."""

from __future__ import annotations

import re

import pytest

from api.absent import PATHS, missing
from api.routes import ROUTES

UNKNOWN = "The resource could not be found."


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/v1/portgroups", "portgroups"),
        ("/v1/portgroups/detail", "portgroups"),
        ("/v1/nodes/rack-1/vifs/7", "nodes/rack-1/vifs"),
        ("/v1/nodes/rack-1/states/console", "nodes/rack-1/states/console"),
        ("/v1/drivers/ipmi/vendor_passthru/methods", "drivers/ipmi/vendor_passthru"),
    ],
)
def test_what_is_to_come_is_told_from_a_typing_error(path: str, named: str) -> None:
    assert missing(path) == f"This version of Drophammer does not have /v1/{named} yet."


@pytest.mark.parametrize("path", ["/v1/nodez", "/v1/nodes/x/vif", "/v1/volumes", "/x/portgroups"])
def test_the_rest_is_not_known(path: str) -> None:
    assert missing(path) == UNKNOWN


def test_nothing_that_is_there_is_in_the_table() -> None:
    there = [re.sub(r"{[^}]*}", "{}", route.path.removeprefix("/v1/")) for route in ROUTES]
    assert not [path for path in PATHS for known in there if known == path]
