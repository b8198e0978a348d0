"""Vendor methods of nodes and drivers: what their hardware can do beyond this API.

The method is named in the path or by ``?method=``. Which methods there are, with
which HTTP methods, is the conductor's to say.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from api import drivers, nodes
from api.call import Call, Reply
from api.endpoint import Endpoint, takes
from api.fields import OBJECT
from api.openapi import FILE, JSON
from drophammer.errors import Invalid

HTTP_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_Send = Callable[[Call, str, str, str], Reply]
_METHODS = {"type": "object", "additionalProperties": OBJECT}


@takes(reply=_METHODS)
def node_methods(call: Call, ident: str) -> Reply:
    """List the vendor methods of a node."""
    row = nodes.find(call, ident, ())
    return Reply(body=call.conductor("vendor_methods", node_id=row["id"]))


@takes(reply=_METHODS)
def driver_methods(call: Call, name: str) -> Reply:
    """List the vendor methods of a driver."""
    driver = drivers.known(call, name)
    return Reply(body=call.conductor("driver_vendor_methods", driver=driver.name))


def _call_node(call: Call, http_method: str, ident: str, method: str) -> Reply:
    arguments = call.body() or {}
    row = nodes.find(call, ident, ())
    # What only reads does not stand in line.
    send = call.conductor if http_method == "GET" else call.conductor_when_free
    answer = send(
        "vendor_call",
        node_id=row["id"],
        method=method,
        http_method=http_method,
        arguments=arguments,
    )
    return _reply(answer)


def _call_driver(call: Call, http_method: str, name: str, method: str) -> Reply:
    arguments = call.body() or {}
    driver = drivers.known(call, name)
    answer = call.conductor(
        "driver_vendor_call",
        driver=driver.name,
        method=method,
        http_method=http_method,
        arguments=arguments,
    )
    return _reply(answer)


def _reply(answer: Mapping[str, Any]) -> Reply:
    if answer["async"]:
        return Reply(202)
    if answer["attach"]:
        return Reply(200, str(answer["result"]).encode(), {"Content-Type": FILE})
    # In JSON already, because a method may have answered null.
    return Reply(200, json.dumps(answer["result"]).encode(), {"Content-Type": JSON})


def _by_path(http_method: str, send: _Send, noun: str) -> Endpoint:
    def handle(call: Call, ident: str, method: str) -> Reply:
        return send(call, http_method, ident, method)

    return Endpoint(handle, **_contract(noun))


def _by_query(http_method: str, send: _Send, noun: str) -> Endpoint:
    def handle(call: Call, ident: str) -> Reply:
        method = call.query.text("method")
        if not method:
            raise Invalid("Missing mandatory parameter: method")
        return send(call, http_method, ident, method)

    return Endpoint(handle, query={"method": 1}, **_contract(noun))


def _contract(noun: str) -> dict[str, Any]:
    summary = f"Call a vendor method of a {noun}."
    return {
        "body": OBJECT,
        "optional": True,
        "status_too": 202,
        "reply": {},
        "files": True,
        "summary": summary,
    }


# By HTTP method: the endpoints with the vendor method in the path, and in the query.
NODE = {http: _by_path(http, _call_node, "node") for http in HTTP_METHODS}
NODE_BY_QUERY = {http: _by_query(http, _call_node, "node") for http in HTTP_METHODS}
DRIVER = {http: _by_path(http, _call_driver, "driver") for http in HTTP_METHODS}
DRIVER_BY_QUERY = {http: _by_query(http, _call_driver, "driver") for http in HTTP_METHODS}
