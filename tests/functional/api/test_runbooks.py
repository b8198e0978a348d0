"""The resource runbooks, and their traits."""

from __future__ import annotations

import pytest

PATH = "/v1/runbooks"
STEP = {"interface": "bios", "step": "apply_configuration", "args": {"a": 1}, "order": 1}


def body(**fields):
    return {"name": "CUSTOM_BOOK", "steps": [STEP], **fields}


@pytest.fixture
def book(api):
    answer = api.post(PATH, body(description="Turns things on."))
    assert answer.status_code == 201, answer.text
    return answer.json


def replaced(path, value):
    return {"op": "replace", "path": path, "value": value}


def test_a_new_runbook_is_shown_by_uuid_and_name(api, book) -> None:
    assert (book["steps"], book["traits"], book["owner"]) == ([STEP], [], None)
    assert (book["public"], book["disable_ramdisk"], book["extra"]) == (False, False, {})
    for ident in (book["uuid"], book["name"]):
        assert api.get(f"{PATH}/{ident}").json == book
    assert api.get(f"{PATH}?detail=True").json["runbooks"] == [book]
    (brief,) = api.get(PATH).json["runbooks"]
    assert set(brief) == {"uuid", "name", "links"}


def test_what_a_version_has(api, book) -> None:
    one, old = f"{PATH}/{book['uuid']}", api.at("1.91")
    assert [old.get(path).status_code for path in (PATH, one)] == [404, 404]
    answers = (old.post(PATH, body()), old.patch(one, []), old.delete(one))
    assert [answer.status_code for answer in answers] == [405, 405, 405]
    older = api.at("1.111").get(one).json
    assert set(book) - set(older) == {"traits", "description"}
    assert api.at("1.111").post(PATH, body(description="x")).status_code == 406
    for method in ("GET", "PUT", "DELETE"):
        assert api.at("1.111").call(method, f"{one}/traits").status_code == 404


def test_until_1_112_a_name_is_a_trait(api, book) -> None:
    free = body(name="enable-hyperthreading")
    assert api.at("1.111").post(PATH, free).status_code == 400
    assert api.post(PATH, free).status_code == 201
    one = f"{PATH}/enable-hyperthreading"
    # A name that an older version would not take does not keep it from changing the rest.
    assert api.at("1.111").patch(one, [replaced("/extra", {"a": 1})]).status_code == 200


def test_arguments_are_optional(api) -> None:
    bare = {"interface": "power", "step": "reboot", "order": 0}
    made = api.post(PATH, body(steps=[bare, {**bare, "order": 2}])).json
    assert [step["args"] for step in made["steps"]] == [{}, {}]


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "a b"},
        {"name": None},
        {"steps": []},
        {"steps": [STEP, {**STEP, "order": 2}]},
        {"steps": [{**STEP, "interface": "console"}]},
        {"steps": [{**STEP, "order": -1}]},
        {"steps": [{**STEP, "priority": 1}]},
        {"steps": [{"interface": "bios", "step": "x"}]},
        {"traits": ["CUSTOM_A"]},
        {"public": "perhaps"},
        {"description": "x" * 256},
    ],
)
def test_a_wrong_runbook_is_400(api, fields) -> None:
    assert api.post(PATH, body(**fields)).status_code == 400


@pytest.mark.parametrize("key", ["name", "uuid"])
def test_what_is_in_use_is_409(api, book, key) -> None:
    assert api.post(PATH, body(**{"name": "CUSTOM_OTHER", key: book[key]})).status_code == 409


def test_a_runbook_is_patched_and_deleted(api, book) -> None:
    one = f"{PATH}/{book['name']}"
    steps = [
        replaced("/description", "Updated."),
        replaced("/disable_ramdisk", "True"),
        {"op": "add", "path": "/steps/0/args/b", "value": 2},
    ]
    changed = api.patch(one, steps).json
    assert (changed["description"], changed["disable_ramdisk"]) == ("Updated.", True)
    assert changed["steps"][0]["args"] == {"a": 1, "b": 2}
    assert api.get(one).json == changed
    assert api.patch(one, [replaced("/traits", [])]).status_code == 400
    assert api.patch(one, [{"op": "remove", "path": "/steps"}]).status_code == 400
    assert api.delete(one).status_code == 204
    assert api.get(one).status_code == 404


