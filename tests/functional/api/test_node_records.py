"""What clients read of nodes: BIOS settings, firmware, history, children, shards."""

from __future__ import annotations

import datetime

import pytest
from sqlalchemy import insert, select

from drophammer.model import BiosSetting, FirmwareComponent, HistoryEntry, Node, new_uuid

NODE = "/v1/nodes/rack-1"
SOME_UUID = "6b0ae3a1-3a53-4b02-9a3f-1f7d1a7d1c55"


@pytest.fixture
def node(api):
    return api.node(name="rack-1")


@pytest.fixture
def write(store, node):
    """Add rows of a table to the node, as a conductor would."""

    def add(model, *rows):
        with store.write() as session:
            node_id = session.scalar(select(Node.id).where(Node.uuid == node["uuid"]))
            always = {"node_id": node_id, "created_at": store.clock.now()}
            session.execute(insert(model), [{**always, **row} for row in rows])

    return add


def settings(count):
    return [{"name": f"Setting{number:03}", "value": "on"} for number in range(count)]


def test_bios_settings_are_listed_by_name(api, node, write) -> None:
    write(BiosSetting, {"name": "Turbo", "value": "on"}, {"name": "Fan speed", "value": None})
    found = api.get(f"{NODE}/bios").json["bios"]
    assert [(one["name"], one["value"]) for one in found] == [("Fan speed", None), ("Turbo", "on")]
    assert set(found[0]) == {"name", "value", "created_at", "updated_at", "links"}
    assert found[0]["links"][0]["href"].endswith(f"/v1/nodes/{node['uuid']}/bios/Fan%20speed")
    assert api.get(f"{NODE}/bios/Fan%20speed").json["Fan speed"]["value"] is None


def test_details_of_bios_settings_come_from_their_registry(api, write) -> None:
    write(
        BiosSetting,
        {"name": "Turbo", "value": "on", "allowable_values": ["on", "off"], "read_only": False},
    )
    (found,) = api.get(f"{NODE}/bios?detail=true").json["bios"]
    assert (found["allowable_values"], found["read_only"]) == (["on", "off"], False)
    assert found["lower_bound"] is None
    assert api.get(f"{NODE}/bios/Turbo").json == {"Turbo": found}
    old = api.at("1.73")
    assert set(old.get(f"{NODE}/bios/Turbo").json["Turbo"]) == set(found) - {
        "attribute_type",
        "allowable_values",
        "lower_bound",
        "upper_bound",
        "min_length",
        "max_length",
        "read_only",
        "reset_required",
        "unique",
    }
    (chosen,) = api.get(f"{NODE}/bios?fields=name,unique").json["bios"]
    assert set(chosen) == {"name", "unique", "links"}
    assert old.get(f"{NODE}/bios?detail=true").status_code == 406
    assert api.get(f"{NODE}/bios?fields=name&detail=true").status_code == 400
    assert api.get(f"{NODE}/bios?fields=colour").status_code == 400


def test_an_unknown_bios_setting_is_404(api, node) -> None:
    assert api.get(f"{NODE}/bios").json == {"bios": []}
    assert api.get(f"{NODE}/bios/Turbo").status_code == 404
    assert api.at("1.39").get(f"{NODE}/bios").status_code == 404
    assert api.get("/v1/nodes/nobody/bios").status_code == 404


def test_firmware_components_are_listed(api, write) -> None:
    write(
        FirmwareComponent,
        {"component": "bmc", "initial_version": "1", "current_version": "2", "vendor": "ACME"},
        {"component": "bios", "initial_version": "5"},
    )
    found = api.get(f"{NODE}/firmware").json["firmware"]
    assert [one["component"] for one in found] == ["bios", "bmc"]
    assert (found[1]["vendor"], found[1]["current_version"]) == ("ACME", "2")
    old = api.at("1.113").get(f"{NODE}/firmware").json["firmware"]
    assert set(found[0]) - set(old[0]) == {"vendor", "model", "serial_number"}
    (chosen, _) = api.get(f"{NODE}/firmware?fields=component").json["firmware"]
    assert chosen == {"component": "bios"}
    assert api.at("1.113").get(f"{NODE}/firmware?fields=vendor").status_code == 406
    assert api.get(f"{NODE}/firmware?fields=colour").status_code == 400
    assert api.at("1.85").get(f"{NODE}/firmware").status_code == 404


