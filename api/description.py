"""The API describes itself: ``/openapi.json`` for programs, ``/docs`` for people."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from api import openapi, page
from api.call import Call, Reply
from api.endpoint import takes

if TYPE_CHECKING:
    from api.routes import Route

HTML = "text/html"


class Description:
    """Both forms, made at the first request for them and kept."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = routes

    @functools.cached_property
    def document(self) -> dict[str, Any]:
        """The OpenAPI document."""
        return openapi.document(self._routes)

    @functools.cached_property
    def json(self) -> bytes:
        """The document as it is sent."""
        return json.dumps(self.document, separators=(",", ":")).encode()

    @functools.cached_property
    def page(self) -> page.Page:
        """The page about it."""
        return page.made(self.document)


@takes(reply={"type": "object"})
def show_document(call: Call) -> Reply:
    """Show the OpenAPI document of this API."""
    return Reply(body=call.services.description.json, headers={"Content-Type": openapi.JSON})


@takes(reply={"type": "string"}, media=HTML)
def show_page(call: Call) -> Reply:
    """Show a page for people about this API."""
    found = call.services.description.page
    headers = {
        "Content-Type": f"{HTML}; charset=utf-8",
        "Content-Security-Policy": found.policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    return Reply(body=found.html, headers=headers)
