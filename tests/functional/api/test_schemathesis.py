"""schemathesis, which knows nothing of us but our own OpenAPI document, against the API."""

from __future__ import annotations

import copy
import re

import pytest
import schemathesis
from hypothesis import given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.routes import ROUTES
from tests.functional.api.world import ANSWERS

CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
]

# The fuzz tests try the same routes with requests that know more.
pytestmark = pytest.mark.slow


@pytest.fixture
def database(full_database):
    return full_database[0]


@pytest.fixture(scope="module")
def schema(conformance, full_database):
    """Our document, with names in it that lead somewhere."""
    document = copy.deepcopy(conformance.document)
    for path, entry in document["paths"].items():
        parts = {match[1]: match.start() for match in re.finditer(r"{(\w+)}", path)}
        for parameter in entry["parameters"]:
            if parameter.get("in") == "path":
                known = full_database[1].known(path, parts[parameter["name"]], parameter["name"])
                parameter["schema"] = {"anyOf": [{"enum": known}, parameter["schema"]]}
    return schemathesis.openapi.from_dict(document)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_operation_keeps_what_the_document_says(
    api, conductor, netboot, schema, route
) -> None:
    conductor.answers.update(ANSWERS)
    netboot.answers.update(ANSWERS)
    schema.app = api.client.application
    operation = schema[route.path][route.method]

    @settings(max_examples=max(1, settings.default.max_examples // 20))
    @given(st.one_of(operation.as_strategy(generation_mode=mode) for mode in GenerationMode))
    def call(case) -> None:
        case.call_and_validate(checks=CHECKS)

    call()