def entries(count, **columns):
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    return [
        {
            "uuid": new_uuid(),
            "created_at": start + datetime.timedelta(seconds=number),
            "severity": "ERROR",
            "event_type": "cleaning",
            "event": f"failure {number}",
            "conductor": "conductor-1",
            **columns,
        }
        for number in range(count)
    ]


def test_history_is_told_oldest_first(api, node, write) -> None:
    made = entries(3)
    write(HistoryEntry, *made)
    found = api.get(f"{NODE}/history").json["history"]
    assert [one["event"] for one in found] == ["failure 0", "failure 1", "failure 2"]
    assert set(found[0]) == {"uuid", "created_at", "severity", "event", "links"}
    place = f"/v1/nodes/{node['uuid']}/history/{made[0]['uuid']}"
    (link,) = found[0]["links"]
    assert (link["rel"], link["href"][-len(place) :]) == ("self", place)


def test_a_long_event_is_whole_in_details_only(api, write) -> None:
    (made,) = entries(1, event="x" * 300, user="anne", duration_seconds=1.5)
    write(HistoryEntry, made)
    (brief,) = api.get(f"{NODE}/history").json["history"]
    assert brief["event"] == "x" * 251 + "..."
    (full,) = api.get(f"{NODE}/history?detail=true").json["history"]
    assert full["event"] == "x" * 300
    assert (full["user"], full["duration_seconds"]) == ("anne", 1.5)
    assert api.get(f"{NODE}/history/{made['uuid']}").json == full
    assert set(full) - set(api.at("1.114").get(f"{NODE}/history/{made['uuid']}").json) == {
        "state",
        "target_provision_state",
        "duration_seconds",
    }
    assert "project" not in api.at("1.112").get(f"{NODE}/history/{made['uuid']}").json


def test_history_comes_in_pages(api, write) -> None:
    write(HistoryEntry, *entries(5))
    found = []
    url = f"{NODE}/history?limit=2&sort_dir=desc"
    while url:
        page = api.get(url).json
        found += [one["event"] for one in page["history"]]
        url = page.get("next", "").removeprefix("http://localhost")
    assert found == [f"failure {number}" for number in (4, 3, 2, 1, 0)]
    assert api.get(f"{NODE}/history?marker={SOME_UUID}").status_code == 404
    assert api.get(f"{NODE}/history?sort_key=event").status_code == 400
    assert api.at("1.77").get(f"{NODE}/history").status_code == 404


def test_an_entry_belongs_to_its_node(api, write) -> None:
    (made,) = entries(1)
    write(HistoryEntry, made)
    api.node(name="other")
    assert api.get(f"/v1/nodes/other/history/{made['uuid']}").status_code == 404
    assert api.get(f"{NODE}/history/{SOME_UUID}").status_code == 404
    assert api.get(f"{NODE}/history/x").status_code == 400


@pytest.mark.parametrize(
    ("path", "key", "model", "rows"),
    [
        ("bios", "bios", BiosSetting, settings),
        ("bios?detail=true", "bios", BiosSetting, settings),
        ("history?detail=true", "history", HistoryEntry, entries),
    ],
)
def test_a_hundred_cost_two_statements(api, write, sql, path, key, model, rows) -> None:
    write(model, *rows(100))
    sql.clear()
    assert len(api.get(f"{NODE}/{path}").json[key]) == 100
    assert sql.count == 2


def test_children_are_told_by_uuid(api, node) -> None:
    assert api.get(f"{NODE}/children").json["children"] == []
    child = api.node(parent_node=node["uuid"])["uuid"]
    found = api.get(f"{NODE}/children").json
    assert found["children"] == [child]
    assert found["links"]["rel"] == "children"
    assert found["links"]["href"].endswith(f"/v1/nodes/{node['uuid']}/children")
    assert api.get("/v1/nodes/nobody/children").status_code == 404
    assert api.at("1.82").get(f"{NODE}/children").status_code == 404


def test_shards_are_counted(api) -> None:
    assert api.get("/v1/shards").json == {"shards": []}
    for shard in ("b", "a", "b", None):
        api.node(shard=shard)
    found = {one["name"]: one["count"] for one in api.get("/v1/shards").json["shards"]}
    assert found == {"a": 1, "b": 2, "None": 1}
    assert api.at("1.81").get("/v1/shards").status_code == 404
