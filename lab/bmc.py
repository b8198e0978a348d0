"""A virtual machine's IPMI controller: IPMI 2.0 over LAN in front of a ``Machine``.

Subclass of pyghmi's controller, of which it keeps the command layer and the
packet framing. The transport is our own: pyghmi's loop can lose a wake-up,
finds sessions by client address and never ends one. No sensors, event log or
inventory records (FRU).
"""

from __future__ import annotations

import logging
import select
import selectors
import socket
import struct
import time
import uuid
from typing import Any

from pyghmi.ipmi import bmc

from drophammer.secret import Secret
from lab import bootflags, chassis, faults, machine, rmcp, sol

LOG = logging.getLogger(__name__)

CHASSIS, APPLICATION = 0x00, 0x06
MAX_SESSIONS = 32
LAN_CHANNEL = 1

ALREADY_ACTIVE = NOT_ACTIVE = 0x80

_RMCP = b"\x06\x00\xff\x07"
_IPMI, _SOL, _OPEN, _RAKP1, _RAKP3 = 0x00, 0x01, 0x10, 0x12, 0x14
_AUTHENTICATION_CAPABILITIES, _CIPHER_SUITES = 0x38, 0x54
# What slicing and unpacking a packet of any content can raise.
_MALFORMED = (IndexError, KeyError, ValueError, TypeError, struct.error)


