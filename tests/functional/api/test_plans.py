"""Lists of very many nodes: an index finds what is asked for, in the order that is asked for.

sqlite tells how it goes about a statement; sorting all that was found, or reading every
node for a page, would say so there whatever the number of nodes.
"""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event

from drophammer import nodes
from tests.databases import only_sqlite

pytestmark = only_sqlite

COUNT = 60


@pytest.fixture
def many(api, store):
    with store.write() as session:
        for number in range(COUNT):
            nodes.create(
                session,
                {
                    "uuid": f"00000000-0000-4000-8000-{number:012d}",
                    "name": f"n{number}" if number % 4 else None,
                    "driver": "ipmi",
                    "provision_state": "active",
                    "created_at": store.clock.now(),
                },
            )
    return api


def plans(api, path: str) -> list[str]:
    """How sqlite goes about every statement on nodes that a request makes."""
    told: list[str] = []

    def connect(connection: Any, record: object) -> None:
        connection.set_trace_callback(told.append)

    api.store.close()
    event.listen(api.store.engine, "connect", connect)
    assert api.get(path).status_code == 200
    event.remove(api.store.engine, "connect", connect)
    made = [statement for statement in told if "FROM nodes" in statement]
    assert made
    with api.store.ask() as connection:
        return [
            str(row[3])
            for statement in made
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")
        ]


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "provision_state=active",
        "owner=somebody",
        "lessee=somebody",
        "resource_class=baremetal",
        "driver=ipmi",
        "fault=power%20failure",
        "instance_name=web-1",
        "parent_node=00000000-0000-4000-8000-000000000000",
        "sort_key=name",
        "sort_key=name&sort_dir=desc",
        "sort_key=updated_at",
        "sort_key=updated_at&sort_dir=desc",
        "sort_key=provision_state",
        "provision_state=active&sort_key=name",
        "provision_state=active&sort_key=name&sort_dir=desc",
        "owner=somebody&sort_key=name",
        "lessee=somebody&sort_key=name&sort_dir=desc",
    ],
)
@pytest.mark.parametrize("marker", ["", "&marker=00000000-0000-4000-8000-000000000030"])
def test_a_page_is_found_and_not_sorted(many, arguments, marker) -> None:
    told = plans(many, f"/v1/nodes?limit=5&{arguments}{marker}")
    assert not [line for line in told if "TEMP B-TREE" in line], told
    if arguments:
        assert "SCAN nodes" not in told, told


@pytest.mark.parametrize("marker", ["", "&marker=00000000-0000-4000-8000-000000000030"])
def test_nodes_of_a_project_are_found_by_owner_and_by_lessee(many, marker) -> None:
    told = plans(many, f"/v1/nodes?limit=5&project=somebody{marker}")
    for index in ("ix_nodes_owner", "ix_nodes_lessee"):
        assert any(index in line for line in told), told
    assert "SCAN nodes" not in told, told
    # That would read, and sort, all that are either's; so only a page of each is.
    assert "MULTI-INDEX OR" not in told, told


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("marker", ["", "&marker=00000000-0000-4000-8000-000000000030"])
def test_a_projects_nodes_by_name_are_a_page_of_each_of_two_indexes(
    many, marker, direction
) -> None:
    order = f"sort_key=name&sort_dir={direction}"
    told = plans(many, f"/v1/nodes?limit=5&project=somebody&{order}{marker}")
    for index in ("ix_nodes_owner_name", "ix_nodes_lessee_name"):
        assert any(index in line for line in told), told
    assert "SCAN nodes" not in told, told


@pytest.mark.parametrize("ident", ["n7", "00000000-0000-4000-8000-000000000007"])
def test_one_node_is_found_by_uuid_or_name(many, ident) -> None:
    told = plans(many, f"/v1/nodes/{ident}")
    assert any(line.startswith("SEARCH nodes USING INDEX") for line in told), told


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("key", ["name", "updated_at", "provision_state", "id"])
def test_paging_shows_every_node_once_with_or_without_a_value(many, key, direction) -> None:
    whole = many.get(f"/v1/nodes?sort_key={key}&sort_dir={direction}").json["nodes"]
    found: list[dict[str, Any]] = []
    path = f"/v1/nodes?limit=7&sort_key={key}&sort_dir={direction}"
    while True:
        page = many.get(path).json
        found += page["nodes"]
        if "next" not in page:
            break
        path = page["next"]
    assert [node["uuid"] for node in found] == [node["uuid"] for node in whole]
    assert len(whole) == COUNT
    if key == "name":
        nameless = [node["name"] is None for node in whole]
        assert nameless == sorted(nameless, reverse=direction == "desc")


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("key", ["name", "id", "owner"])
def test_paging_shows_every_node_of_a_project_once(many, key, direction) -> None:
    wanted = set()
    for column, step in (("owner", 3), ("lessee", 2)):
        for number in range(0, COUNT, step):
            uuid = f"00000000-0000-4000-8000-{number:012d}"
            many.set(uuid, **{column: "mine"})
            wanted.add(uuid)
    ordered = many.get(f"/v1/nodes?sort_key={key}&sort_dir={direction}").json["nodes"]
    found: list[str] = []
    path = f"/v1/nodes?limit=7&project=mine&sort_key={key}&sort_dir={direction}"
    while path:
        page = many.get(path).json
        found += [node["uuid"] for node in page["nodes"]]
        path = page.get("next", "")
    assert found == [node["uuid"] for node in ordered if node["uuid"] in wanted]
