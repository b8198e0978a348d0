"""waitress' request and answer as this API wants them: stricter, and JSON where it refuses.

Requests that could be read in two ways are not taken, refusals have the shape of the
API's body guard, and an answer leaves in one piece. Sockets are in ``connection.py``.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

from waitress.parser import HTTPRequestParser, ParsingError
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import Error

from api.settings import TAKE_OVER


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """Takes no request whose length is told in two ways: a proxy may have read it otherwise."""

    def received(self, data: bytes) -> int:
        consumed: int = super().received(data)
        if self.error is not None:
            # Or the client is asked for a body that nobody is going to read.
            self.expect_continue = False
        return consumed

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        # waitress takes the header away where it understood it.
        coded = self.chunked or "TRANSFER_ENCODING" in self.headers
        if coded and "CONTENT_LENGTH" in self.headers:
            raise ParsingError("Content-Length and Transfer-Encoding together")


class Refusal(ErrorTask):  # type: ignore[misc]
    """What is refused before it reaches the application, in the shape of the API's body guard."""

    def execute(self) -> None:
        error = self.request.error
        code = "Client" if error.code < 500 else "Server"
        fault = {"faultcode": code, "faultstring": f"{error.reason}: {error.body}"}
        body = json.dumps(fault).encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers.append(("Content-Type", "application/json"))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class TooSlow(Error):  # type: ignore[misc]
    """A request that drips in."""

    code = 408
    reason = "Request Timeout"


class Answer(WSGITask):  # type: ignore[misc]
    """Sends header and body together when the body is one piece, as most are."""

    wrote_header: bool = False

    @property
    def has_body(self) -> bool:
        """Not here, if whoever takes the connection over is to write it: its end is the body's."""
        return self.channel.heir is None and super().has_body

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        environ[TAKE_OVER] = self._take_over
        return environ

    def _take_over(self, heir: Callable[[socket.socket], None]) -> None:
        self.channel.heir = heir

    def write(self, data: bytes) -> None:
        whole = self.complete and not self.wrote_header and self.content_length == len(data)
        if not whole or not self.has_body:
            super().write(data)
            return
        header = self.build_response_header()
        self.wrote_header = True
        self.content_bytes_written = len(data)
        self.channel.send_whole(header, data)
