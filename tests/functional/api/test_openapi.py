"""The OpenAPI document is valid, whole and true. (That answers fit it, every test here checks.)"""

from __future__ import annotations

import re

import pytest
from openapi_spec_validator import validate

from api import arguments
from api.app import create_app
from api.routes import ROUTES
from api.settings import Settings

DESCRIBED = ("get", "head", "post", "put", "patch", "delete")


@pytest.fixture
def document(api):
    answer = api.get("/openapi.json")
    assert answer.status_code == 200
    return answer.json


def operations(document):
    for path, entry in document["paths"].items():
        for method in DESCRIBED:
            if method in entry:
                yield method, path, entry[method]


def test_the_document_is_valid(document) -> None:
    validate(document)
    assert document["openapi"].startswith("3.1.")


def test_every_route_and_method_is_in_it_and_nothing_else(api, document) -> None:
    routed = {
        (method, rule.rule.replace("<", "{").replace(">", "}"))
        for rule in api.client.application.url_map.iter_rules()
        for method in rule.methods - {"OPTIONS"}
    }
    described = {(method.upper(), path) for method, path, _ in operations(document)}
    assert described == routed


def test_every_operation_says_what_it_does_in_a_sentence_of_its_own(document) -> None:
    texts = {(method, path): found["summary"] for method, path, found in operations(document)}
    assert [
        place for place, text in texts.items() if not re.fullmatch(r"[A-Z][^\n]+\.", text)
    ] == []
    assert [
        text for text in texts.values() if re.match(r"(GET|PUT|POST|PATCH|DELETE) /", text)
    ] == []
    idents = [found["operationId"] for _, _, found in operations(document)]
    assert len(idents) == len(set(idents))


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_is_described_to_its_end(route) -> None:
    endpoint = route.handler
    assert set(endpoint.query or {}) <= set(arguments.QUERY)
    assert set(endpoint.headers) <= set(arguments.HEADER)
    assert set(re.findall(r"{(\w+)}", route.path)) <= set(arguments.PATH)
    tables = [table for table in (endpoint.shows, endpoint.lists) if table is not None]
    undescribed = [
        f"{table.noun}.{entry.name}"
        for table in tables
        for entry in table.fields.values()
        if not entry.schema
    ]
    assert undescribed == []
    if endpoint.status in (200, 201):
        assert tables or endpoint.reply is not None


def test_versions_are_told_of_paths_arguments_and_fields(document) -> None:
    inventory = document["paths"]["/v1/nodes/{ident}/inventory"]["get"]
    assert inventory["x-drophammer-since"] == "1.81"
    query = {entry["name"]: entry for entry in document["paths"]["/v1/nodes"]["get"]["parameters"]}
    assert query["shard"]["x-drophammer-since"] == "1.82"
    assert "x-drophammer-since" not in query["limit"]
    assert query["sort_key"]["schema"]["enum"][0] == "id"
    node = document["components"]["schemas"]["Node"]["properties"]
    assert node["firmware_interface"]["x-drophammer-since"] == "1.86"
    assert node["created_at"]["format"] == "date-time"


def test_what_a_body_takes_is_told(document) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["NodeNew"]["required"] == ["driver"]
    assert "provision_state" not in schemas["NodeNew"]["properties"]
    assert "node_ident" in schemas["PortNew"]["properties"]
    body = document["paths"]["/v1/nodes/{ident}/states/provision"]["put"]["requestBody"]
    properties = body["content"]["application/json"]["schema"]["properties"]
    assert properties["service_steps"]["x-drophammer-since"] == "1.87"
    assert "rescue (1.38)" in properties["target"]["description"]
    path = schemas["NodePatch"]["items"]["properties"]["path"]
    assert re.search(path["pattern"], "/extra/a")
    assert not re.search(path["pattern"], "/uuid")


def test_it_is_open_to_all_where_the_rest_is_not(store, bus, tmp_path, document) -> None:
    users = tmp_path / "htpasswd"
    users.write_text("")
    settings = Settings(auth_strategy="http_basic", http_basic_auth_user_file=str(users))
    client = create_app(settings, store, bus).test_client()
    assert client.get("/v1/nodes").status_code == 401
    assert client.get("/openapi.json").json == document
    assert client.get("/docs").status_code == 200
    assert document["paths"]["/openapi.json"]["get"]["security"] == []
    assert "401" in document["paths"]["/v1/nodes"]["get"]["responses"]
    assert "401" not in document["paths"]["/v1/lookup"]["get"]["responses"]


@pytest.mark.parametrize("version", [None, "1.1", "1.90", "latest"])
@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/docs/"])
def test_every_version_has_it_under_one_address(api, version, path) -> None:
    assert api.at(version).get(path).status_code == 200
    assert api.at(version).get(f"/v1{path.removesuffix('/')}x").status_code == 404


NONSENSE = {"boolean": "perhaps", "integer": "few"}


def test_arguments_are_of_the_kinds_that_are_told(api, document) -> None:
    asked = 0
    for method, path, operation in operations(document):
        if method != "get" or "{" in path:
            continue
        for argument in operation["parameters"]:
            schema = argument["schema"]
            wrong = "none-of-these" if "enum" in schema else NONSENSE.get(schema.get("type"))
            if wrong is None:
                continue
            answer = api.get(path, query_string={argument["name"]: wrong})
            assert answer.status_code == 400, (path, argument["name"], answer.text)
            asked += 1
    assert asked > 30


def test_how_a_client_of_the_event_stream_comes_back_is_described(api, document) -> None:
    found = document["paths"]["/v1/events"]["get"]["parameters"]
    told = {(one["name"], one["in"]) for one in found}
    assert ("Last-Event-ID", "header") in told
    assert "Last-Event-ID" in api.get("/docs").text
