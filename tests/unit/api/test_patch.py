"""JSON patches as this API takes them."""

from __future__ import annotations

from typing import Any

import pytest

from api import patch
from api.errors import BodyRefused
from api.node_fields import NODE
from drophammer.errors import Invalid, NotAcceptable

VALUES: dict[str, Any] = {
    "name": "rack-1",
    "extra": {"a": {"b": 1}, "list": [1, 2, 3]},
    "maintenance": True,
    "properties": {},
}


def patched(*document: dict[str, Any], version: int = 115) -> dict[str, Any]:
    return patch.apply(patch.parse(list(document), NODE, version), VALUES, NODE)


def test_add_overwrites_what_is_there() -> None:
    assert patched({"op": "add", "path": "/extra/a", "value": 2})["extra"]["a"] == 2


def test_the_values_that_are_patched_stay_as_they_are() -> None:
    patched({"op": "remove", "path": "/extra/a/b"})
    assert VALUES["extra"] == {"a": {"b": 1}, "list": [1, 2, 3]}


def test_only_touched_fields_come_back() -> None:
    assert patched({"op": "replace", "path": "/name", "value": "x"}) == {"name": "x"}


def test_operations_apply_one_after_the_other() -> None:
    result = patched(
        {"op": "add", "path": "/extra/new", "value": {}},
        {"op": "add", "path": "/extra/new/key", "value": 1},
        {"op": "remove", "path": "/extra/a"},
    )
    assert result["extra"] == {"list": [1, 2, 3], "new": {"key": 1}}


def test_removing_a_field_gives_its_default() -> None:
    result = patched({"op": "remove", "path": "/maintenance"}, {"op": "remove", "path": "/extra"})
    assert result == {"maintenance": False, "extra": {}}


def test_a_list_takes_items_at_places_and_at_its_end() -> None:
    result = patched(
        {"op": "add", "path": "/extra/list/0", "value": 0},
        {"op": "add", "path": "/extra/list/-", "value": 4},
        {"op": "remove", "path": "/extra/list/2"},
    )
    assert result["extra"]["list"] == [0, 1, 3, 4]


@pytest.mark.parametrize("path", ["/extra/none", "/extra/a/none", "/extra/list/9", "/name/x"])
@pytest.mark.parametrize("op", ["remove", "replace"])
def test_what_is_not_there_can_be_neither_removed_nor_replaced(op: str, path: str) -> None:
    with pytest.raises(Invalid, match=path):
        patched({"op": op, "path": path, "value": 1})


def test_add_below_a_missing_parent_is_refused() -> None:
    with pytest.raises(Invalid, match="none"):
        patched({"op": "add", "path": "/extra/none/key", "value": 1})


@pytest.mark.parametrize(
    "document",
    [
        {"op": "test", "path": "/name", "value": 1},
        {"op": "add", "path": "/name"},
        {"op": "add", "path": "/name", "value": 1, "from": "/x"},
        {"op": "add", "value": 1},
        {"op": "add", "path": "name", "value": 1},
        {"op": "add", "path": "/na me", "value": 1},
        {"op": "add", "path": "/", "value": 1},
        {"op": "add", "path": "/name\n", "value": 1},
        {"op": "add", "path": 7, "value": 1},
        "add",
        None,
    ],
)
def test_a_malformed_operation_is_refused(document: Any) -> None:
    with pytest.raises(Invalid):
        patch.parse([document], NODE, 115)


@pytest.mark.parametrize("document", [None, {}, "x", {"op": "add"}, 5])
def test_a_patch_is_a_list(document: Any) -> None:
    with pytest.raises(Invalid, match="array"):
        patch.parse(document, NODE, 115)


def test_the_refusal_of_a_field_lists_those_that_can_be_patched() -> None:
    with pytest.raises(Invalid, match=r"/provision_state.*/name, "):
        patched({"op": "replace", "path": "/provision_state", "value": "active"})


def test_a_field_newer_than_the_version_is_refused() -> None:
    with pytest.raises(NotAcceptable, match=r"owner.*1\.50"):
        patched({"op": "replace", "path": "/owner", "value": "x"}, version=49)


def test_escapes_reach_keys_with_slashes_from_1_98() -> None:
    result = patched({"op": "add", "path": "/extra/a~1b~0c", "value": 1}, version=98)
    assert result["extra"]["a/b~c"] == 1


def test_escapes_are_too_new_before_1_98() -> None:
    with pytest.raises(NotAcceptable):
        patched({"op": "add", "path": "/extra/a~1b", "value": 1}, version=97)


def test_many_small_steps_cannot_build_a_tower() -> None:
    tower: list[dict[str, Any]] = []
    path = "/properties"
    for _ in range(60):
        path += "/a"
        tower.append({"op": "add", "path": path, "value": {}})
    with pytest.raises(BodyRefused, match="nested"):
        patched(*tower)