def test_what_is_public_has_no_owner(api, book) -> None:
    one = f"{PATH}/{book['uuid']}"
    assert api.patch(one, [replaced("/owner", "me")]).json["owner"] == "me"
    public = api.patch(one, [replaced("/public", True)]).json
    assert (public["public"], public["owner"]) == (True, None)
    assert api.patch(one, [replaced("/owner", "me")]).status_code == 400
    both = api.patch(one, [replaced("/public", False), replaced("/owner", "me")]).json
    assert (both["public"], both["owner"]) == (False, "me")


def test_a_project_sees_its_own_and_what_is_public(api) -> None:
    for name, fields in (("A", {"owner": "me"}), ("B", {"public": True}), ("C", {"owner": "you"})):
        assert api.post(PATH, body(name=f"CUSTOM_{name}", **fields)).status_code == 201
    listed = api.get(f"{PATH}?project=me&sort_key=name").json["runbooks"]
    assert [one["name"] for one in listed] == ["CUSTOM_A", "CUSTOM_B"]


def test_traits_are_added_replaced_and_removed(api, book) -> None:
    traits = f"{PATH}/{book['name']}/traits"
    added = api.put(f"{traits}/CUSTOM_B")
    assert (added.status_code, added.data) == (204, b"")
    assert added.headers["Location"].endswith("/traits/CUSTOM_B")
    assert api.put(f"{traits}/CUSTOM_B").status_code == 204
    assert api.put(f"{traits}/CUSTOM_A").status_code == 204
    assert api.get(traits).json == {"traits": ["CUSTOM_A", "CUSTOM_B"]}
    assert api.get(f"{PATH}/{book['uuid']}").json["traits"] == ["CUSTOM_A", "CUSTOM_B"]
    assert api.delete(f"{traits}/CUSTOM_A").status_code == 204
    assert api.delete(f"{traits}/CUSTOM_A").status_code == 204
    assert api.get(traits).json == {"traits": ["CUSTOM_B"]}
    assert api.put(traits, {"traits": ["HW_CPU_X86_VMX"]}).status_code == 204
    assert api.get(traits).json == {"traits": ["HW_CPU_X86_VMX"]}
    assert api.delete(traits).status_code == 204
    assert api.get(traits).json == {"traits": []}


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/nonsense", None),
        ("/CUSTOM_A", {"traits": []}),
        ("", None),
        ("", {}),
        ("", {"traits": ["nonsense"]}),
        ("", {"traits": [f"CUSTOM_{n}" for n in range(51)]}),
    ],
)
def test_wrong_traits_are_400(api, book, path, content) -> None:
    assert api.put(f"{PATH}/{book['uuid']}/traits{path}", content).status_code == 400


def test_traits_of_an_unknown_runbook_are_404(api) -> None:
    assert api.get(f"{PATH}/nobody/traits").status_code == 404
    assert api.put(f"{PATH}/nobody/traits/CUSTOM_A").status_code == 404


def test_passwords_in_arguments_are_shown_to_nobody(api) -> None:
    made = api.post(PATH, body(steps=[{**STEP, "args": {"password": "hunter2"}}]))
    one = f"{PATH}/{made.json['uuid']}"
    answers = [made, api.get(one), api.get(f"{PATH}?detail=true"), api.patch(one, [])]
    assert [answer for answer in answers if "hunter2" in answer.text] == []


def test_runbooks_cost_at_most_two_statements(api, sql) -> None:
    for number in range(4):
        sql.clear()
        assert api.post(PATH, body(name=f"CUSTOM_{number}")).status_code == 201
        assert (sql.count <= 2, sql.commits) == (True, 1)
    sql.clear()
    assert len(api.get(f"{PATH}?detail=true").json["runbooks"]) == 4
    assert sql.count == 1
    for change in (
        lambda: api.patch(f"{PATH}/CUSTOM_0", [replaced("/extra", {"a": 1})]),
        lambda: api.put(f"{PATH}/CUSTOM_0/traits/CUSTOM_A"),
    ):
        sql.clear()
        assert change().status_code in (200, 204)
        assert (sql.count <= 2, sql.commits) == (True, 1)
