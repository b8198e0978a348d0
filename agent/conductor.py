"""The conductor's API as the agent uses it: version, look-up, heartbeat.

Only the requests and what their answers mean; when to send them is decided in
``main.py`` and ``heartbeat.py``.
"""

from __future__ import annotations

import json

from agent import AGENT_VERSION
from agent.errors import ApiUnreachable
from agent.httpclient import HttpError, open_url, without_credentials

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agent.cmdline import Options

    Json = dict[str, Any]

FALLBACK_MINOR = 31
#: What stands before an API says so of one that is being started.
_NOBODY = (502, 503, 504)
LOOKUP_MINOR, HEARTBEAT_MINOR = 62, 68
_VERSION_HEADER = "X-OpenStack-Ironic-API-Version"
_MAX_ANSWER = 64 << 20


class Answer:
    """Status, decoded body (None when it is no JSON object) and Date header of a call."""

    def __init__(self, status: int, body: Json | None, date: str = "") -> None:
        self.status, self.body, self.date = status, body, date


class ConductorApi:
    """The API at one base URL; ``minor`` is the server's version 1.N once it is ``known``."""

    def __init__(self, options: Options, url: str) -> None:
        base = url.rstrip("/")
        self.url = base.removesuffix("/v1")
        self._options = options
        self.minor = FALLBACK_MINOR
        self.known = False

    def discover_version(self) -> str:
        """Ask for the server's version, 1.31 if it does not tell; its Date header, or "".

        Raises ApiUnreachable: one that is not there now is not taken for an old one.
        """
        answer = self._call("GET", "/", 0)
        if answer.status in _NOBODY:
            raise ApiUnreachable(f"GET {without_credentials(self.url)}/: status {answer.status}")
        body = answer.body if answer.status == 200 else None
        try:
            version = (body or {})["default_version"]["version"]
            self.minor = int(str(version).partition(".")[2])
        except (KeyError, TypeError, ValueError):
            self.minor = FALLBACK_MINOR
        self.known = True
        return answer.date

    @property
    def takes_certificates(self) -> bool:
        """Whether heartbeats may carry the agent's certificate."""
        return self.minor >= HEARTBEAT_MINOR

    def lookup(self, macs: list[str], node_uuid: str) -> Answer:
        """GET /v1/lookup. Raises ApiUnreachable."""
        query = f"addresses={','.join(macs)}"
        if node_uuid:
            query += f"&node_uuid={node_uuid}"
        return self._call("GET", f"/v1/lookup?{query}", min(self.minor, LOOKUP_MINOR))

    def heartbeat(
        self,
        node_uuid: str,
        callback_url: str,
        token: str,
        certificate: str,
        progress: Json | None,
    ) -> Answer:
        """POST /v1/heartbeat/{uuid}. Raises ApiUnreachable."""
        body: Json = {"callback_url": callback_url}
        if self.minor >= 36:
            body["agent_version"] = AGENT_VERSION
        if self.minor >= 62:
            body["agent_token"] = token
        if self.minor >= 68 and certificate:
            body["agent_verify_ca"] = certificate
        if progress is not None:
            body["agent_progress"] = progress
        minor = min(self.minor, HEARTBEAT_MINOR)
        return self._call("POST", f"/v1/heartbeat/{node_uuid}", minor, body)

    def _call(self, method: str, path: str, minor: int, body: Json | None = None) -> Answer:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if minor:
            headers[_VERSION_HEADER] = f"1.{minor}"
        if self._options.request_id:
            headers["X-OpenStack-Request-ID"] = self._options.request_id
        try:
            with open_url(
                self.url + path,
                method=method,
                headers=headers,
                body=b"" if body is None else json.dumps(body).encode(),
                timeout=self._options.http_timeout,
                insecure=self._options.insecure,
            ) as response:
                data = response.read(_MAX_ANSWER)
        except HttpError as error:
            shown = without_credentials(self.url + path)
            raise ApiUnreachable(f"{method} {shown}: {error.message}") from error
        return Answer(response.status, _object(data), response.headers.get("date", ""))


def _object(data: bytes) -> Json | None:
    try:
        body = json.loads(data)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None
