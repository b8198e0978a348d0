"""Puts the API together: routes, versions, passwords, errors, the access log.

One function, and nothing happens at import. What the resources do is in their own
files; ``routes.py`` names them all.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g, request
from werkzeug.datastructures import EnvironHeaders, MIMEAccept
from werkzeug.routing import Rule

from api import errors, versions
from api.auth import PasswordFile, Refusal
from api.call import Call, Reply, Services
from api.paths import normal
from api.query import Query
from api.routes import ROUTES, Route
from api.settings import HTTP_BASIC, Settings
from drophammer.bus import Bus
from drophammer.errors import Invalid
from drophammer.hardware import Hardware
from drophammer.model import new_uuid
from drophammer.store import Store

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

ACCESS = logging.getLogger("api.access")
JSON = "application/json"
REQUEST_ID_HEADERS = ("x-openstack-request-id", "openstack-request-id")


def create_app(settings: Settings, store: Store, bus: Bus, *, ramdisk_only: bool = False) -> Flask:
    """The API as a WSGI application.

    ``ramdisk_only`` leaves out all but what ramdisks need, for the address on the
    provisioning network.
    """
    app = _Api("api", static_folder=None)
    app.url_map.merge_slashes = False
    routes = [route for route in ROUTES if route.ramdisk or not ramdisk_only]
    services = Services(
        settings=settings,
        store=store,
        bus=bus,
        hardware=Hardware(store, alive_seconds=settings.conductor_timeout),
        resources=frozenset(route.resource for route in routes),
    )
    for route in routes:
        app.add_url_rule(
            route.rule,
            endpoint=f"{route.method} {route.path}",
            view_func=_view(route, services),
            methods=[route.method],
        )
    errors.install(app)
    app.register_error_handler(Refusal, lambda refusal: refusal.response)
    app.before_request(_gate(settings, routes))
    app.after_request(_finish)
    return app


class _OnlyNamedMethods(Rule):
    """A rule that does not answer HEAD because it answers GET: only ``/v1`` has HEAD."""

    def __init__(self, string: str, **options: Any) -> None:
        named = set(options.get("methods") or ())
        super().__init__(string, **options)
        if self.methods is not None and "HEAD" not in named:
            self.methods.discard("HEAD")


class _Api(Flask):
    url_rule_class: type[Rule] = _OnlyNamedMethods

    def wsgi_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Every spelling of a path, brought to the one that the routes know."""
        path = environ.get("PATH_INFO", "/")
        environ["PATH_INFO"] = normal(path, EnvironHeaders(environ))
        return super().wsgi_app(environ, start_response)


def _gate(settings: Settings, routes: list[Route]) -> Callable[[], None]:
    """What every request passes before its handler: id, password, version, format."""
    passwords = (
        PasswordFile(settings.http_basic_auth_user_file)
        if settings.auth_strategy == HTTP_BASIC
        else None
    )
    public = {f"{route.method} {route.path}" for route in routes if route.public}

    def gate() -> None:
        g.started = time.monotonic()
        g.request_id = f"req-{new_uuid()}"
        g.user = None
        # A browser asks for its options before it has anything to log in with.
        if passwords and request.endpoint not in public and request.method != "OPTIONS":
            g.user = passwords.check(request)
        try:
            g.version = versions.negotiate(request.headers)
        except versions.VersionRefused as refusal:
            g.range_known = refusal.readable
            raise
        if not _takes_json(request.accept_mimetypes):
            raise errors.RouterError(406, "This API speaks application/json only.")
        if "\0" in request.path:
            raise Invalid("A NUL character is not allowed in a path.")
        if not request.host and not settings.public_endpoint:
            raise Invalid("The Host header is not a host name or address.")

    return gate


def _takes_json(accepts: MIMEAccept) -> bool:
    if not accepts or accepts[JSON]:
        return True
    # With a parameter (version=1, charset=utf-8) it is still JSON that is wanted.
    kinds = ((kind.partition(";")[0].strip().lower(), quality) for kind, quality in accepts)
    return any(kind == JSON and quality > 0 for kind, quality in kinds)


def _view(route: Route, services: Services) -> Callable[..., Response]:
    def view(**parts: str) -> Response:
        if g.version < route.since:
            text = {404: "The resource could not be found.", 405: "The method is not allowed."}
            raise errors.RouterError(route.below, text[route.below])
        endpoint = route.handler
        call = Call(
            services=services,
            version=g.version,
            base=services.settings.public_endpoint or request.host_url.rstrip("/"),
            path=request.path,
            request_id=g.request_id,
            endpoint=endpoint,
            query=Query(request.args, endpoint.query, g.version),
            user=g.user,
            stream=request.stream,
            length=request.content_length,
        )
        g.call = call
        return _response(endpoint(call, *parts.values()))

    return view


def _response(reply: Reply) -> Response:
    if reply.body is None:
        response = Response(status=reply.status)
        del response.headers["Content-Type"]
    else:
        text = json.dumps(reply.body, separators=(",", ":"))
        response = Response(text, status=reply.status, mimetype="application/json")
    response.headers.update(reply.headers)
    return response


def _finish(response: Response) -> Response:
    """What every response carries, and its line in the log."""
    request_id = g.get("request_id", "-")
    for name in REQUEST_ID_HEADERS:
        response.headers[name] = request_id
    told = versions.response_headers(g.get("version"), range_known=g.get("range_known", True))
    response.headers.update(told)
    call: Call | None = g.get("call")
    # The path without its query: that is where clients put what nobody should read.
    ACCESS.info(
        "%s %s %d %.1f ms version=%s request=%s node=%s user=%s",
        request.method,
        repr(request.path),
        response.status_code,
        (time.monotonic() - g.get("started", time.monotonic())) * 1000,
        g.get("version", "-"),
        request_id,
        (call.node if call else None) or "-",
        repr(g.get("user")) if g.get("user") else "-",
    )
    return response
