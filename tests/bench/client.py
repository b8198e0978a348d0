"""One connection to a server under measurement."""

from __future__ import annotations

import http.client
import json

from tests.bench.servers import Server

PATIENCE = 120
ATTEMPTS = 8


class Client:
    """Kept alive between requests; speaks one microversion."""

    def __init__(self, server: Server, version: str) -> None:
        self._connection = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE)
        self._headers = {
            "X-OpenStack-Ironic-API-Version": version,
            "Accept": "application/json",
            "Content-Type": "application/json",
        }

    def send(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        """Status and body of the answer, whatever it is."""
        data = None if body is None else json.dumps(body).encode()
        for _ in range(ATTEMPTS - 1):
            try:
                return self._exchange(method, path, data)
            except (ConnectionError, http.client.HTTPException):
                # Some servers hang up on connections that they had offered to keep.
                self._connection.close()
        return self._exchange(method, path, data)

    def _exchange(self, method: str, path: str, data: bytes | None) -> tuple[int, bytes]:
        self._connection.request(method, path, data, self._headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def ask(self, method: str, path: str, body: object = None) -> bytes:
        """The answer's body. Anything but success ends the benchmark."""
        status, found = self.send(method, path, body)
        if status >= 300:
            raise SystemExit(f"{method} {path}: {status} {found[:300]!r}")
        return found

    def close(self) -> None:
        self._connection.close()
