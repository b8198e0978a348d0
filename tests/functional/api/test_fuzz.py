"""Whatever is sent to whatever route, the answer is never a failure of ours.

That every answer is one that is documented, the fixture ``api`` sees to. More is
tried with ``--hypothesis-profile=long``.
"""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.node_fields import NODE
from api.routes import ROUTES
from drophammer.states import VERBS
from tests.functional.api.generated import TEXTS, VALUES, VERSIONS, requests, url_text
from tests.functional.api.world import ANSWERS, MAC

METHODS = ("GET", "PUT", "POST", "PATCH", "DELETE")


def part(share: float) -> settings:
    """Some of what the profile says, for tests that are many."""
    return settings(max_examples=max(1, int(settings.default.max_examples * share)))


@pytest.fixture
def database(full_database):
    return full_database[0]


@pytest.fixture
def world(full_database, conductor, netboot):
    conductor.answers.update(ANSWERS)
    netboot.answers.update(ANSWERS)
    return full_database[1]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_any_request(api, world, conformance, route) -> None:
    @part(0.15)
    @given(requests(route, world, conformance.document))
    def ask(request) -> None:
        path, query, body, version = request
        document = None if body is None else json.dumps(body)
        answer = api.at(version).call(route.method, path, document, query_string=query)
        assert answer.status_code < 500, answer.text

    ask()


@part(1)
@given(
    path=TEXTS | st.lists(TEXTS, max_size=3).map("/".join),
    method=st.sampled_from(METHODS),
    version=VERSIONS,
)
def test_any_path(api, world, path, method, version) -> None:
    safe = url_text(path)
    for place in (f"/{safe}", f"/v1/nodes/{safe}", f"/v1/nodes/rack-1/{safe}", f"/v1/{safe}"):
        # werkzeug's client takes what follows two slashes for a host.
        single = "/" + quote(place, safe="/%").lstrip("/")
        answer = api.at(version).call(method, single)
        assert answer.status_code < 500, answer.text


@part(0.5)
@given(path=st.sampled_from([route.path for route in ROUTES]), method=st.sampled_from(METHODS))
def test_any_method_on_any_path(api, world, path, method) -> None:
    answer = api.call(method, world.filled(path), b"{}")
    assert answer.status_code < 500, answer.text


@part(1)
@given(body=st.binary(max_size=200) | TEXTS.map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_as_a_body(api, world, body) -> None:
    for method, path in (("POST", "/v1/nodes"), ("PATCH", "/v1/nodes/rack-1")):
        assert api.call(method, path, body).status_code < 500


@part(0.5)
@given(version=TEXTS.map(url_text).filter(lambda text: text.isprintable()))
def test_any_version(api, world, version) -> None:
    for name in ("X-OpenStack-Ironic-API-Version", "OpenStack-API-Version"):
        answer = api.at(None).get("/v1", headers={name: version})
        assert answer.status_code in (200, 406), answer.text


paths = st.builds(
    lambda root, rest: "/".join(["", root, *rest]),
    st.sampled_from(sorted(NODE.fields)) | TEXTS,
    st.lists(TEXTS, max_size=4),
)
steps = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "replace", "remove"]), "path": paths, "value": VALUES}
)


@part(1)
@given(document=st.lists(steps, max_size=4) | VALUES, version=VERSIONS)
def test_any_patch(api, world, document, version) -> None:
    answer = api.at(version).patch("/v1/nodes/rack-1", json.dumps(document))
    assert answer.status_code in (200, 400, 404, 406, 409), answer.text


@part(1)
@given(
    target=st.sampled_from(sorted(VERBS)) | VALUES,
    state=st.sampled_from(["manageable", "available", "active", "clean failed", "rescue"]),
    body=st.dictionaries(
        st.sampled_from(
            ["configdrive", "clean_steps", "deploy_steps", "rescue_password", "runbook"]
        ),
        VALUES,
        max_size=3,
    ),
    version=VERSIONS,
)
def test_any_verb(api, world, target, state, body, version) -> None:
    api.set(world.names["nodes"][0], provision_state=state)
    document = json.dumps({"target": target, **body})
    answer = api.at(version).put("/v1/nodes/rack-1/states/provision", document)
    assert answer.status_code < 500, answer.text


@part(0.5)
@given(inventory=VALUES, rest=st.dictionaries(TEXTS, VALUES, max_size=3))
def test_any_inspection_data(api, world, inventory, rest) -> None:
    api.set(world.names["nodes"][0], provision_state="inspect wait")
    interfaces = {"interfaces": [{"mac_address": MAC, "name": "eth0"}], "boot": inventory}
    document = {**rest, "inventory": interfaces}
    answer = api.at(None).post("/v1/continue_inspection", json.dumps(document))
    assert answer.status_code in (202, 400, 404), answer.text
