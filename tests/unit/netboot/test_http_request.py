"""Reading HTTP request heads, with whole, broken and random bytes."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netboot.services.http_request import BadHead, parse_head

WHOLE = b"GET /a%20b/c?x=1&y= HTTP/1.1\r\nHost: boot\r\nRange: bytes=0-1\r\nX: 1\r\nx: 2"


def test_a_head_is_read() -> None:
    head = parse_head(WHOLE)
    assert (head.method, head.path) == ("GET", "a b/c")
    assert dict(head.query) == {"x": "1", "y": ""}
    assert dict(head.fields) == {"host": "boot", "range": "bytes=0-1", "x": "1, 2"}
    assert head.keep_alive


@pytest.mark.parametrize("end", range(len(WHOLE)))
def test_a_truncated_head_raises_nothing_but_bad_head(end: int) -> None:
    with contextlib.suppress(BadHead):
        parse_head(WHOLE[:end])


@given(st.binary(max_size=500))
def test_random_bytes_raise_nothing_but_bad_head(data: bytes) -> None:
    with contextlib.suppress(BadHead):
        parse_head(data)


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_no_path_that_is_accepted_leads_upwards(target: bytes, fields: bytes) -> None:
    with contextlib.suppress(BadHead):
        head = parse_head(b"GET /" + target + b" HTTP/1.1\r\nHost: x\r\n" + fields)
        assert ".." not in head.path.split("/")
        assert not head.path.startswith("/")
        assert "\0" not in head.path


@pytest.mark.parametrize(
    ("field", "keeps"),
    [
        ("X: y", True),
        ("Connection: close", False),
        ("Connection: x, CLOSE", False),
        ("Content-Length: 0", True),
        ("Content-Length: 5", False),
        ("Transfer-Encoding: chunked", False),
    ],
)
def test_keep_alive_is_what_http_1_1_says(field: str, keeps: bool) -> None:
    head = parse_head(f"GET / HTTP/1.1\r\nHost: x\r\n{field}".encode())
    assert head.keep_alive is keeps


def test_http_1_0_keeps_a_connection_only_if_asked() -> None:
    assert not parse_head(b"GET / HTTP/1.0").keep_alive
    assert parse_head(b"GET / HTTP/1.0\r\nConnection: Keep-Alive").keep_alive