class LabBmc(bmc.Bmc):  # type: ignore[misc]
    """One controller on one UDP address. ``serve`` runs it in the calling thread."""

    def __init__(
        self,
        the_machine: machine.Machine,
        flags: bootflags.BootFlags,
        fault_switches: faults.FaultFile,
        credentials: tuple[str, Secret],
        address: tuple[str, int],
    ) -> None:
        """Bind to ``address``; port 0 takes a free one. Raises OSError when it is taken."""
        # The base constructor would start pyghmi's own I/O thread.
        self.machine = the_machine
        self.uuid: uuid.UUID = the_machine.spec.uuid
        self.deviceid, self.revision = 0x20, 1
        self.firmwaremajor, self.firmwareminor = 1, 0
        self.ipmiversion, self.additionaldevices = 2, 0x80
        self.mfgid = self.prodid = 0
        self._faults = fault_switches
        self._username, self._password = credentials
        self._chassis = chassis.Chassis(the_machine, flags, fault_switches)
        self._sessions: dict[int, rmcp.ServerSession] = {}
        self._console: tuple[rmcp.ServerSession, sol.SerialOverLan] | None = None
        self._serial: socket.socket | None = None
        self._stopping = False
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self.serversocket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self.serversocket.bind(address)
        except OSError:
            self._close()
            raise
        self.address, self.port = self.serversocket.getsockname()

    # -- the loop -----------------------------------------------------------

    def serve(self) -> None:
        """Answer until ``stop`` is called, then cut the machine's power and close."""
        try:
            with selectors.DefaultSelector() as ready:
                ready.register(self.serversocket, selectors.EVENT_READ, self._read_network)
                ready.register(self._woken, selectors.EVENT_READ, self._read_wakeup)
                while not self._stopping:
                    self._follow_serial(ready)
                    for key, _ in ready.select(self._timeout()):
                        key.data()
                    self._tick_console()
        finally:
            self.machine.power_off()
            self._close()

    def stop(self) -> None:
        """End ``serve``; may be called from another thread or a signal handler."""
        self._stopping = True
        self.wake()

    def wake(self) -> None:
        """Make the loop look around, for example after a change of power."""
        try:
            self._waker.send(b"\0")
        except (BlockingIOError, OSError):
            pass  # full means that it is awake already; closed, that it has ended

    def _close(self) -> None:
        self._drop_serial(None)
        for one in (self._woken, self._waker, self.serversocket):
            one.close()

    def _read_wakeup(self) -> None:
        self._woken.recv(4096)

    def _read_network(self) -> None:
        """One packet only: what it changed must be followed up before the next one."""
        try:
            data, client = self.serversocket.recvfrom(4096, socket.MSG_DONTWAIT)
        except (BlockingIOError, ConnectionError):
            return  # nothing there, or an earlier answer met a closed port
        self.datagram(data, client)

    def datagram(self, data: bytes, client: tuple[Any, ...]) -> None:
        """Handle one packet. Never raises for what a packet may contain."""
        now = self._faults.now()
        if now.silent:
            return
        if now.delay:
            select.select([self._woken], [], [], now.delay)
            if self._stopping:
                return
        try:
            self._route(data, client)
        except _MALFORMED as error:
            LOG.debug("packet of %s ignored: %r", client, error)

    def _route(self, data: bytes, client: tuple[Any, ...]) -> None:
        """Find out whose packet this is (13.6): a session's, or of no session yet."""
        if data[:4] != _RMCP:
            return
        if data[4] == 0 and data[5:13] == bytes(8):
            self._sessionless(data[14 : 14 + data[13]], client, old=True)
        elif data[4] == 6:
            self._route_modern(data, client)

    def _route_modern(self, data: bytes, client: tuple[Any, ...]) -> None:
        kind, session_id, length = data[5] & 0x3F, _word(data[6:10]), _word(data[14:16])
        payload = data[16 : 16 + length]
        if kind == _OPEN:
            self._open_session(payload, client)
            return
        if session_id == 0 and kind == _IPMI:
            self._sessionless(payload, client, old=False)
            return
        logging_in = kind in (_RAKP1, _RAKP3)
        session = self._sessions.get(_word(payload[4:8]) if logging_in else session_id)
        if session is None or session.sockaddr != client:
            return
        if kind == _RAKP1:
            session.rakp1(payload)
        elif kind == _RAKP3:
            session.rakp3(payload)
        elif kind in (_IPMI, _SOL):
            session.packet(bytearray(data))

    # -- before a session ---------------------------------------------------

    def _sessionless(self, message: bytes, client: tuple[Any, ...], old: bool) -> None:
        """Answer a command that needs no session (table G-1)."""
        netfn, command = message[1] >> 2, message[5]
        body = _channel_facts(command, message[6:-1]) if netfn == APPLICATION else None
        if body is None:
            return
        head = bytes([message[3], (netfn + 1) << 2])
        tail = bytes([message[0], message[4], command, 0]) + body
        answer = head + _checksum(head) + tail + _checksum(tail)
        if old:
            wrapped = _RMCP + bytes(9) + bytes([len(answer)]) + answer
        else:
            wrapped = _RMCP + b"\x06\x00" + bytes(8) + struct.pack("<H", len(answer)) + answer
        try:
            self.serversocket.sendto(wrapped, client)
        except OSError as error:
            LOG.debug("no answer to %s: %s", client, error)

    def _open_session(self, request: bytes, client: tuple[Any, ...]) -> None:
        session = rmcp.ServerSession(self, client)
        if not session.open(request):
            return
        self._forget_old_sessions()
        self._sessions[session.managed_id] = session

    def _forget_old_sessions(self) -> None:
        for session in [one for one in self._sessions.values() if one.idle]:
            self.session_closed(session)
        while len(self._sessions) >= MAX_SESSIONS:
            # Half-open ones first: a flood of open requests must not end real sessions.
            oldest = min(self._sessions.values(), key=lambda one: (one.established, one.last_seen))
            self.session_closed(oldest)

    def session_closed(self, session: rmcp.ServerSession) -> None:
        """Forget a session that the client closed or that never came to be."""
        self._sessions.pop(session.managed_id, None)
        if self._console is not None and self._console[0] is session:
            self._end_console()

    def password_of(self, username: str) -> bytes | None:
        """The password that ``username`` must prove to know, None for strangers."""
        if username != self._username:
            LOG.info("%s: log-in of an unknown user refused", self.machine.spec.name)
            return None
        if self._faults.now().wrong_password:
            return b"\0not the password\0"
        return self._password.reveal().encode()

    # -- commands -----------------------------------------------------------

    def command(self, request: dict[str, Any], session: rmcp.ServerSession) -> None:
        """Run a command of an open session and send its answer."""
        self.handle_raw_request(request, session)

    def handle_raw_request(self, request: dict[str, Any], session: Any) -> None:
        """Chassis and channel commands are ours, of the rest what pyghmi knows."""
        netfn, command, data = request["netfn"], request["command"], bytes(request["data"])
        facts = _channel_facts(command, data) if netfn == APPLICATION else None
        if netfn == CHASSIS:
            code, answer = self._chassis.answer(command, data)
            session.send_ipmi_response(code=code, data=answer)
        elif facts is not None:
            session.send_ipmi_response(data=facts)
        else:
            super().handle_raw_request(request, session)

    def get_system_guid(self) -> uuid.UUID:
        return self.uuid

    def cold_reset(self) -> int:
        """Restart of the controller (20.2): sessions end, the machine does not notice."""
        self._sessions.clear()
        self._end_console()
        return 0

    # -- serial over LAN ----------------------------------------------------

    def activate_payload(self, request: dict[str, Any], session: Any) -> None:
        """Activate payload (24.1): one console at a time."""
        session.send_ipmi_response(*self._activate(bytes(request["data"]), session))

    def deactivate_payload(self, request: dict[str, Any], session: Any) -> None:
        """Deactivate payload (24.2); any administrator may end the console."""
        code = 0 if self._console is not None else NOT_ACTIVE
        self._end_console()
        session.send_ipmi_response(code=code)

    def _activate(self, data: bytes, session: rmcp.ServerSession) -> tuple[bytes, int]:
        if data[:1] != b"\x01":
            return b"", chassis.INVALID_FIELD
        if self._console is not None and not self._console[0].idle:
            return b"", ALREADY_ACTIVE
        console = sol.SerialOverLan(session.send_console, self._type)
        self._console = (session, console)
        session.sol_handler = lambda payload: console.packet(bytes(payload), time.monotonic())
        size = struct.pack("<H", sol.MAX_PAYLOAD)
        return bytes(4) + size + size + struct.pack("<HH", self.port, 0xFFFF), chassis.OK

    def _end_console(self) -> None:
        if self._console is not None:
            self._console[0].sol_handler = None
            self._console = None

    def _timeout(self) -> float | None:
        repeat_at = self._console[1].repeat_at if self._console else None
        return None if repeat_at is None else max(0.0, repeat_at - time.monotonic())

    def _tick_console(self) -> None:
        if self._console is not None and not self._console[1].tick(time.monotonic()):
            self._end_console()

    def _follow_serial(self, ready: selectors.BaseSelector) -> None:
        """Be connected to the serial port just while somebody looks and keeps up."""
        wanted = self._console is not None and self.machine.is_on
        if wanted and self._serial is None:
            self._serial = _connect(str(self.machine.spec.serial_socket))
        if not wanted:
            self._drop_serial(ready)
        if self._serial is None or self._console is None:
            return
        registered = self._serial.fileno() in ready.get_map()
        if self._console[1].full and registered:
            ready.unregister(self._serial)
        elif not self._console[1].full and not registered:
            ready.register(self._serial, selectors.EVENT_READ, lambda: self._read_serial(ready))

    def _read_serial(self, ready: selectors.BaseSelector) -> None:
        if self._serial is None:
            return
        try:
            data = self._serial.recv(4096)
        except ConnectionError:
            data = b""
        if not data:
            self._drop_serial(ready)
        elif self._console is not None:
            self._console[1].output(data, time.monotonic())

    def _drop_serial(self, ready: selectors.BaseSelector | None) -> None:
        if self._serial is None:
            return
        if ready is not None and self._serial.fileno() in ready.get_map():
            ready.unregister(self._serial)
        self._serial.close()
        self._serial = None

    def _type(self, data: bytes) -> None:
        if self._serial is not None:
            try:
                self._serial.sendall(data)
            except OSError:
                pass  # the machine has just been switched off


