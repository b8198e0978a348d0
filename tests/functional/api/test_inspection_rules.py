"""The resource inspection rules."""

from __future__ import annotations

import pytest

PATH = "/v1/inspection_rules"
ACTION = {"op": "set-attribute", "args": ["/driver", "idrac"]}
CONDITION = {"op": "eq", "args": ["node:memory_mb", 4096], "multiple": "all"}


@pytest.fixture
def rule(api):
    answer = api.post(
        PATH, {"actions": [ACTION], "conditions": [CONDITION], "description": "fast ones"}
    )
    assert answer.status_code == 201, answer.text
    return answer.json


def replaced(path, value):
    return [{"op": "replace", "path": path, "value": value}]


def test_a_new_rule_is_shown_as_it_was_given(api, rule) -> None:
    assert (rule["actions"], rule["conditions"]) == ([ACTION], [CONDITION])
    assert (rule["priority"], rule["phase"], rule["sensitive"]) == (0, "main", False)
    assert api.get(f"{PATH}/{rule['uuid']}").json == rule
    assert api.get(f"{PATH}?detail=True").json["inspection_rules"] == [rule]
    (brief,) = api.get(PATH).json["inspection_rules"]
    assert set(brief) == {"uuid", "priority", "phase", "description", "links"}


def test_below_its_version_it_cannot_be_found_nor_written(api, rule) -> None:
    old, one = api.at("1.95"), f"{PATH}/{rule['uuid']}"
    assert [old.get(path).status_code for path in (PATH, one)] == [404, 404]
    answers = (old.post(PATH, {}), old.patch(one, []), old.delete(one))
    assert [answer.status_code for answer in answers] == [405, 405, 405]


def test_what_the_command_line_sends_is_taken(api) -> None:
    body = {"actions": [ACTION], "conditions": None, "priority": "7", "sensitive": "false"}
    made = api.post(PATH, body).json
    assert (made["priority"], made["sensitive"], made["conditions"]) == (7, False, [])


@pytest.mark.parametrize(
    "fields",
    [
        {"actions": []},
        {"actions": None},
        {"actions": [{"op": "explode", "args": []}]},
        {"actions": [{"op": "set-attribute"}]},
        {"actions": [{"op": "set-attribute", "args": {"colour": "red"}}]},
        {"actions": [{**ACTION, "colour": "red"}]},
        {"actions": [{"op": "set-attribute", "args": ["/provision_state", "active"]}]},
        {"actions": ["fail"]},
        {"conditions": [{"op": "like", "args": []}]},
        {"conditions": [{**CONDITION, "multiple": "most"}]},
        {"conditions": {}},
        {"priority": -1},
        {"priority": 10000},
        {"priority": "high"},
        {"priority": 1.5},
        {"phase": "early"},
        {"description": "x" * 256},
        {"name": "x"},
    ],
)
def test_a_wrong_rule_is_400(api, fields) -> None:
    answer = api.post(PATH, {"actions": [ACTION], "conditions": [CONDITION], **fields})
    assert answer.status_code == 400
    assert api.fault(answer)


def test_a_whole_number_may_have_a_point(api, rule) -> None:
    made = api.post(PATH, {"actions": [ACTION], "priority": 7.0})
    assert (made.status_code, made.json["priority"]) == (201, 7)
    assert isinstance(made.json["priority"], int)
    patched = api.patch(f"{PATH}/{rule['uuid']}", replaced("/priority", 8.0))
    assert isinstance(patched.json["priority"], int)
    assert api.get(f"{PATH}/{rule['uuid']}").json["priority"] == 8


def test_a_condition_may_be_turned_round(api) -> None:
    turned = {"op": "!is-true", "args": ["{node.auto_discovered}"]}
    body = {"actions": [ACTION], "conditions": [turned]}
    assert api.post(PATH, body).json["conditions"] == [turned]


def test_a_rule_is_patched_and_deleted(api, rule) -> None:
    one = f"{PATH}/{rule['uuid']}"
    other = {"op": "set-attribute", "args": ["/driver", "fake-hardware"]}
    steps = [
        {"op": "add", "path": "/actions", "value": [other]},
        {"op": "replace", "path": "/priority", "value": 150},
        {"op": "remove", "path": "/conditions/0"},
    ]
    changed = api.patch(one, steps).json
    assert (changed["actions"], changed["priority"], changed["conditions"]) == ([other], 150, [])
    assert api.get(one).json == changed
    assert api.delete(one).status_code == 204
    assert api.get(one).status_code == 404


@pytest.mark.parametrize(
    "step",
    [
        {"op": "remove", "path": "/actions"},
        {"op": "remove", "path": "/actions/0"},
        {"op": "replace", "path": "/actions", "value": None},
        {"op": "replace", "path": "/actions/0/op", "value": "explode"},
        {"op": "replace", "path": "/conditions", "value": [{"op": "like", "args": []}]},
        {"op": "replace", "path": "/priority", "value": 10000},
        {"op": "replace", "path": "/phase", "value": "early"},
        {"op": "replace", "path": "/uuid", "value": None},
    ],
)
def test_a_wrong_change_is_400(api, rule, step) -> None:
    assert api.patch(f"{PATH}/{rule['uuid']}", [step]).status_code == 400


def test_what_a_sensitive_rule_says_is_shown_to_nobody_ever(api) -> None:
    action = {"op": "set-attribute", "args": ["/extra/code", "hunter2"]}
    made = api.post(PATH, {"actions": [action], "sensitive": True})
    one = f"{PATH}/{made.json['uuid']}"
    open_again = api.patch(one, replaced("/sensitive", False))
    reset = api.patch(one, [{"op": "remove", "path": "/sensitive"}])
    assert (open_again.status_code, reset.status_code) == (400, 400)
    wrong = api.patch(one, [{"op": "add", "path": "/actions/0/colour", "value": "hunter2"}])
    assert wrong.status_code == 400
    patched = api.patch(one, replaced("/priority", 3))
    answers = [made, open_again, wrong, patched, api.get(one), api.get(f"{PATH}?detail=true")]
    answers.append(api.get(f"{one}?fields=actions,conditions"))
    assert [answer for answer in answers if "hunter2" in answer.text] == []
    assert (patched.json["actions"], patched.json["conditions"]) == (None, None)


def test_a_rule_may_become_sensitive(api, rule) -> None:
    changed = api.patch(f"{PATH}/{rule['uuid']}", replaced("/sensitive", True)).json
    assert (changed["sensitive"], changed["actions"]) == (True, None)


def test_lists_are_sorted_and_narrowed_by_phase(api) -> None:
    for priority in (5, 9, 1):
        api.post(PATH, {"actions": [ACTION], "priority": priority})
    listed = api.get(f"{PATH}?sort_key=priority&sort_dir=desc&phase=main").json
    assert [one["priority"] for one in listed["inspection_rules"]] == [9, 5, 1]
    assert api.get(f"{PATH}?phase=other").json["inspection_rules"] == []
    assert api.get(f"{PATH}?sort_key=actions").status_code == 400


def test_rules_cost_at_most_two_statements(api, sql) -> None:
    sql.clear()
    made = api.post(PATH, {"actions": [ACTION]}).json
    assert (sql.count <= 2, sql.commits) == (True, 1)
    sql.clear()
    api.patch(f"{PATH}/{made['uuid']}", replaced("/priority", 3))
    assert (sql.count <= 2, sql.commits) == (True, 1)
    sql.clear()
    api.get(f"{PATH}?detail=true")
    assert sql.count == 1
