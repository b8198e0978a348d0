"""The OpenAPI 3.1 document, written from the tables that route and check requests.

Nothing is described here by name: paths and methods come from the routes, the rest
from their endpoints' contracts and from the tables of fields.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import drophammer
from api import arguments, schemas
from api.endpoint import Endpoint
from api.fields import Table
from api.reply import JSON as JSON
from api.schemas import ref, since
from api.versions import (
    MAXIMUM,
    MAXIMUM_HEADER,
    MINIMUM,
    MINIMUM_HEADER,
    REQUEST_HEADER,
    SERVICE_HEADER,
    text,
)

if TYPE_CHECKING:
    from api.routes import Route

Part = dict[str, Any]
FILE = "application/octet-stream"
ABOUT = f"""Turns racked machines into running systems; speaks the OpenStack bare metal API.

A request says in the header `{REQUEST_HEADER}` which version it speaks, from
{text(MINIMUM)} to {text(MAXIMUM)} or `latest`; without it, {text(MINIMUM)}. What is newer
than that is marked `{schemas.SINCE}`: such fields are absent from answers, and refused
with 406 in requests."""
_VERSION = {"type": "string", "pattern": r"^(1\.[0-9]{1,6}|[Ll][Aa][Tt][Ee][Ss][Tt])$"}
_ERRORS = {
    400: ("Error", "BodyRefused", "PasswordRefused"),
    401: ("PasswordRefused",),
    403: ("Error",),
    404: ("Error",),
    405: ("Error",),
    406: ("Error",),
    409: ("Error",),
    413: ("BodyRefused",),
    500: ("Error",),
    503: ("Error", "BodyRefused"),
}
_EVERYWHERE = (400, 403, 404, 406, 409, 500, 503)


def document(routes: Sequence[Route]) -> Part:
    """The whole document."""
    paths: dict[str, Part] = {}
    for route in routes:
        entry = paths.setdefault(route.path, {"parameters": _common(route)})
        entry[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Drophammer bare metal API",
            "version": drophammer.__version__,
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"basic": []}],
        "tags": [{"name": name} for name in dict.fromkeys(_tag(route) for route in routes)],
        "paths": paths,
        "components": {
            "securitySchemes": {"basic": {"type": "http", "scheme": "basic"}},
            "headers": {name: _told(meaning) for name, meaning in _HEADERS.items()},
            "parameters": {"version": _header(REQUEST_HEADER), "service": _service_header()},
            "schemas": {**schemas.ERRORS, **_nouns(route.handler for route in routes)},
            "responses": {str(status): _refusal(status) for status in _ERRORS},
        },
    }


_HEADERS = {
    MINIMUM_HEADER: "The oldest version that is served.",
    MAXIMUM_HEADER: "The newest version that is served.",
    REQUEST_HEADER: "The version that the answer speaks.",
    "x-openstack-request-id": "What the service's log knows the request by.",
}


def _operation(route: Route) -> Part:
    endpoint = route.handler
    made: Part = {
        "operationId": "_".join([route.method.lower(), *re.findall(r"\w+", route.path)]),
        "summary": endpoint.text,
        "tags": [_tag(route)],
        **since(route.since),
        "parameters": [*_query(endpoint), *_headers(endpoint)],
        "responses": _responses(route),
    }
    if route.public:
        made["security"] = []
    body = _body(endpoint)
    if body is not None:
        made["requestBody"] = {"required": not endpoint.optional, "content": {JSON: body}}
    return made


def _tag(route: Route) -> str:
    return route.resource if route.path.startswith("/v1/") else "service"


def _common(route: Route) -> list[Part]:
    parts = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": arguments.PATH[name].description,
            "schema": dict(arguments.PATH[name].schema),
        }
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    return [*parts, ref("version", "parameters"), ref("service", "parameters")]


def _query(endpoint: Endpoint) -> list[Part]:
    table = endpoint.lists or endpoint.shows
    return [_argument(name, minor, table) for name, minor in (endpoint.query or {}).items()]


def _headers(endpoint: Endpoint) -> list[Part]:
    return [
        {
            "name": name,
            "in": "header",
            "description": arguments.HEADER[name].description,
            "schema": dict(arguments.HEADER[name].schema),
        }
        for name in endpoint.headers
    ]


def _argument(name: str, minor: int, table: Table | None) -> Part:
    known = arguments.QUERY[name]
    schema = dict(known.schema)
    if table is not None and name == "fields":
        schema["items"] = {"enum": list(table.fields)}
    if table is not None and name == "sort_key":
        sortable = [entry.name for entry in table.fields.values() if entry.sort]
        schema = {"enum": ["id", *sortable]}
    made: Part = {"name": name, "in": "query", "description": known.description}
    made["schema"] = schema
    if schema.get("type") == "array":
        made["explode"] = False
    return {**made, **since(minor)}


def _body(endpoint: Endpoint) -> Part | None:
    if endpoint.creates is not None:
        return {"schema": ref(f"{schemas.name_of(endpoint.creates)}New")}
    if endpoint.patches is not None:
        return {"schema": ref(f"{schemas.name_of(endpoint.patches)}Patch")}
    return None if endpoint.body is None else {"schema": dict(endpoint.body)}


def _responses(route: Route) -> Part:
    endpoint = route.handler
    found = {str(status): _success(route, status) for status in endpoint.statuses}
    refused = [*_EVERYWHERE, *([] if route.public else [401])]
    if _body(endpoint) is not None:
        refused.append(413)
    if route.below == HTTPStatus.METHOD_NOT_ALLOWED:
        refused.append(405)
    return {**{str(status): ref(str(status), "responses") for status in sorted(refused)}, **found}


def _success(route: Route, status: int) -> Part:
    endpoint = route.handler
    made: Part = {"description": HTTPStatus(status).phrase, "headers": _told_headers()}
    schema = _shown(endpoint)
    told = status == endpoint.status or status >= HTTPStatus.BAD_REQUEST
    if schema is not None and route.method != "HEAD" and told:
        made["content"] = {endpoint.media: {"schema": schema}}
        if endpoint.media_too is not None:
            made["content"][endpoint.media_too] = {"schema": {"type": "string"}}
        if endpoint.files:
            made["content"][FILE] = {"schema": {}}
    return made


def _shown(endpoint: Endpoint) -> Part | None:
    if endpoint.lists is not None:
        return ref(f"{schemas.name_of(endpoint.lists)}List")
    if endpoint.shows is not None:
        return ref(schemas.name_of(endpoint.shows))
    return None if endpoint.reply is None else dict(endpoint.reply)


def _nouns(endpoints: Any) -> dict[str, Part]:
    """The schemas of all tables that endpoints speak of."""
    found: dict[str, Part] = {}
    for endpoint in endpoints:
        for table in (endpoint.shows, endpoint.lists):
            if table is not None:
                found[schemas.name_of(table)] = schemas.shown(table)
        if endpoint.lists is not None:
            found[f"{schemas.name_of(endpoint.lists)}List"] = schemas.listed(endpoint.lists)
        if endpoint.creates is not None:
            made = schemas.created(endpoint.creates, endpoint.required, endpoint.also)
            found[f"{schemas.name_of(endpoint.creates)}New"] = made
        if endpoint.patches is not None:
            found[f"{schemas.name_of(endpoint.patches)}Patch"] = schemas.patched(endpoint.patches)
    return dict(sorted(found.items()))


def _refusal(status: int) -> Part:
    shapes = [ref(name) for name in _ERRORS[status]]
    schema = shapes[0] if len(shapes) == 1 else {"anyOf": shapes}
    return {"description": HTTPStatus(status).phrase, "content": {JSON: {"schema": schema}}}


def _told_headers() -> dict[str, Part]:
    return {name: ref(name, "headers") for name in _HEADERS}


def _told(meaning: str) -> Part:
    return {"description": meaning, "schema": {"type": "string"}}


def _header(name: str, schema: Mapping[str, Any] = _VERSION) -> Part:
    return {
        "name": name,
        "in": "header",
        "description": f"The version that the request speaks, such as {text(MAXIMUM)} or latest.",
        "schema": dict(schema),
    }


def _service_header() -> Part:
    service = {"type": "string", "pattern": r"^baremetal (1\.[0-9]{1,6}|[Ll]atest)$"}
    return {
        **_header(SERVICE_HEADER, service),
        "description": f"The same in OpenStack's newer way, such as 'baremetal {text(MAXIMUM)}'; "
        "it wins.",
    }
