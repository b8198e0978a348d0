"""Requests made up for a route from its contract: right, nearly right, and nonsense."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

from api import arguments
from api.routes import Route
from tests.functional.api.world import World

# Real lone surrogates and NULs too, as escapes in the JSON text.
TEXTS = st.text(max_size=20) | st.sampled_from(
    ["\x00", "\ud800", "\U0001f600", "x" * 5000, "", "é" * 255, "null", "../..", "%00", "-1"]
)
ODD = st.sampled_from([None, True, -1, 2**63, 2**64, 10**400, 1.5, float("inf"), [], {}, [[]]])
VALUES = st.recursive(
    ODD | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
UUIDS = st.sampled_from([str(uuid.UUID(int=n << 64 | 1)) for n in range(3)])
VERSIONS = st.integers(1, 115).map(lambda minor: f"1.{minor}") | st.sampled_from(
    ["1.115", "1.115", "latest", None]
)


def requests(route: Route, world: World, document: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """(path, query, body, version) for a route."""
    return st.tuples(
        _paths(route, world), _queries(route, world), _bodies(route, document), VERSIONS
    )


def url_text(text: str) -> str:
    """A URL is bytes: what is no text cannot be in it."""
    return text.encode("utf-8", "replace").decode()


def fitting(schema: Mapping[str, Any], document: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Values that mostly fit a schema: at each place anything may come instead."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "enum" in schema:
        return st.sampled_from(schema["enum"]) | TEXTS
    kinds = schema.get("type", "any")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    return st.one_of(*(_of_kind(kind, schema, document) for kind in kinds), ODD)


def _of_kind(
    kind: str, schema: Mapping[str, Any], document: Mapping[str, Any]
) -> st.SearchStrategy[Any]:
    if kind == "object":
        return _objects(schema, document)
    if kind == "array":
        return st.lists(fitting(schema.get("items", {}), document), max_size=3)
    if kind == "string" and "[0-9a-fA-F]{8}" in schema.get("pattern", ""):
        return UUIDS
    if kind == "string" and "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=True).filter(lambda text: len(text) < 99)
    if kind == "integer":
        return st.integers(schema.get("minimum"), schema.get("maximum"))
    simple = {"string": TEXTS, "boolean": st.booleans(), "null": st.none()}
    return simple.get(kind, VALUES)


def _objects(
    schema: Mapping[str, Any], document: Mapping[str, Any]
) -> st.SearchStrategy[dict[str, Any]]:
    known = {name: fitting(entry, document) for name, entry in schema.get("properties", {}).items()}
    required = {name: known.pop(name) for name in schema.get("required", ())}
    if len(known) <= 5:
        return st.fixed_dictionaries(required, optional=known)
    # Some at a time: all at once are never right.
    some = st.lists(st.sampled_from(sorted(known)), max_size=4, unique=True)
    return some.flatmap(
        lambda names: st.fixed_dictionaries({**required, **{name: known[name] for name in names}})
    )


def _paths(route: Route, world: World) -> st.SearchStrategy[str]:
    garbage = TEXTS.map(lambda text: quote(url_text(text), safe=""))

    def choose(draw: st.DrawFn) -> str:
        return world.filled(
            route.path, lambda known: draw(st.sampled_from([*known, *known, *known]) | garbage)
        )

    return st.composite(choose)()


def _queries(route: Route, world: World) -> st.SearchStrategy[dict[str, str]]:
    taken = route.handler.query
    if not taken:
        return st.just({}) | st.just({}) | st.just({"unknown": "x"})
    names = st.sampled_from([*taken, *taken, *taken, "unknown"])
    return st.lists(names, max_size=3, unique=True).flatmap(
        lambda chosen: st.fixed_dictionaries({name: _argument(name, world) for name in chosen})
    )


def _argument(name: str, world: World) -> st.SearchStrategy[str]:
    known = arguments.QUERY.get(name)
    found = TEXTS | st.sampled_from([*world.names["nodes"], "uuid", "name,uuid", "1", "true"])
    if known is not None and "enum" in known.schema:
        found |= st.sampled_from(known.schema["enum"])
    return found.map(url_text)


def _bodies(route: Route, document: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    operation = document["paths"][route.path][route.method.lower()]
    if "requestBody" not in operation:
        return st.none() | st.none() | st.none() | VALUES
    (content,) = operation["requestBody"]["content"].values()
    right = fitting(content["schema"], document)
    return st.one_of(right, right, right, VALUES)
