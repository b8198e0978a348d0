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
from typing import TYPE_CHECKING, cast

from flask import Flask, Request, Response
from flask.globals import request_ctx
from flask.sessions import NullSession, SessionInterface, SessionMixin
from werkzeug.datastructures import EnvironHeaders, MIMEAccept
from werkzeug.routing import Map, MapAdapter
from werkzeug.sansio.utils import get_current_url

from api import errors, finding, health, metrics, versions
from api.auth import PasswordFile
from api.beats import Beats
from api.call import Call, Services
from api.description import Description
from api.eventstream import EventStream
from api.paths import normal
from api.query import Query
from api.reply import JSON, Reply, Written, written
from api.routes import Route
from api.settings import HTTP_BASIC, TAKE_OVER, Settings
from api.waiting import WaitingRoom
from drophammer import trace
from drophammer.bus import Bus
from drophammer.errors import Invalid
from drophammer.hardware import Hardware
from drophammer.health import Health
from drophammer.store import Store

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

ACCESS = logging.getLogger("api.access")
_THEIR_ID = ("HTTP_X_OPENSTACK_REQUEST_ID", "HTTP_X_REQUEST_ID")
_JSON_ONLY = (JSON,)
REQUEST_ID_HEADERS = ("x-openstack-request-id", "openstack-request-id")


def create_app(
    settings: Settings,
    store: Store,
    bus: Bus,
    *,
    ramdisk_only: bool = False,
    checks: Health | None = None,
) -> Api:
    """The API as a WSGI application.

    ``ramdisk_only`` leaves out all but what ramdisks need, for the address on the
    provisioning network. ``checks`` are those of the process that it is a part of.
    """
    routes = finding.routes(ramdisk_only=ramdisk_only)
    hardware = Hardware(store, alive_seconds=settings.conductor_timeout)
    checks = checks or Health(store, bus)
    checks.add("conductors", lambda: health.conductors_trouble(hardware), asks_database=True)
    services = Services(
        settings=settings,
        store=store,
        bus=bus,
        hardware=hardware,
        resources=frozenset(route.resource for route in routes),
        description=Description(routes),
        waiting=WaitingRoom(
            settings.locked_waiting, settings.locked_attempts * settings.locked_pause
        ),
        beats=Beats(store, bus),
        stream=EventStream(store),
        health=checks,
    )
    return Api(services, routes, finding.url_map(ramdisk_only=ramdisk_only))


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
    request_id: str = field(default_factory=trace.new)
    user: str | None = None
    version: int | None = None
    range_known: bool = True
    call: Call | None = None


class _Request(Request):
    """What Flask knows of a request, and what we do."""

    visit: Visit


class Api(Flask):
    """Flask, with what this API never uses taken out of each request's way.

    A view is found and run by Flask; what goes before and after it is called from here.
    """

    session_interface = _NoSessions()
    request_class = _Request

    def __init__(self, services: Services, routes: Sequence[Route], url_map: Map) -> None:
        super().__init__("api", static_folder=None)
        self._services = services
        self.stream = services.stream
        self._routes = {finding.name(route): route for route in routes}
        settings = services.settings
        self._passwords = (
            PasswordFile(settings.http_basic_auth_user_file)
            if settings.auth_strategy == HTTP_BASIC
            else None
        )
        self.url_map = url_map
        self.view_functions = {
            name: functools.partial(self._view, route) for name, route in self._routes.items()
        }

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

    def full_dispatch_request(self) -> Response:
        """One request. To look for hooks, signals and sessions, of which there are none, and
        for the request at each mention of it, is a tenth of the application's CPU for a GET.
        What answers is no ``Response``: Flask calls it, as any WSGI application, and no more.
        """
        request = cast(_Request, request_ctx.request)
        visit = request.visit = Visit()
        _take_over_id(request, visit)
        trace.begin(visit.request_id)
        try:
            self._gate(request)
            # All that is registered answers with one.
            answer = cast(Written, self.dispatch_request())
        except Exception as error:
            answer = written(errors.reply(error, visit.request_id))
        self._finish(request, answer)
        trace.begin("")  # The thread goes on to other things.
        return cast(Response, answer)

    def make_default_options_response(self) -> Response:
        """What OPTIONS is answered with: the methods that the path has."""
        methods = cast(MapAdapter, request_ctx.url_adapter).allowed_methods()
        return cast(Response, written(Reply(headers={"Allow": ", ".join(sorted(methods))})))

    def _gate(self, request: _Request) -> None:
        """What every request passes before its handler: password, version, format."""
        visit = request.visit
        route = self._routes.get(request.endpoint or "")
        # A browser asks for its options before it has anything to log in with.
        if self._passwords and not (route and route.public) and request.method != "OPTIONS":
            visit.user = self._passwords.check(request)
        try:
            visit.version = versions.negotiate(request.headers)
        except versions.VersionRefused as refusal:
            visit.range_known = refusal.readable
            raise
        kinds = _JSON_ONLY if route is None else route.handler.kinds
        if request.headers.get("Accept") not in kinds and not any(
            _takes(request.accept_mimetypes, kind) for kind in kinds
        ):
            raise errors.RouterError(406, f"This address speaks {' and '.join(kinds)} only.")
        if "\0" in request.path:
            raise Invalid("A NUL character is not allowed in a path.")
        if not request.host and not self._services.settings.public_endpoint:
            raise Invalid("The Host header is not a host name or address.")

    def _view(self, route: Route, **parts: str) -> Written:
        request = cast(_Request, request_ctx.request)
        visit = request.visit
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
            headers=request.headers,
            take_over=request.environ.get(TAKE_OVER),
        )
        return written(endpoint(visit.call, *parts.values()))

    def _finish(self, request: _Request, answer: Written) -> None:
        """What every answer carries, and its line in the log."""
        visit = request.visit
        told = versions.response_headers(visit.version, range_known=visit.range_known)
        answer.headers.update(told)
        for name in REQUEST_ID_HEADERS:
            answer.headers[name] = visit.request_id
        passed = time.monotonic() - visit.started
        metrics.count(request.endpoint, answer.status, passed)
        node = (visit.call.node if visit.call else None) or ""
        trace.on_node(node)
        # The path without its query: that is where clients put what nobody should read.
        ACCESS.info(
            "%s %s %d %.1f ms version=%s request=%s node=%s user=%s",
            request.method,
            repr(request.path),
            answer.status,
            passed * 1000,
            "-" if visit.version is None else visit.version,
            visit.request_id,
            node or "-",
            repr(visit.user) if visit.user else "-",
        )


def _take_over_id(request: Request, visit: Visit) -> None:
    """A proxy's or a client's own id for the request, if it is one by its form."""
    for name in _THEIR_ID:
        given = request.environ.get(name)
        if given is not None and trace.well_formed(given):
            visit.request_id = given
            return


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
