"""The controller's side of an RMCP+ session: log-in, keys, end (IPMI 2.0, chapter 13).

Builds on pyghmi's server session for framing and encryption, and does the
log-in itself: cipher suites 3 (SHA-1) and 17 (SHA-256), with an answer for
every refusal. Commands inside a session are the controller's business.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import os
import struct
import time
import uuid
from collections import deque
from collections.abc import Callable
from socket import socket
from typing import Any, Protocol

from pyghmi.ipmi.private import constants, serversession

ADMINISTRATOR = 4
IDLE_SECONDS = 60.0

NO_MATCHING_SUITE = 0x11
INVALID_ROLE = 0x09
INVALID_NAME_LENGTH = 0x0C
UNAUTHORIZED_NAME = 0x0D
INVALID_INTEGRITY_VALUE = 0x0F

_PAYLOADS = constants.payload_types
_CLOSE_SESSION = 0x3C
_SET_PRIVILEGE = 0x3B
_OPEN_REQUEST_LENGTH = 32
_RAKP1_NAME = 28


@dataclasses.dataclass(frozen=True)
class Suite:
    """A cipher suite: its number, algorithms (tables 13-17 to 13-19) and hash."""

    number: int
    authentication: int
    integrity: int
    confidentiality: int
    hash: Callable[..., Any]
    integrity_length: int


SUITES = (
    Suite(3, 1, 1, 1, hashlib.sha1, 12),
    Suite(17, 3, 4, 1, hashlib.sha256, 16),
)


class Controller(Protocol):
    """What a session needs of its controller."""

    uuid: uuid.UUID
    serversocket: socket

    def password_of(self, username: str) -> bytes | None: ...
    def command(self, request: dict[str, Any], session: ServerSession) -> None: ...
    def session_closed(self, session: ServerSession) -> None: ...


class ServerSession(serversession.ServerSession):  # type: ignore[misc]
    """One client's session, from the open request on.

    pyghmi finds sessions by client address, which breaks when a port is used
    again; the controller finds them by ``managed_id`` as the standard says.
    """

    def __init__(self, controller: Controller, client: tuple[Any, ...]) -> None:
        # The base class answers the request from within its constructor and
        # registers itself in tables of the process: its fields are set here.
        self.controller = controller
        self.managedsessionid = os.urandom(4)
        self.last_seen = time.monotonic()
        self.established = False
        self.uuid = controller.uuid
        self.socket = controller.serversocket
        self.sockaddr = client
        self.servermode = True
        self.ipmiversion = 2.0
        self.authtype = 6
        self.rqaddr = constants.IPMI_BMC_ADDRESS
        self.rqlun = None
        self.sequencenumber = 0
        self.sessionid = 0
        self.integrityalgo: str | int = 0
        self.confalgo: str | int = 0
        self.k1: bytes | None = None
        self.aeskey: bytes | None = None
        self.remseqnumber = None
        self.lastpayload = None
        self.last_payload_type = None
        self.sol_handler: Callable[[bytearray], None] | None = None
        self.pendingpayloads: deque[Any] = deque()
        self.pktqueue: deque[Any] = deque()
        self.maxpriv = ADMINISTRATOR
        self.clientpriv = ADMINISTRATOR
        self.username = b""
        self._password: bytes | None = None

    # pyghmi's own constructor arguments are not ours.
    def __new__(cls, *_args: Any) -> ServerSession:
        return object.__new__(cls)

    @property
    def managed_id(self) -> int:
        """The session id by which the client addresses this session."""
        return int.from_bytes(self.managedsessionid, "little")

    @property
    def idle(self) -> bool:
        """Whether the client has been silent for longer than a session lasts."""
        return time.monotonic() - self.last_seen > IDLE_SECONDS

    def open(self, request: bytes) -> bool:
        """Answer an open session request (13.17). False when it was refused."""
        tag, self.clientsessionid = request[0], bytes(request[4:8])
        suite = _suite_of(request)
        if suite is None:
            refusal = bytes([tag, NO_MATCHING_SUITE, 0, 0]) + self.clientsessionid
            self._send("rmcpplusopenresponse", refusal)
            return False
        self.suite = suite
        self.currhashlib, self.currhashlen = suite.hash, suite.integrity_length
        answer = bytes([tag, 0, ADMINISTRATOR, 0]) + self.clientsessionid + self.managedsessionid
        algorithms = (suite.authentication, suite.integrity, suite.confidentiality)
        for kind, algorithm in enumerate(algorithms):
            answer += bytes([kind, 0, 0, 8, algorithm, 0, 0, 0])
        self._send("rmcpplusopenresponse", answer)
        return True

    def packet(self, data: bytearray) -> None:
        """Handle a packet that carries this session's id."""
        if self.established and not data[5] & 0x80:
            return  # the suite encrypts: a plain payload is not of our client
        self.last_seen = time.monotonic()
        self._handle_ipmi2_packet(data)

    def rakp1(self, data: bytes) -> None:
        """Message 1 (13.20): who wants in. Answered by message 2, good or bad."""
        if self.established:
            return
        tag, name_length = data[0], data[27]
        self.Rm, self.rolem = bytes(data[8:24]), data[24]
        self.maxpriv = (self.rolem & 0x0F) or ADMINISTRATOR
        self.username = bytes(data[_RAKP1_NAME : _RAKP1_NAME + name_length])
        refusal = self._who_is_it(name_length)
        if refusal or self._password is None:
            self._refuse("rakp2", tag, refusal)
            return
        self.Rc = os.urandom(16)
        signed = self.clientsessionid + self.managedsessionid + self.Rm + self.Rc + self.uuid.bytes
        proof = self._hmac(self._password, signed + self._role_and_name())
        answer = bytes([tag, 0, 0, 0]) + self.clientsessionid + self.Rc + self.uuid.bytes
        self._send("rakp2", answer + proof)

    def _who_is_it(self, name_length: int) -> int:
        """Look the user up; the status (table 13-15) that refuses the user, or 0."""
        if name_length > 16 or len(self.username) != name_length:
            return INVALID_NAME_LENGTH
        if self.maxpriv > ADMINISTRATOR:
            return INVALID_ROLE
        self._password = self.controller.password_of(self.username.decode("utf-8", "replace"))
        return UNAUTHORIZED_NAME if self._password is None else 0

    def rakp3(self, data: bytes) -> None:
        """Message 3 (13.22): the client's proof. Opens the session by message 4."""
        if self.established or self._password is None:
            return
        tag, status = data[0], data[1]
        if status != 0:
            self.controller.session_closed(self)  # the client did not like our proof
            return
        signed = self.Rc + self.clientsessionid + self._role_and_name()
        if not hmac.compare_digest(self._hmac(self._password, signed), bytes(data[8:])):
            self._refuse("rakp4", tag, INVALID_INTEGRITY_VALUE)
            self.controller.session_closed(self)
            return
        sik = self._hmac(self._password, self.Rm + self.Rc + self._role_and_name())
        proof = self._hmac(sik, self.Rm + self.managedsessionid + self.uuid.bytes)
        answer = bytes([tag, 0, 0, 0]) + self.clientsessionid + proof[: self.currhashlen]
        self._send("rakp4", answer)
        self._establish(sik)

    def handle_client_request(self, request: dict[str, Any]) -> None:
        """A decrypted command: session management is done here, the rest by the controller."""
        application = request["netfn"] == 6
        if application and request["command"] == _SET_PRIVILEGE:
            self._set_privilege(bytes(request["data"]))
        elif application and request["command"] == _CLOSE_SESSION:
            self.send_ipmi_response()
            self.controller.session_closed(self)
        else:
            self.controller.command(request, self)

    def send_console(self, payload: bytes) -> None:
        """Send a serial-over-LAN payload; lost ones are the console's business."""
        self.send_payload(bytearray(payload), _PAYLOADS["sol"], retry=False)

    def _establish(self, sik: bytes) -> None:
        self.k1 = self._hmac(sik, b"\x01" * 20)
        self.aeskey = self._hmac(sik, b"\x02" * 20)[:16]
        self.localsid = self.managed_id
        self.integrityalgo, self.confalgo = self.suite.integrity, "aes"
        self.sequencenumber = 1
        self.sessionid = struct.unpack("<I", self.clientsessionid)[0]
        self.ipmicallback = self.handle_client_request
        self.established = True

    def _set_privilege(self, data: bytes) -> None:
        """Set session privilege level (22.18): 0 asks for the present one."""
        if not data:
            self.send_ipmi_response(code=0xC7)
        elif data[0] > self.maxpriv:
            self.send_ipmi_response(code=0x81)
        else:
            self.clientpriv = data[0] or self.clientpriv
            self.send_ipmi_response(data=[self.clientpriv])

    def _role_and_name(self) -> bytes:
        return bytes([self.rolem, len(self.username)]) + self.username

    def _hmac(self, key: bytes, message: bytes) -> bytes:
        return hmac.new(key, message, self.suite.hash).digest()

    def _refuse(self, message: str, tag: int, status: int) -> None:
        self._send(message, bytes([tag, status, 0, 0]) + self.clientsessionid)

    def _send(self, kind: str, payload: bytes) -> None:
        self.send_payload(bytearray(payload), _PAYLOADS[kind], retry=False)


def _suite_of(request: bytes) -> Suite | None:
    """The suite that an open session request proposes, None when we do not have it."""
    if len(request) < _OPEN_REQUEST_LENGTH:
        return None
    proposed = (request[12] & 0x3F, request[20] & 0x3F, request[28] & 0x3F)
    for suite in SUITES:
        if proposed == (suite.authentication, suite.integrity, suite.confidentiality):
            return suite
    return None
