"""Lists of nodes: pages, order, filters."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

SOME_UUID = "6b0ae3a1-3a53-4b02-9a3f-1f7d1a7d1c55"

WRONG = [
    "limit=0",
    "limit=-1",
    "limit=x",
    "limit=1.5",
    f"limit={10**30}",
    "limit=%D9%A3",
    "sort_key=extra",
    "sort_key=nothing",
    "sort_key=links",
    "sort_dir=up",
    "marker=x",
    "maintenance=maybe",
    "associated=2",
    "provision_state=flying",
    "fault=toothache",
    "instance_uuid=x",
    "fields=name&detail=true",
    "owner=%00",
    "detail=perhaps",
]

FILTERS = [
    ("owner=x", ["n0", "n4"]),
    ("project=y", ["n2", "n3"]),
    ("lessee=y", ["n3"]),
    ("driver=ipmi", ["n1"]),
    ("resource_class=big", ["n1"]),
    ("maintenance=yes", ["n2"]),
    ("maintenance=0", ["n0", "n1", "n3", "n4"]),
    ("retired=on", ["n3"]),
    ("associated=true", ["n4"]),
    ("associated=f", ["n0", "n1", "n2", "n3"]),
    ("description_contains=50%25", ["n0"]),
    ("shard=s1,s2", ["n0", "n1"]),
    ("sharded=true", ["n0", "n1"]),
    ("instance_name=web", ["n4"]),
    ("conductor=conductor-1", ["n0", "n1", "n2", "n3", "n4"]),
    ("conductor=nobody", []),
    ("conductor_group=X", []),
    ("provision_state=enroll&owner=y", ["n2"]),
    ("fault=clean+failure", ["n2"]),
]


SINCE = [
    ("provision_state=enroll", 9),
    ("driver=ipmi", 16),
    ("resource_class=big", 21),
    ("fault=clean+failure", 42),
    ("conductor_group=x", 46),
    ("conductor=x", 49),
    ("owner=x", 50),
    ("lessee=x", 65),
    ("shard=x", 82),
    ("sharded=true", 82),
    ("include_children=true", 83),
    (f"parent_node={SOME_UUID}", 83),
    ("instance_name=x", 104),
]


def names(answer) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [node["name"] for node in answer.json["nodes"]]


@pytest.fixture
def five(api):
    for number, owner in enumerate(["x", None, "y", None, "x"]):
        api.node(name=f"n{number}", owner=owner)
    return api


def test_a_list_shows_the_few_fields(five) -> None:
    assert set(five.get("/v1/nodes").json["nodes"][0]) == {
        "uuid",
        "name",
        "instance_uuid",
        "maintenance",
        "power_state",
        "provision_state",
        "links",
    }
    assert "name" not in five.at("1.4").get("/v1/nodes").json["nodes"][0]


def follow(api, path) -> list[list[str]]:
    pages = []
    while path:
        answer = api.get(path)
        pages.append(names(answer))
        path = answer.json.get("next")
        if path:
            parts = urlsplit(path)
            path = f"{parts.path}?{parts.query}"
        assert len(pages) < 20
    return pages


@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_pages_in_any_order_hold_everything_once(five, direction) -> None:
    for key in ("name", "owner", "created_at", "maintenance", "updated_at"):
        order = f"sort_key={key}&sort_dir={direction}"
        whole = names(five.get(f"/v1/nodes?{order}"))
        pages = follow(five, f"/v1/nodes?limit=2&{order}")
        assert [name for page in pages for name in page] == whole
        assert sorted(whole) == ["n0", "n1", "n2", "n3", "n4"]


def test_sorted_by_a_column_the_other_way_round_is_reversed(five) -> None:
    up = names(five.get("/v1/nodes?sort_key=owner"))
    assert names(five.get("/v1/nodes?sort_key=owner&sort_dir=desc")) == up[::-1]


def test_next_comes_with_a_full_page_only_and_keeps_filters(five) -> None:
    answer = five.get("/v1/nodes?limit=2&owner=x&fields=name")
    assert "owner=x" in answer.json["next"]
    assert "fields=name" in answer.json["next"]
    assert answer.json["next"].startswith("http://localhost/v1/nodes?")
    assert "next" not in five.get("/v1/nodes?limit=3&owner=x").json


def test_a_limit_above_the_largest_page_is_cut(settings, store, bus, five) -> None:
    import dataclasses

    from api.app import create_app

    small = dataclasses.replace(settings, max_limit=2)
    client = create_app(small, store, bus).test_client()
    assert len(client.get("/v1/nodes?limit=50").json["nodes"]) == 2
    assert len(client.get("/v1/nodes").json["nodes"]) == 2


def test_a_wrong_argument_is_400(five) -> None:
    for query in WRONG:
        assert five.get(f"/v1/nodes?{query}").status_code == 400, query


def test_an_unknown_marker_is_404(five) -> None:
    assert five.get(f"/v1/nodes?marker={SOME_UUID}").status_code == 404


def test_detail_shows_everything(five) -> None:
    assert "driver_info" in five.get("/v1/nodes?detail=True").json["nodes"][0]
    assert "driver_info" in five.get("/v1/nodes/detail").json["nodes"][0]
    assert five.get("/v1/nodes/detail?fields=name").status_code == 400
    assert five.at("1.42").get("/v1/nodes?detail=true").status_code == 400


def test_filters(api) -> None:
    api.node(name="n0", owner="x", shard="s1", description="done by 50% today")
    api.node(name="n1", driver="ipmi", resource_class="big", shard="s2", description="50 of them")
    api.node(name="n2", owner="y", maintenance=True)
    api.node(name="n3", lessee="y", retired=True)
    api.node(name="n4", owner="x", instance_uuid=SOME_UUID, instance_name="web")
    api.set(api.get("/v1/nodes/n2").json["uuid"], fault="clean failure")
    for query, found in FILTERS:
        assert names(api.get(f"/v1/nodes?{query}")) == found, query


def test_an_instance_is_found_and_has_no_next(api) -> None:
    instance = SOME_UUID
    api.node(name="a", instance_uuid=instance)
    answer = api.get(f"/v1/nodes?instance_uuid={instance}&limit=1")
    assert names(answer) == ["a"]
    assert "next" not in answer.json


def test_children_are_hidden_unless_asked_for(api) -> None:
    parent = api.node(name="parent")["uuid"]
    api.node(name="child", parent_node=parent)
    assert names(api.get("/v1/nodes")) == ["parent"]
    assert names(api.get("/v1/nodes?include_children=true")) == ["parent", "child"]
    assert names(api.get(f"/v1/nodes?parent_node={parent}")) == ["child"]
    assert names(api.get("/v1/nodes/detail")) == ["parent"]
    assert names(api.get("/v1/nodes/detail?include_children=true")) == ["parent", "child"]
    assert names(api.get(f"/v1/nodes/detail?parent_node={parent}")) == ["child"]


@pytest.mark.parametrize(("query", "since"), SINCE)
def test_a_filter_newer_than_the_version_is_406(api, query, since) -> None:
    for path in ("/v1/nodes", "/v1/nodes/detail"):
        assert api.at(f"1.{since}").get(f"{path}?{query}").status_code == 200
        assert api.at(f"1.{since - 1}").get(f"{path}?{query}").status_code == 406


def test_nodes_are_sorted_by_who_holds_them(api) -> None:
    api.node(name="free")
    api.lease(api.node(name="held")["uuid"])
    assert names(api.get("/v1/nodes?sort_key=reservation")) == ["held", "free"]


@pytest.mark.parametrize("noun", ["nodes", "ports", "conductors"])
def test_the_default_order_may_be_named(api, noun) -> None:
    assert api.get(f"/v1/{noun}?sort_key=id").status_code == 200


@pytest.mark.parametrize("noun", ["nodes", "ports"])
def test_a_part_of_a_description_is_no_longer_than_descriptions_are(api, noun) -> None:
    path = f"/v1/{noun}?description_contains="
    answer = api.get(path + "x" * 60_000)
    assert answer.status_code == 400
    assert "60000 characters" in api.fault(answer)
    assert api.get(path + "x" * 4096).status_code == 200


def test_a_refusal_names_some_unknown_arguments_only(api) -> None:
    query = "&".join(f"a{number}{'x' * 100}=1" for number in range(500))
    answer = api.get(f"/v1/nodes?{query}")
    assert answer.status_code == 400
    assert len(answer.text) < 3000
