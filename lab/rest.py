"""A client of the public REST API, as a script of an operator would have one.

Errors come back as ``Refused`` with the service's own sentence.
"""

from __future__ import annotations

import json
from typing import Any

import urllib3

VERSION = "1.110"


class Refused(Exception):
    """The API answered with an error; ``status`` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"HTTP {status}: {message}")
        self.status = status


class Rest:
    """Talks to one API. Safe to share between threads."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._pool = urllib3.PoolManager(maxsize=16, retries=False, timeout=urllib3.Timeout(30))

    def get(self, path: str) -> Any:
        """The JSON at ``path``."""
        return self._ask("GET", path)

    def post(self, path: str, body: Any) -> Any:
        """Create something; the answer's JSON."""
        return self._ask("POST", path, body)

    def put(self, path: str, body: Any) -> Any:
        """Ask for something to be done."""
        return self._ask("PUT", path, body)

    def patch(self, path: str, body: Any) -> Any:
        """Change something with a JSON patch."""
        return self._ask("PATCH", path, body)

    def delete(self, path: str) -> None:
        """Remove something."""
        self._ask("DELETE", path)

    def answers(self) -> bool:
        """Whether anybody is there."""
        try:
            self.get("/v1")
        except (Refused, urllib3.exceptions.HTTPError, OSError):
            return False
        return True

    def close(self) -> None:
        """Let go of the connections."""
        self._pool.clear()

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        response = self._pool.request(
            method,
            self.url + path,
            body=None if body is None else json.dumps(body).encode(),
            headers={
                "Content-Type": "application/json",
                "X-OpenStack-Ironic-API-Version": VERSION,
            },
        )
        if response.status >= 400:
            raise Refused(response.status, sentence(response.data))
        return json.loads(response.data) if response.data else None


def sentence(data: bytes) -> str:
    """The human part of an error body (see the API's error shapes)."""
    try:
        body = json.loads(data)
        inner = body.get("error_message", body)
        inner = json.loads(inner) if isinstance(inner, str) else inner
        return str(inner.get("faultstring") or inner.get("description") or inner)
    except (ValueError, AttributeError):
        return data[:300].decode("utf-8", "replace")
