"""The page at ``/docs``: the OpenAPI document for people, as one HTML file.

It is whole without scripts; the script in ``page.html`` searches. Nothing is loaded
from anywhere, and its security policy says so.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from importlib import resources
from string import Template
from typing import Any

from api.schemas import SINCE
from api.versions import MAXIMUM, REQUEST_HEADER, text

Part = Mapping[str, Any]
METHODS = ("get", "head", "post", "put", "patch", "delete")
ADDRESS = "http://127.0.0.1:6385"
_DEEPEST = 5
_SAMPLES = {"string": "...", "integer": 1, "number": 1, "boolean": True, "array": []}


@dataclass(frozen=True)
class Page:
    """The file, and the policy it must be sent with."""

    html: bytes
    policy: str


def made(document: Part) -> Page:
    """The page about an OpenAPI document."""
    template = resources.files("api").joinpath("page.html").read_text()
    tags = [tag["name"] for tag in document["tags"]]
    by_tag: dict[str, list[str]] = {tag: [] for tag in tags}
    for path, entry in document["paths"].items():
        for method in METHODS:
            if method in entry:
                by_tag[entry[method]["tags"][0]].append(_operation(document, path, entry, method))
    html = Template(template).substitute(
        title=escape(document["info"]["title"]),
        about=escape(_flowing(document["info"]["description"].replace("`", ""))),
        nav="\n".join(
            f'<a href="#{tag}">{escape(_words(tag))} <span>{len(found)}</span></a>'
            for tag, found in [*by_tag.items(), ("schemas", document["components"]["schemas"])]
        ),
        body="\n".join([*(_section(tag, found) for tag, found in by_tag.items()), _all(document)]),
    )
    return Page(html.encode(), _policy(html))


def _policy(html: str) -> str:
    """Nothing but the page's own script and style, known by their digests."""
    digests = {
        kind: base64.b64encode(hashlib.sha256(found.encode()).digest()).decode()
        for kind in ("script", "style")
        for found in re.findall(f"<{kind}>(.*?)</{kind}>", html, re.DOTALL)
    }
    return (
        f"default-src 'none'; script-src 'sha256-{digests['script']}'; "
        f"style-src 'sha256-{digests['style']}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def _flowing(text: str) -> str:
    """Each paragraph as one line."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _section(name: str, items: Iterable[str]) -> str:
    return f'<section id="{name}">\n<h2>{escape(_words(name))}</h2>\n{"".join(items)}</section>'


def _words(tag: str) -> str:
    return tag.replace("_", " ").capitalize()


def _all(document: Part) -> str:
    """Every schema, for the others to point to."""
    found = document["components"]["schemas"]
    items = (
        f'<details id="schema-{name}"><summary><b>{name}</b>'
        f'<span class="what">{escape(schema.get("description", ""))}</span></summary>\n'
        f'<div class="in">{_table(_FIELD_TITLES, _fields(schema))}</div></details>\n'
        for name, schema in found.items()
    )
    return _section("schemas", items)


def _operation(document: Part, path: str, entry: Part, method: str) -> str:
    operation = entry[method]
    inside = [
        _arguments(document, [*entry["parameters"], *operation["parameters"]]),
        _body(document, operation.get("requestBody")),
        _responses(document, operation["responses"]),
        _by_hand(_curl(document, path, method, operation)),
    ]
    return (
        f'<details id="{operation["operationId"]}"><summary>'
        f'<span class="verb {method}">{method.upper()}</span>'
        f'<span class="path">{escape(path)}</span>'
        f'<span class="what">{escape(operation["summary"])}</span>'
        f"{_since(operation)}</summary>\n"
        f'<div class="in">{"".join(inside)}</div></details>\n'
    )


def _by_hand(line: str) -> str:
    return f'<h3>By hand</h3><pre class="curl">{escape(line)}</pre>'


def _since(part: Part) -> str:
    return f'<span class="since">since {part[SINCE]}</span>' if SINCE in part else ""


def _arguments(document: Part, parameters: Iterable[Part]) -> str:
    rows = []
    for parameter in parameters:
        if "$ref" in parameter:
            continue  # What all take is told of once, at the top.
        kind = _kind(parameter["schema"])
        rows.append(
            (
                parameter["name"],
                parameter["in"],
                kind,
                parameter.get(SINCE, ""),
                escape(parameter["description"]),
            )
        )
    titles = ("Argument", "In", "Type", "Since", "Meaning")
    return f"<h3>Arguments</h3>{_table(titles, rows)}" if rows else ""


_FIELD_TITLES = ("Field", "Type", "Since", "Meaning")


def _body(document: Part, body: Part | None) -> str:
    if body is None:
        return ""
    (content,) = body["content"].values()
    schema = content["schema"]
    need = "" if body["required"] else " (may be left out)"
    shown = f"<p>{_kind(schema)}</p>" if "$ref" in schema else ""
    rows = list(_fields(_resolved(document, schema)))
    return f"<h3>Body{need}</h3>{shown}{_table(_FIELD_TITLES, rows)}"


def _responses(document: Part, responses: Part) -> str:
    rows = []
    for status, entry in responses.items():
        found = _resolved(document, entry)
        schemas = [_kind(content["schema"]) for content in found.get("content", {}).values()]
        rows.append((status, escape(found["description"]), ", ".join(schemas) or "no body"))
    return f"<h3>Answers</h3>{_table(('Status', 'Meaning', 'Body'), rows)}"


def _fields(schema: Part, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, ...]]:
    """A row for each field, those of inner objects with the way to them."""
    if schema.get("items") and not prefix:
        yield from _fields(schema["items"], "[]", depth + 1)
    required = schema.get("required", ())
    for name, entry in schema.get("properties", {}).items():
        way = f"{prefix}.{name}" if prefix else name
        notes = ["Required."] if name in required else []
        notes.extend(escape(entry[key]) for key in ("description",) if key in entry)
        yield escape(way), _kind(entry), entry.get(SINCE, ""), " ".join(notes)
        inner = entry.get("items", entry)
        if depth < _DEEPEST and isinstance(inner, Mapping):
            yield from _fields(inner, way + ("[]" if "items" in entry else ""), depth + 1)


def _kind(schema: Part) -> str:
    """What a value is, in some words of HTML."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#schema-{name}">{name}</a>'
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(_kind(entry) for entry in schema[key])
    if "enum" in schema:
        return escape(", ".join(json.dumps(value) for value in schema["enum"]))
    kinds = schema.get("type", "any")
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    if "array" in kinds and schema.get("items"):
        kinds[kinds.index("array")] = f"list of {_kind(schema['items'])}"
        return " or ".join(kinds)
    return escape(" or ".join(kinds))


def _table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Cells are HTML already. Columns with nothing in them are left out."""
    columns = [column for column in zip(titles, *rows, strict=True) if any(column[1:])]
    if not columns:
        return ""
    titles, *rows = zip(*columns, strict=True)
    lines = ["".join(f"<td>{cell}</td>" for cell in row) for row in rows]
    head = "".join(f"<th>{title}</th>" for title in titles)
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _curl(document: Part, path: str, method: str, operation: Part) -> str:
    words = ["curl"]
    if operation.get("security") != []:
        words.append("-u USER")
    if path.startswith("/v1"):
        words.append(f"-H '{REQUEST_HEADER}: {text(MAXIMUM)}'")
    words.append({"get": "", "head": "-I"}.get(method, f"-X {method.upper()}"))
    words.append(f"'{ADDRESS}{path}'")
    if "requestBody" in operation:
        (content,) = operation["requestBody"]["content"].values()
        words.append(f"-d {shlex.quote(json.dumps(_sample(document, content['schema'])))}")
    return " ".join(word for word in words if word)


def _sample(document: Part, schema: Part) -> Any:
    """A small value that has what must be there."""
    schema = _resolved(document, schema)
    if schema.get("enum"):
        return schema["enum"][0]
    kinds = schema.get("type", "string")
    kind = kinds if isinstance(kinds, str) else kinds[0]
    if kind == "array" and schema.get("items", {}).get("required"):
        return [_sample(document, schema["items"])]
    if kind == "object":
        properties = schema.get("properties", {})
        needed = {name: properties.get(name, {}) for name in schema.get("required", ())}
        return {name: _sample(document, entry) for name, entry in needed.items()}
    return _SAMPLES.get(kind)


def _resolved(document: Part, part: Part) -> Part:
    """What a reference points to; other parts as they are."""
    if "$ref" not in part:
        return part
    found = document
    for key in part["$ref"].removeprefix("#/").split("/"):
        found = found[key]
    return found