def _connect(path: str) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(path)
    except OSError:
        connection.close()
        return None
    connection.settimeout(1.0)
    return connection


def _channel_facts(command: int, data: bytes) -> bytes | None:
    """The answer to what may be asked about the channel with or without a session."""
    if command == _AUTHENTICATION_CAPABILITIES:
        # IPMI 2.0 only; user names are needed (22.13).
        modern = bool(data[0] & 0x80)
        return bytes([LAN_CHANNEL, 0x80 * modern, 0x04, 0x02 * modern, 0, 0, 0, 0])
    if command == _CIPHER_SUITES:
        return bytes([LAN_CHANNEL]) + _suite_records(data[2] & 0x3F)
    return None


def _suite_records(index: int) -> bytes:
    """Part ``index`` (16 bytes each) of the cipher suite records of table 22-18."""
    records = b"".join(
        bytes([0xC0, one.number, one.authentication, 0x40 | one.integrity])
        + bytes([0x80 | one.confidentiality])
        for one in rmcp.SUITES
    )
    return records[16 * index : 16 * index + 16]


def _word(data: bytes) -> int:
    return int.from_bytes(data, "little")


def _checksum(data: bytes) -> bytes:
    """Two's complement of the sum (13.8)."""
    return bytes([-sum(data) & 0xFF])
