"""The documents of a stream: whatever they hold, it is data or a sentence."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drophammer.errors import DrophammerError, ImageError
from netboot.importing.sources import streamdata

DATE = "Thu, 08 Oct 2026 10:00:00 +0000"
GOOD: dict[str, Any] = {
    "format": "products:1.0",
    "updated": DATE,
    "products": {
        "p": {
            "arch": "amd64",
            "release": "xenial",
            "versions": {
                "1": {
                    "label": "daily",
                    "items": {
                        "k": {
                            "ftype": "boot-kernel",
                            "path": "a/b",
                            "sha256": "0" * 64,
                            "size": 1,
                        }
                    },
                }
            },
        }
    },
}


def _products(content: Any) -> list[streamdata.Product]:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return list(streamdata.products(streamdata.document(raw, "stream")))


def test_words_of_a_version_count_for_its_product() -> None:
    (product,) = _products(GOOD)
    assert (product.os, product.subarch, product.label) == ("ubuntu", "generic", "daily")
    assert product.versions["1"]["boot-kernel"].path == "a/b"


def _changed(path: str, value: Any) -> dict[str, Any]:
    made = json.loads(json.dumps(GOOD))
    *folders, last = path.split("/")
    at = made
    for name in folders:
        at = at[name]
    at[last] = value
    return made


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("format", "products:2.0", "format"),
        ("updated", "yesterday", "no date"),
        ("updated", None, "when it was updated"),
        ("updated", 7, "no date"),
        ("products", [], "object of objects"),
        ("products/p", "x", "is not an object"),
        ("products/p/arch", None, "'arch'"),
        ("products/p/versions", 1, "object of objects"),
        ("products/p/versions/1/items", [1], "object of objects"),
        ("products/p/versions/1/items/k/path", "../../etc/passwd", "relative path"),
        ("products/p/versions/1/items/k/path", "/etc/passwd", "relative path"),
        ("products/p/versions/1/items/k/path", "http://evil.example/x", "relative path"),
        ("products/p/versions/1/items/k/path", "a?b", "relative path"),
        ("products/p/versions/1/items/k/sha256", "0" * 63, "SHA-256"),
        ("products/p/versions/1/items/k/sha256", None, "SHA-256"),
        ("products/p/versions/1/items/k/size", -1, "number of bytes"),
        ("products/p/versions/1/items/k/size", 1 << 60, "number of bytes"),
        ("products/p/versions/1/items/k/size", "7", "number of bytes"),
        ("products/p/versions/1/items/k/size", True, "number of bytes"),
    ],
)
def test_what_does_not_fit_is_named(path: str, value: Any, sentence: str) -> None:
    with pytest.raises(ImageError, match=sentence):
        _products(_changed(path, value))


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" + b"[]," * 3_000_000 + b"[]]",
        b" " * (streamdata.MOST_BYTES + 1),
        b"",
        b"\xff",
        b"[]",
        b'"x"',
        b"{",
        b'{"updated": 1e999}',
    ],
    ids=lambda raw: raw[:8].decode("latin-1"),
)
def test_json_bombs_are_refused(raw: bytes) -> None:
    with pytest.raises(ImageError):
        _products(raw)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["items", "versions", "path", "size", "os", "arch", "ftype", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
PLACES = [
    "products",
    "products/p",
    "products/p/versions",
    "products/p/versions/1",
    "products/p/versions/1/items",
    "products/p/versions/1/items/k",
    "products/p/subarches",
    "products/p/os",
    "updated",
    "expires",
]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(PLACES), JSON)
def test_nothing_in_a_stream_crashes_us(path: str, value: Any) -> None:
    with contextlib.suppress(DrophammerError):
        _products(_changed(path, value))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_noise_is_no_document(raw: bytes) -> None:
    with contextlib.suppress(ImageError):
        streamdata.document(raw, "stream")
