"""Answers as bytes: all that a database may hold comes out as JSON."""

from __future__ import annotations

import datetime
import json

import orjson
import pytest

from api import wire

NOON = datetime.datetime(2026, 11, 20, 12, 0, 0, 5, tzinfo=datetime.UTC)


@pytest.mark.parametrize("awkward", [1, 10**30, "half \ud800 a pair"])
def test_whatever_stands_beside_them_times_and_stored_texts_are_written_alike(awkward) -> None:
    document = {"at": NOON, "extra": orjson.Fragment('{"a": [1, 2]}'), "beside": awkward}
    assert json.loads(wire.dumps(document)) == {
        "at": "2026-11-20T12:00:00.000005+00:00",
        "extra": {"a": [1, 2]},
        "beside": awkward,
    }


def test_what_is_no_json_is_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError):
        wire.dumps({"a": object()})
