"""The small address for those who watch over a process: health and metrics, nothing else.

The API has the same below its own address; here is where roles without an API are asked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs

from drophammer import metrics
from drophammer.health import Health

_JSON = "application/json"
_STATUS = {200: "200 OK", 400: "400 Bad Request", 404: "404 Not Found",
           405: "405 Method Not Allowed", 503: "503 Service Unavailable"}  # fmt: skip
Answer = tuple[int, str, bytes]


class Monitor:
    """A WSGI application."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._pages: dict[str, Callable[[str], Answer]] = {
            "/healthz": lambda query: _json(200, {"alive": True}),
            "/readyz": self._ready,
            "/metrics": lambda query: (200, metrics.CONTENT_TYPE, metrics.exposition()),
        }

    def __call__(
        self, environ: Mapping[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer one request."""
        page = self._pages.get(environ.get("PATH_INFO", ""))
        if page is None:
            there = ", ".join(self._pages)
            status, media, body = _json(404, {"error": f"There are {there} here, and no more."})
        elif environ.get("REQUEST_METHOD") != "GET":
            status, media, body = _json(405, {"error": "Only GET is possible here."})
        else:
            status, media, body = page(environ.get("QUERY_STRING", ""))
        headers = [("Content-Type", media), ("Content-Length", str(len(body)))]
        start_response(_STATUS[status], headers)
        return [body]

    def _ready(self, query: str) -> Answer:
        found = self._health.check()
        only = [name for text in parse_qs(query).get("only", ()) for name in text.split(",")]
        strange = [name for name in only if name not in found]
        if strange:
            text = f"There is no check {strange[0][:80]!r}; use {', '.join(found)}."
            return _json(400, {"error": text})
        told = {name: found[name] or None for name in only or found}
        fit = not any(told.values())
        return _json(200 if fit else 503, {"ready": fit, "checks": told})


def _json(status: int, body: object) -> Answer:
    return status, _JSON, json.dumps(body).encode()
