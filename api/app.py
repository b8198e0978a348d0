"""Puts the API together: routes, versions, passwords, errors, the access log.

One function, and nothing happens at import. What the resources do is in their own
files; ``routes.py`` names them all.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flask import Flask, Request, Response, g, request
from flask.sessions import NullSession, SessionInterface, SessionMixin
from werkzeug.datastructures import EnvironHeaders, MIMEAccept
from werkzeug.routing import MapAdapter, Rule
from werkzeug.sansio.utils import get_current_url

from api import errors, versions, wire
from api.auth import PasswordFile
from api.call import Call, Reply, Services
from api.description import Description
from api.openapi import JSON
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
REQUEST_ID_HEADERS = ("x-openstack-request-id", "openstack-request-id")


def create_app(settings: Settings, store: Store, bus: Bus, *, ramdisk_only: bool = False) -> Api:
    """The API as a WSGI application.

    ``ramdisk_only`` leaves out all but what ramdisks need, for the address on the
    provisioning network.
    """
    routes = [route for route in ROUTES if route.ramdisk or not ramdisk_only]
    services = Services(
        settings=settings,
        store=store,
        bus=bus,
        hardware=Hardware(store, alive_seconds=settings.conductor_timeout),
        resources=frozenset(route.resource for route in routes),
        description=Description(routes),
    )
    return Api(services, routes)


class _OnlyNamedMethods(Rule):
    """A rule that does not answer HEAD because it answers GET: only ``/v1`` has HEAD."""

    def __init__(self, string: str, **options: Any) -> None:
        named = set(options.get("methods") or ())
        super().__init__(string, **options)
        if self.methods is not None and "HEAD" not in named:
            self.methods.discard("HEAD")


class _NoSessions(SessionInterface):
    """Nobody logs in here: there are no cookies to read or to write."""

    def open_session(self, app: Flask, request: Request) -> SessionMixin:
        return _NOBODY

    def is_null_session(self, obj: object) -> bool:
        return True

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Nothing to save."""


_NOBODY = NullSession()


@dataclass
class Visit:
    """What is known of one request; for the log too when it gets no further."""

    started: float = field(default_factory=time.monotonic)
    request_id: str = field(default_factory=lambda: f"req-{new_uuid()}")
    user: str | None = None
    version: int | None = None
    range_known: bool = True
    call: Call | None = None


class Api(Flask):
    """Flask, with what this API never uses taken out of each request's way.

    A view is found and run by Flask; what goes before and after it is in the hooks.
    """

    url_rule_class: type[Rule] = _OnlyNamedMethods
    session_interface = _NoSessions()

    def __init__(self, services: Services, routes: Sequence[Route]) -> None:
        super().__init__("api", static_folder=None)
        self._services = services
        self._routes = {f"{route.method} {route.path}": route for route in routes}
        settings = services.settings
        self._passwords = (
            PasswordFile(settings.http_basic_auth_user_file)
            if settings.auth_strategy == HTTP_BASIC
            else None
        )
        self.url_map.merge_slashes = False
        for name, route in self._routes.items():
            self.add_url_rule(
                route.rule,
                endpoint=name,
                view_func=functools.partial(self._view, route),
                methods=[route.method],
            )
        self.before_request(self._gate)
        self.after_request(self._finished)
        self.register_error_handler(Exception, self._failed)

    def wsgi_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Every spelling of a path, brought to the one that the routes know."""
        path = environ.get("PATH_INFO", "/")
        environ["PATH_INFO"] = normal(path, EnvironHeaders(environ))
        return super().wsgi_app(environ, start_response)

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """What matches the path. No route depends on the host, so it is not looked at."""
        if request is None:
            return None
        return MapAdapter(
            self.url_map, "api", "/", "", request.scheme, request.path, request.method
        )

    def _gate(self) -> None:
        """What every request passes before its handler: password, version, format."""
        visit = g.visit = Visit()
        route = self._routes.get(request.endpoint or "")
        # A browser asks for its options before it has anything to log in with.
        if self._passwords and not (route and route.public) and request.method != "OPTIONS":
            visit.user = self._passwords.check(request)
        try:
            visit.version = versions.negotiate(request.headers)
        except versions.VersionRefused as refusal:
            visit.range_known = refusal.readable
            raise
        kind = JSON if route is None else route.handler.media
        if request.headers.get("Accept") != kind and not _takes(request.accept_mimetypes, kind):
            raise errors.RouterError(406, f"This address speaks {kind} only.")
        if "\0" in request.path:
            raise Invalid("A NUL character is not allowed in a path.")
        if not request.host and not self._services.settings.public_endpoint:
            raise Invalid("The Host header is not a host name or address.")

    def _view(self, route: Route, **parts: str) -> Response:
        visit: Visit = g.visit
        assert visit.version is not None
        if visit.version < route.since:
            raise errors.RouterError(route.below, _TOO_OLD[route.below].format(route.since))
        endpoint = route.handler
        visit.call = Call(
            services=self._services,
            version=visit.version,
            base=self._services.settings.public_endpoint or _base(request.scheme, request.host),
            path=request.path,
            request_id=visit.request_id,
            endpoint=endpoint,
            query=Query(request.args, endpoint.query, visit.version),
            user=visit.user,
            stream=request.stream,
            length=request.content_length,
        )
        return _response(endpoint(visit.call, *parts.values()))

    def _failed(self, error: Exception) -> Response:
        return errors.response(error, g.visit.request_id)

    def _finished(self, response: Response) -> Response:
        """What every response carries, and its line in the log."""
        visit: Visit = g.visit
        told = versions.response_headers(visit.version, range_known=visit.range_known)
        for name in REQUEST_ID_HEADERS:
            told[name] = visit.request_id
        response.headers.extend(told)
        # The path without its query: that is where clients put what nobody should read.
        ACCESS.info(
            "%s %s %d %.1f ms version=%s request=%s node=%s user=%s",
            request.method,
            repr(request.path),
            response.status_code,
            (time.monotonic() - visit.started) * 1000,
            "-" if visit.version is None else visit.version,
            visit.request_id,
            (visit.call.node if visit.call else None) or "-",
            repr(visit.user) if visit.user else "-",
        )
        return response


def _takes(accepts: MIMEAccept, media: str) -> bool:
    if not accepts or accepts[media]:
        return True
    # With a parameter (version=1, charset=utf-8) it is still the same that is wanted.
    kinds = ((kind.partition(";")[0].strip().lower(), quality) for kind, quality in accepts)
    return any(kind == media and quality > 0 for kind, quality in kinds)


# What is told below a route's first version, by what it says then.
_TOO_OLD = {
    404: "The resource could not be found.",
    405: "The method is not allowed.",
    406: "This needs API version 1.{}.",
}


@functools.lru_cache(64)
def _base(scheme: str, host: str) -> str:
    """The URL of this service as the client wrote it."""
    return get_current_url(scheme, host).rstrip("/")


def _response(reply: Reply) -> Response:
    if reply.body is None:
        response = Response(status=reply.status)
        del response.headers["Content-Type"]
    elif isinstance(reply.body, bytes):
        response = Response(reply.body, status=reply.status)
    else:
        response = Response(wire.dumps(reply.body), status=reply.status, mimetype=JSON)
    if reply.headers:
        response.headers.update(reply.headers)
    return response
