"""Bodies: what is let in."""

from __future__ import annotations

import io
from typing import Any

import pytest

from api import body
from api.errors import BodyRefused
from drophammer.errors import Invalid


def read(data: bytes, limit: int = 1 << 20, **extra: Any) -> Any:
    return body.read(io.BytesIO(data), len(data), limit, **extra)


def test_no_body_is_none() -> None:
    assert read(b"") is None


def test_null_is_none() -> None:
    assert read(b"null") is None


@pytest.mark.parametrize(
    "data",
    [b"{", b"[1,]", b"{'a': 1}", b"\xff\xfe", b"NaN", b'{"a": Infinity}', b"1e999", b"-", b"{}{}"],
)
def test_malformed_json_is_refused(data: bytes) -> None:
    with pytest.raises(Invalid):
        read(data)


def test_a_number_of_5000_digits_is_refused() -> None:
    with pytest.raises(Invalid):
        read(b"9" * 5000)


def test_the_refusal_does_not_repeat_the_text() -> None:
    with pytest.raises(Invalid) as caught:
        read(b'{"ipmi_password": "hunter2" oops}')
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("depth", [26, 30, 100_000])
def test_nesting_beyond_25_is_refused(depth: int) -> None:
    with pytest.raises(BodyRefused) as caught:
        read(b"[" * depth + b"]" * depth)
    assert caught.value.status == 400


def test_nesting_of_25_is_accepted() -> None:
    assert read(b"[" * 25 + b"]" * 25) is not None


def test_a_length_above_the_limit_is_refused_unread() -> None:
    stream = io.BytesIO(b"x" * 10)
    with pytest.raises(BodyRefused) as caught:
        body.read(stream, 11, 10)
    assert (caught.value.status, stream.tell()) == (413, 0)


def test_a_body_without_a_length_is_cut_at_the_limit() -> None:
    with pytest.raises(BodyRefused):
        body.read(io.BytesIO(b'"' + b"x" * 100 + b'"'), None, 50)


@pytest.mark.parametrize(
    "data", [rb'"\u0000"', rb'"\ud800"', rb'{"\udfff": 1}', rb'{"a": ["\u0000"]}']
)
def test_what_no_database_can_hold_is_refused(data: bytes) -> None:
    with pytest.raises(Invalid, match="NUL"):
        read(data)


def test_characters_beyond_the_basic_plane_are_accepted() -> None:
    assert read('{"a": "\U0001f600"}'.encode()) == {"a": "\U0001f600"}


def test_texts_from_firmware_are_repaired() -> None:
    repaired = read(rb'{"serial": "A\u0000B\ud800", "n": [1]}', repair=True)
    assert repaired["serial"].startswith("A\ufffdB")
    repaired["serial"].encode()


@pytest.mark.parametrize("part", [b"{},", b"[],", b"1,", b'"","",', b'{"a":1},'])
def test_millions_of_small_things_are_refused_before_they_are_parsed(part: bytes) -> None:
    data = b"[" + part * (15_000_000 // len(part)) + b"0]"
    with pytest.raises(BodyRefused, match="50000 objects, lists and items") as caught:
        read(data, 1 << 24)
    assert caught.value.status == 400


def test_as_many_parts_as_are_allowed_pass() -> None:
    assert read(b"[" + b"1," * 98 + b"1]", parts=99) == [1] * 99
    with pytest.raises(BodyRefused):
        read(b"[" + b"1," * 99 + b"1]", parts=99)


def test_what_is_in_a_text_is_no_part() -> None:
    text = '{[,\\"' * 30_000
    assert read(b'{"a": "' + text.encode() + b'"}') == {"a": '{[,"' * 30_000}


@pytest.mark.parametrize("data", [b'"' + rb"\"," * 2_000_000, b'"' + rb"\n," * 2_000_000])
def test_a_long_text_that_does_not_end_is_looked_at_once(data: bytes) -> None:
    with pytest.raises(Invalid, match="not valid JSON"):
        read(data, 1 << 24)
