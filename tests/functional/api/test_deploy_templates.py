"""The resource deploy templates."""

from __future__ import annotations

import pytest

PATH = "/v1/deploy_templates"
STEP = {"interface": "bios", "step": "apply_configuration", "args": {}, "priority": 150}
SOME_UUID = "6b0ae3a1-3a53-4b02-9a3f-1f7d1a7d1c55"


def body(**fields):
    return {"name": "CUSTOM_HYPERTHREADING", "steps": [STEP], **fields}


@pytest.fixture
def template(api):
    answer = api.post(PATH, body(extra={"a": 1}))
    assert answer.status_code == 201, answer.text
    return answer.json


def test_a_new_template_is_shown_by_uuid_and_name(api, template) -> None:
    assert (template["steps"], template["extra"]) == ([STEP], {"a": 1})
    for ident in (template["uuid"], template["name"]):
        assert api.get(f"{PATH}/{ident}").json == template
    assert api.get(f"{PATH}?detail=True").json["deploy_templates"] == [template]
    (brief,) = api.get(PATH).json["deploy_templates"]
    assert set(brief) == {"uuid", "name", "links"}


def test_a_priority_with_a_point_is_the_whole_number(api, template) -> None:
    made = api.post(PATH, body(name="CUSTOM_POINT", steps=[{**STEP, "priority": 150.0}]))
    assert '"priority": 150}' in made.text or '"priority":150}' in made.text, made.text
    change = [{"op": "replace", "path": "/steps/0/priority", "value": 10.0}]
    api.patch(f"{PATH}/{template['uuid']}", change)
    (step,) = api.get(f"{PATH}/{template['uuid']}").json["steps"]
    assert isinstance(step["priority"], int)


def test_below_its_version_it_cannot_be_found_nor_written(api, template) -> None:
    old, one = api.at("1.54"), f"{PATH}/{template['uuid']}"
    assert [old.get(path).status_code for path in (PATH, one)] == [404, 404]
    answers = (old.post(PATH, body()), old.patch(one, []), old.delete(one))
    assert [answer.status_code for answer in answers] == [405, 405, 405]


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "hyperthreading"},
        {"name": "CUSTOM_a"},
        {"name": None},
        {"name": "CUSTOM_" + "A" * 250},
        {"steps": []},
        {"steps": None},
        {"steps": {}},
        {"steps": [STEP, {**STEP, "priority": 10}]},
        {"steps": [{**STEP, "interface": "network"}]},
        {"steps": [{**STEP, "priority": -1}]},
        {"steps": [{**STEP, "priority": 2**31}]},
        {"steps": [{**STEP, "args": []}]},
        {"steps": [{**STEP, "order": 1}]},
        {"steps": [{key: value for key, value in STEP.items() if key != "args"}]},
        {"steps": [{key: value for key, value in STEP.items() if key != "priority"}]},
        {"colour": "red"},
    ],
)
def test_a_wrong_template_is_400(api, fields) -> None:
    assert api.post(PATH, body(**fields)).status_code == 400


def test_a_standard_trait_may_be_the_name(api) -> None:
    assert api.post(PATH, body(name="HW_CPU_X86_VMX")).status_code == 201


@pytest.mark.parametrize("key", ["name", "uuid"])
def test_what_is_in_use_is_409(api, template, key) -> None:
    other = {"name": "CUSTOM_OTHER", key: template[key]}
    assert api.post(PATH, body(**other)).status_code == 409


def test_a_template_is_patched_and_deleted(api, template) -> None:
    one = f"{PATH}/{template['name']}"
    more = {**STEP, "step": "factory_reset"}
    steps = [
        {"op": "add", "path": "/steps/-", "value": more},
        {"op": "replace", "path": "/steps/0/priority", "value": 20},
        {"op": "replace", "path": "/name", "value": "CUSTOM_NEW"},
        {"op": "remove", "path": "/extra"},
    ]
    changed = api.patch(one, steps).json
    assert changed["steps"] == [{**STEP, "priority": 20}, more]
    assert (changed["name"], changed["extra"]) == ("CUSTOM_NEW", {})
    assert api.get(one).status_code == 404
    assert api.delete(f"{PATH}/CUSTOM_NEW").status_code == 204
    assert api.get(f"{PATH}/{template['uuid']}").status_code == 404


@pytest.mark.parametrize(
    "step",
    [
        {"op": "replace", "path": "/name", "value": "new"},
        {"op": "remove", "path": "/name"},
        {"op": "remove", "path": "/steps"},
        {"op": "remove", "path": "/steps/0"},
        {"op": "add", "path": "/steps/-", "value": STEP},
        {"op": "add", "path": "/steps/-", "value": None},
        {"op": "replace", "path": "/steps/0", "value": 7},
        {"op": "replace", "path": "/uuid", "value": SOME_UUID},
    ],
)
def test_a_wrong_change_is_400(api, template, step) -> None:
    assert api.patch(f"{PATH}/{template['uuid']}", [step]).status_code == 400


def test_passwords_in_arguments_are_shown_to_nobody(api) -> None:
    secret = {**STEP, "args": {"settings": [{"name": "x", "bios_password": "hunter2"}]}}
    made = api.post(PATH, body(steps=[secret]))
    one = f"{PATH}/{made.json['uuid']}"
    patch = [{"op": "add", "path": "/extra/a", "value": 1}]
    answers = [made, api.patch(one, patch), api.get(one), api.get(f"{PATH}?detail=true")]
    assert [answer for answer in answers if "hunter2" in answer.text] == []
    assert made.json["steps"][0]["args"]["settings"][0]["bios_password"] == "******"


def test_templates_cost_at_most_two_statements(api, sql) -> None:
    for number in range(4):
        sql.clear()
        assert api.post(PATH, body(name=f"CUSTOM_{number}")).status_code == 201
        assert (sql.count <= 2, sql.commits) == (True, 1)
    sql.clear()
    listed = api.get(f"{PATH}?sort_key=name&sort_dir=desc&detail=true").json["deploy_templates"]
    assert [one["name"] for one in listed] == [f"CUSTOM_{n}" for n in (3, 2, 1, 0)]
    assert sql.count == 1
    sql.clear()
    patch = [{"op": "add", "path": "/extra/a", "value": 1}]
    assert api.patch(f"{PATH}/CUSTOM_0", patch).status_code == 200
    assert (sql.count <= 2, sql.commits) == (True, 1)
