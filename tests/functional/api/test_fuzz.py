"""Whatever is sent, the answer is never a failure of ours."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.urls import iri_to_uri

from api.node_fields import NODE
from api.port_fields import PORT
from api.routes import ROUTES
from drophammer.states import VERBS

quick = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
# Real lone surrogates and NULs too, as escapes in the JSON text.
texts = st.text(max_size=20) | st.sampled_from(["\x00", "\ud800", "\U0001f600", "x" * 5000, ""])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
node_keys = st.sampled_from(sorted(NODE.fields)) | texts
port_keys = st.sampled_from(sorted(PORT.fields)) | texts
versions = st.integers(1, 115)
MAC = "52:54:00:12:34:56"


@pytest.fixture
def node(api):
    return api.node(name="rack-1")


@quick
@given(body=st.dictionaries(node_keys, values, max_size=5), version=versions)
def test_any_new_node(api, body, version) -> None:
    document = json.dumps({"driver": "fake-hardware", **body})
    answer = api.at(f"1.{version}").post("/v1/nodes", document)
    assert answer.status_code in (201, 400, 406, 409), answer.text


@quick
@given(body=st.dictionaries(port_keys, values, max_size=4), version=versions)
def test_any_new_port(api, node, body, version) -> None:
    document = json.dumps({"node_uuid": node["uuid"], "address": MAC, **body})
    answer = api.at(f"1.{version}").post("/v1/ports", document)
    assert answer.status_code in (201, 400, 406, 409), answer.text


paths = st.builds(lambda root, rest: "/".join(["", root, *rest]), node_keys, st.lists(texts))
steps = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "replace", "remove"]), "path": paths, "value": values}
)


@quick
@given(document=st.lists(steps, max_size=4) | values, version=versions)
def test_any_patch(api, node, document, version) -> None:
    answer = api.at(f"1.{version}").patch(f"/v1/nodes/{node['uuid']}", json.dumps(document))
    assert answer.status_code in (200, 400, 404, 406, 409), answer.text


verb_keys = st.sampled_from(
    ["configdrive", "clean_steps", "deploy_steps", "rescue_password", "disable_ramdisk", "runbook"]
)


@quick
@given(
    target=st.sampled_from(sorted(VERBS)) | values,
    body=st.dictionaries(verb_keys, values, max_size=3),
    version=versions,
)
def test_any_verb(api, node, target, body, version) -> None:
    document = json.dumps({"target": target, **body})
    path = f"/v1/nodes/{node['uuid']}/states/provision"
    answer = api.at(f"1.{version}").put(path, document)
    assert answer.status_code in (202, 400, 404, 406, 409), answer.text


beats = st.sampled_from(
    ["callback_url", "agent_token", "agent_version", "agent_verify_ca", "agent_progress"]
)


@quick
@given(body=st.dictionaries(beats, values, max_size=5), version=versions)
def test_any_heartbeat(api, node, body, version) -> None:
    answer = api.at(f"1.{version}").post(f"/v1/heartbeat/{node['uuid']}", json.dumps(body))
    assert answer.status_code in (400, 404), answer.text


@quick
@given(inventory=values, rest=st.dictionaries(texts, values, max_size=3))
def test_any_inspection_data(api, node, inventory, rest) -> None:
    api.set(node["uuid"], provision_state="inspect wait")
    interfaces = {"interfaces": [{"mac_address": MAC, "name": "eth0"}], "boot": inventory}
    document = {**rest, "inventory": interfaces}
    answer = api.at(None).post("/v1/continue_inspection", json.dumps(document))
    assert answer.status_code in (400, 404), answer.text


PAGING = ["limit", "marker", "sort_key", "sort_dir", "fields", "detail", "after"]
FILTERS = ["maintenance", "owner", "shard", "address", "node", "instance_uuid", "conductor"]
names = st.sampled_from([*PAGING, *FILTERS, "project", "associated", "provision_state"])
LISTS = [route.path for route in ROUTES if route.method == "GET" and "{" not in route.path]


@quick
@given(
    path=st.sampled_from([*LISTS, "/v1/nodes/rack-1/events", "/v1/nodes/rack-1/operations"]),
    query=st.dictionaries(names, texts | st.integers().map(str), max_size=3),
    version=versions,
)
def test_any_query(api, node, conductor, path, query, version) -> None:
    conductor.answers["validate"] = {}
    answer = api.at(f"1.{version}").get(path, query_string=_storable(query))
    assert answer.status_code in (200, 400, 403, 404, 406), answer.text


@quick
@given(path=texts, method=st.sampled_from(["GET", "PUT", "POST", "PATCH", "DELETE"]))
def test_any_path(api, node, path, method) -> None:
    (safe,) = _storable({"path": path}).values()
    for place in (f"/{safe}", f"/v1/nodes/{safe}", f"/v1/nodes/{safe}/states", f"/v1/ports/{safe}"):
        answer = api.call(method, iri_to_uri(place.replace("?", "%3F")))
        assert 400 <= answer.status_code < 500 or answer.status_code == 200, answer.text


def _storable(query: dict[str, str]) -> dict[str, str]:
    """A URL is bytes: what is no text cannot be in it."""
    return {name: text.encode("utf-8", "replace").decode() for name, text in query.items()}
