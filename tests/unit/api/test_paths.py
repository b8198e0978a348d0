"""The spellings of a path."""

from __future__ import annotations

import pytest
from werkzeug.datastructures import EnvironHeaders

from api.paths import normal


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("/", "/"),
        ("", "/"),
        ("/v1", "/v1"),
        ("/v1/", "/v1"),
        ("/nodes", "/v1/nodes"),
        ("/nodes/", "/v1/nodes"),
        ("/v1/nodes/a/", "/v1/nodes/a"),
        ("/v1//", "/v1/"),
        ("/v1x", "/v1/v1x"),
        ("/v2/nodes", "/v1/v2/nodes"),
    ],
)
def test_a_path_is_brought_to_its_one_spelling(given: str, expected: str) -> None:
    assert normal(given, EnvironHeaders({})) == expected


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1.90", "/v1/nodes/a"),
        ("1.91", "/v1/nodes/a.json"),
        (None, "/v1/nodes/a.json"),
        ("nonsense", "/v1/nodes/a.json"),
    ],
)
def test_json_at_the_end_is_for_those_who_name_an_old_version(
    version: str | None, expected: str
) -> None:
    environ = {} if version is None else {"HTTP_X_OPENSTACK_IRONIC_API_VERSION": version}
    assert normal("/v1/nodes/a.json", EnvironHeaders(environ)) == expected
