"""The documents of simplestreams 1.0 as checked data: an index, and the products it names.

Reads bytes that were verified before; still, nothing in them is taken on trust: sizes,
depth, types, dates, and every word that becomes a path or a URL. Fetches nothing.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from drophammer.errors import ImageError

MOST_BYTES = 32 << 20
_MOST_VALUES = 2_000_000
_PATH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~:@=,-]*(/[A-Za-z0-9][A-Za-z0-9._+~:@=,-]*)*")
_LONGEST_PATH = 1024
_SHA256 = re.compile(r"[0-9a-f]{64}")
_INDEX, _PRODUCTS, _DOWNLOADS = "index:1.0", "products:1.0", "image-downloads"
_LARGEST = 1 << 44


@dataclass(frozen=True)
class Document:
    """A document, and from when until when it counts."""

    what: str
    content: Mapping[str, Any]
    updated: datetime.datetime
    expires: datetime.datetime | None


@dataclass(frozen=True)
class Item:
    """One file of a version."""

    ftype: str
    path: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Product:
    """One product, with its words as they are: they are checked where they become paths."""

    name: str
    os: str
    arch: str
    subarch: str
    subarches: tuple[str, ...]
    release: str
    label: str
    bootloader: str
    versions: Mapping[str, Mapping[str, Item]]


def document(raw: bytes, what: str) -> Document:
    """Parse JSON. Raises ImageError."""
    if len(raw) > MOST_BYTES:
        raise ImageError(f"{what} was not taken: it has more than {MOST_BYTES} bytes.")
    if sum(map(raw.count, (b",", b"[", b"{"))) > _MOST_VALUES:
        raise ImageError(f"{what} was not taken: it has more than {_MOST_VALUES} values.")
    try:
        content = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise ImageError(f"{what} was not taken: it is not JSON ({error}).") from None
    if not isinstance(content, dict):
        raise ImageError(f"{what} was not taken: it is not a JSON object.")
    updated = _date(content, "updated", what)
    if updated is None:
        raise ImageError(f"{what} was not taken: it does not say when it was updated.")
    return Document(what, content, updated, _date(content, "expires", what))


def paths(index: Document) -> list[str]:
    """The paths of the product documents that an index names."""
    _check_format(index, _INDEX)
    found = []
    for name, told in _objects(index.content.get("index"), f"{index.what}, index"):
        if told.get("datatype", _DOWNLOADS) != _DOWNLOADS or told.get("format") != _PRODUCTS:
            continue
        found.append(_path(told.get("path"), f"{index.what}, {name!a}"))
    return found


def products(stream: Document) -> Iterator[Product]:
    """All products of a document. Words of the document count for its products."""
    _check_format(stream, _PRODUCTS)
    for name, told in _objects(stream.content.get("products"), f"{stream.what}, products"):
        what = f"{stream.what}, product {name!a}"
        versions = dict(_objects(told.get("versions", {}), f"{what}, versions"))
        words = {**stream.content, **told, **(versions[max(versions)] if versions else {})}
        yield Product(
            name=name,
            os=_word(words, "os", what, "ubuntu"),
            arch=_word(words, "arch", what),
            subarch=_word(words, "subarch", what, "generic"),
            subarches=tuple(_word(words, "subarches", what, "").replace(" ", "").split(",")),
            release=_word(words, "release", what, ""),
            label=_word(words, "label", what, "release"),
            bootloader=_word(words, "bootloader-type", what, ""),
            versions={
                version: dict(_items(inside, f"{what}, version {version!a}"))
                for version, inside in versions.items()
            },
        )


def _items(version: Mapping[str, Any], what: str) -> Iterator[tuple[str, Item]]:
    for name, told in _objects(version.get("items", {}), f"{what}, items"):
        inside = f"{what}, item {name!a}"
        ftype = _word(told, "ftype", inside, name)
        if "path" not in told:
            continue
        sha256, size = told.get("sha256"), told.get("size")
        if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
            raise ImageError(f"{inside}: it has no SHA-256, so its file could not be checked.")
        if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= _LARGEST:
            raise ImageError(f"{inside}: its size is not a number of bytes.")
        yield ftype, Item(ftype, _path(told["path"], inside), sha256, size)


def _check_format(found: Document, wanted: str) -> None:
    if found.content.get("format") != wanted:
        raise ImageError(
            f"{found.what} was not taken: its format is {found.content.get('format')!a}, and "
            f"{wanted!r} was expected. Give the URL of a simplestreams mirror."
        )


def _objects(found: object, what: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if not isinstance(found, dict):
        raise ImageError(f"{what}: that is not an object of objects.")
    for name, inside in found.items():
        if not isinstance(inside, dict):
            raise ImageError(f"{what}: {name!a} is not an object.")
        yield name, inside


def _word(found: Mapping[str, Any], key: str, what: str, default: str | None = None) -> str:
    word = found.get(key, default)
    if not isinstance(word, str) or len(word) > _LONGEST_PATH:
        raise ImageError(f"{what}: {key!r} is missing, or not a short text.")
    return word


def _path(found: object, what: str) -> str:
    if not isinstance(found, str) or len(found) > _LONGEST_PATH or not _PATH.fullmatch(found):
        raise ImageError(f"{what}: its path {ascii(found)[:120]} is not a plain relative path.")
    return found


def _date(content: Mapping[str, Any], key: str, what: str) -> datetime.datetime | None:
    text = content.get(key)
    if text is None:
        return None
    try:
        moment = parsedate_to_datetime(text)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
        return aware.astimezone(datetime.UTC)
    except (TypeError, ValueError, OverflowError, AttributeError, IndexError):
        raise ImageError(f"{what} was not taken: {key!r} is {ascii(text)[:80]}, no date.") from None
