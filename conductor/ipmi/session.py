"""One session with one BMC over UDP: pyghmi's wire format under a clock of our own.

pyghmi's plain session has a socket to itself and no state shared with others,
but neither retransmits nor ever gives up; this class adds both, tells silence,
refusal and a dead port apart, and mends what keeps pyghmi from IPMI 1.5 and
from BMCs that know cipher suite 3 only. Only the child process imports it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import select
import socket
import struct
import time
from typing import Any

from pyghmi.exceptions import IpmiException, PyghmiException
from pyghmi.ipmi.private import simplesession

from conductor.ipmi import codes
from conductor.ipmi.commands import Step
from conductor.ipmi.protocol import Failure, Kind
from conductor.ipmi.target import PRIVILEGES, BmcTarget

# Seconds until the 1st, 2nd, ... retransmission; the last one repeats.
_RESEND_AFTER = (0.5, 1.0, 1.5, 2.0)
# A BMC that takes part in the log-in up to the user name and then stays silent
# four times in a row does not like the user name or the password.
_PROOF_PATIENCE = (0.8, 1.2, 1.6, 2.0)
# Silence for so long in an open session: the BMC has forgotten the session.
SESSION_PATIENCE = 2.2
# A command that must not be sent twice gets more time for its one answer.
SINGLE_SHOT_PATIENCE = 5.0
_FULL_BMC_PAUSE = 1.0

_IP_RECVERR, _IPV6_RECVERR, _MSG_ERRQUEUE = 11, 25, 0x2000  # linux/in.h, in6.h, socket.h
_NOBODY_THERE = {
    errno.ECONNREFUSED: "the host answers that nothing listens on this UDP port",
    errno.EHOSTUNREACH: "the network reports that the host cannot be reached",
    errno.ENETUNREACH: "this machine has no route to that network",
    errno.EACCES: "this machine is not allowed to send to that address",
    errno.EPERM: "a firewall on this machine forbids sending to that address",
    errno.EINVAL: "this machine cannot send to that address",
}
_SHA1_PROPOSAL, _SHA256_PROPOSAL, _SHA256_OR_NOTHING = 1, 256, 17
_SUITE_HASHES = {1: "SHA-1", 3: "SHA-256"}

# What pyghmi's parsers raise when a packet is cut short or garbled.
_UNREADABLE = (struct.error, IndexError, ValueError, TypeError, KeyError, AttributeError)

SocketAddress = tuple[Any, ...]


class ExchangeFailed(Exception):
    """The exchange with the BMC is over; ``failure`` says why."""

    def __init__(self, kind: Kind, detail: str) -> None:
        super().__init__(detail)
        self.failure = Failure(kind, detail)


class SessionSilent(Exception):
    """Nothing came back in an open session; ``waited`` is in seconds."""

    def __init__(self, waited: float) -> None:
        super().__init__(f"silent for {waited:.1f} s")
        self.waited = waited


class _TimeIsUp(Exception):
    """The clock of the running exchange has run out."""


class LanSession(simplesession.Session):  # type: ignore[misc]
    """An open session. Not thread-safe: one thread at a time uses it.

    ``sockaddr`` and ``family`` are one result of getaddrinfo; the log-in ends at
    ``until`` (monotonic). Raises ExchangeFailed, with the socket closed.
    """

    def __init__(
        self, target: BmcTarget, family: int, sockaddr: SocketAddress, until: float
    ) -> None:
        self.target = target
        self._family, self._peer = family, sockaddr
        self._until = until
        self._may_resend = True
        self._resend_at = until
        self._tries = self._proof_silences = 0
        self._packets = self._unreadable = 0
        self._dead_sign: OSError | None = None
        self._heard = self._open = False
        self.lastresponse: dict[str, Any] | None = None
        started = time.monotonic()
        try:
            super().__init__(
                bmc=target.address,
                userid=target.username.encode(),
                password=target.password.reveal().encode(),
                port=target.port,
                kg=bytes.fromhex(target.kg.reveal()) if target.kg else None,
                privlevel=PRIVILEGES[target.privilege],
            )
        except _TimeIsUp:
            self.close()
            raise self._silent_login(time.monotonic() - started) from None
        except (ExchangeFailed, SessionSilent) as failure:
            self.close()
            if isinstance(failure, SessionSilent):
                raise self._silent_login(time.monotonic() - started) from None
            raise
        except PyghmiException as failure:
            self.close()
            raise ExchangeFailed("trouble", f"the log-in failed: {failure}") from None
        self._open = True

    def exchange(self, step: Step, *, resend: bool, until: float) -> tuple[int, bytes]:
        """Sends one command; returns completion code and data.

        With ``resend`` the packet is repeated while nothing comes back. Raises
        SessionSilent after SESSION_PATIENCE (SINGLE_SHOT_PATIENCE without
        ``resend``) or at ``until`` (monotonic); the session is of no use then.
        """
        started = time.monotonic()
        patience = SESSION_PATIENCE if resend else SINGLE_SHOT_PATIENCE
        self._until = min(until, started + patience)
        self._may_resend = resend
        try:
            reply = self.raw_command(netfn=step.netfn, command=step.command, data=step.data)
        except (_TimeIsUp, IpmiException):
            raise SessionSilent(time.monotonic() - started) from None
        finally:
            self._may_resend = True
        return reply["code"], bytes(reply["data"])

    def close(self) -> None:
        """Takes leave of the BMC without waiting for an answer, and closes the socket."""
        if self.socket is None or self.socket.fileno() < 0:
            return
        if self._open and self.logged:
            self._open = False
            # A farewell tells the machine nothing: it may be said after the deadline.
            self._until = time.monotonic() + 1.0
            # An unanswered command would hold it back.
            self.incommand, self.lastpayload = False, None
            try:
                self.logout()
            except (OSError, ExchangeFailed, SessionSilent, _TimeIsUp, PyghmiException):
                pass  # The BMC times the session out by itself.
        self.socket.close()

    # --- what the log-in has come to -------------------------------------------

    def _silent_login(self, waited: float) -> ExchangeFailed:
        garbled = f", {self._unreadable} of the answers unreadable" if self._unreadable else ""
        if not self._heard and self._dead_sign is not None:
            return _nobody_there(self._dead_sign)
        if not self._heard:
            return ExchangeFailed(
                "unreachable",
                f"nothing came back in {waited:.1f} s ({self._packets} packets sent{garbled})",
            )
        if self.sessioncontext in ("EXPECTINGRAKP2", "EXPECTINGRAKP4") or self._proof_silences:
            return ExchangeFailed(
                "auth",
                "the BMC took part in the log-in up to the user name and was then silent for"
                f" {waited:.1f} s{garbled}; many BMCs do so when they do not know the user or the"
                " password",
            )
        return ExchangeFailed(
            "unreachable",
            f"the BMC began the log-in and then nothing more came back, {waited:.1f} s in all"
            f" ({self._packets} packets sent{garbled})",
        )

    def onlogon(self, parameter: dict[str, Any]) -> None:
        """pyghmi's verdict on the log-in; everything but success ends it here."""
        if "error" not in parameter:
            super().onlogon(parameter)
            return
        self.logging = False
        if self.sessioncontext == "FAILED":
            raise ExchangeFailed(
                "auth", "the BMC's proof of the password does not match ours: wrong password"
            )
        if self.sessioncontext == "EXPECTINGRAKP4":
            raise ExchangeFailed(
                "auth", "the BMC's session keys do not match ours: wrong BMC key (K_g)"
            )
        raise ExchangeFailed("trouble", f"the log-in failed: {parameter['error']}")

    def _refused(self, stage: str, status: int) -> None:
        kind: Kind = "auth" if status in codes.AUTHENTICATION_STATUSES else "trouble"
        if status in codes.NO_FREE_SESSION:
            raise BmcFull(f"in {stage}: {codes.rmcp_status(status)}")
        raise ExchangeFailed(kind, f"the BMC refused in {stage}, {codes.rmcp_status(status)}")

    # --- log-in messages: IPMI 2.0, sections 13.17 to 13.24 ---------------------

    def _initsession(self) -> None:
        super()._initsession()
        self.remseqnumber = 0
        # Answers to an earlier try must not be taken for answers to this one.
        self.localsid = int.from_bytes(os.urandom(3), "little") + 1
        self.rmcptag = os.urandom(1)[0] // 2
        self.ipmi15only = 1 if self.target.protocol == "1.5" else 0
        self.attemptedhash = {
            "3": _SHA1_PROPOSAL, "17": _SHA256_OR_NOTHING, "auto": _SHA256_PROPOSAL,
        }[self.target.cipher_suite]  # fmt: skip

    def _got_channel_auth_cap(self, response: dict[str, Any]) -> None:
        # pyghmi takes the version from the BMC; here the operator has the say.
        data = response["data"]
        if self.ipmi15only and response["code"] == 0:
            data[1] &= 0x7F
        elif response["code"] == 0xCC or not (data[1] & 0x80 and data[3] & 0x02):
            raise ExchangeFailed(
                "trouble",
                "the BMC does not offer IPMI 2.0; an old one may need ipmi_protocol_version 1.5",
            )
        super()._got_channel_auth_cap(response)

    def _got_rmcp_response(self, data: bytearray) -> None:
        if self.sessioncontext != "OPENSESSION" or data[0] != self.rmcptag:
            return
        if data[1] != 0:
            # Only a refusal of the suite itself is a reason to offer a weaker one.
            if self.attemptedhash != _SHA256_PROPOSAL or data[1] in codes.NO_FREE_SESSION:
                self._refused("Open Session", data[1])
            super()._got_rmcp_response(data)
            return
        self._check_suite(data[16], data[24], data[32])
        super()._got_rmcp_response(data)

    def _check_suite(self, authentication: int, integrity: int, encryption: int) -> None:
        """pyghmi takes for granted that the BMC agrees to what was proposed."""
        answered = (authentication, integrity, encryption)
        proposed = (1, 1, 1) if self.attemptedhash == _SHA1_PROPOSAL else (3, 4, 1)
        if answered == proposed:
            return
        if answered == (1, 1, 1) and self.attemptedhash == _SHA256_PROPOSAL:
            self.attemptedhash = _SHA1_PROPOSAL
            self.currhashlib, self.currhashlen = hashlib.sha1, 12
            return
        raise ExchangeFailed(
            "auth",
            f"the BMC answers the proposal of {_SUITE_HASHES[proposed[0]]} with algorithms"
            f" {authentication}/{integrity}/{encryption} (ipmi_cipher_suite"
            f" {self.target.cipher_suite})",
        )

    def _got_rakp2(self, data: bytearray) -> None:
        awaited = self.sessioncontext == "EXPECTINGRAKP2" and data[0] == self.rmcptag
        # Status 2 answers an earlier try; the clock starts the log-in again.
        if awaited and data[1] not in (0, 2):
            self._refused("RAKP 2", data[1])
        super()._got_rakp2(data)

    def _got_rakp4(self, data: bytearray) -> None:
        awaited = self.sessioncontext == "EXPECTINGRAKP4" and data[0] == self.rmcptag
        if awaited and data[1] == 2:
            return
        if awaited and data[1] != 0:
            self._refused("RAKP 4", data[1])
        super()._got_rakp4(data)

    def _req_priv_level(self) -> None:
        """Asks for exactly the level that the operator chose (22.18)."""
        self.logged = 1
        self.logoutexpiry = None
        response = self.raw_command(netfn=0x06, command=0x3B, data=[self.privlevel])
        if response["code"]:
            reason = codes.completion(response["code"], 0x06, 0x3B)
            raise ExchangeFailed(
                "auth", f"privilege level {self.target.privilege} was refused, {reason}"
            )
        self.logging = False
        self.onlogon({"success": True})

    # --- IPMI 1.5, sections 22.16 and 22.17; pyghmi's own mixes text and bytes ---

    def _get_session_challenge(self) -> None:
        data = bytes([2]) + self.userid.ljust(16, b"\0")
        self.ipmicallback = self._got_session_challenge
        self._send_ipmi_net_payload(netfn=0x06, command=0x39, data=data)

    def _got_session_challenge(self, response: dict[str, Any]) -> None:
        if response["code"]:
            reason = "the user name is not known" if response["code"] in (0x81, 0x82) else ""
            shown = reason or codes.completion(response["code"], 0x06, 0x39)
            raise ExchangeFailed("auth", f"the BMC refused the session challenge: {shown}")
        super()._got_session_challenge(response)

    def _activate_session(self, data: bytearray) -> None:
        self.ipmicallback = self._activated_session
        request = bytes([2, self.privlevel]) + bytes(data) + bytes([1, 0, 0, 0])
        # A wrong password is met with silence from here on.
        self.sessioncontext = "EXPECTINGRAKP4"
        self._send_ipmi_net_payload(netfn=0x06, command=0x3A, data=request)

    def _activated_session(self, response: dict[str, Any]) -> None:
        if response["code"]:
            if response["code"] in (0x81, 0x82, 0x83):
                raise BmcFull("Activate Session: no free session")
            reason = codes.completion(response["code"], 0x06, 0x3A)
            raise ExchangeFailed("auth", f"the BMC refused to activate the session, {reason}")
        self.sessioncontext = "ESTABLISHED"
        # The BMC may waive authentication of the packets that follow.
        self.authtype = response["data"][0]
        super()._activated_session(response)

    def _ipmi15authcode(self, payload: bytes, checkremotecode: bool = False) -> bytes:
        if self.authtype == 0:
            return b""
        password = self.password.ljust(16, b"\0")
        number = self.remseqnumber if checkremotecode else self.sequencenumber
        sealed = struct.pack("<I", self.sessionid) + bytes(payload) + struct.pack("<I", number)
        return hashlib.md5(password + sealed + password, usedforsecurity=False).digest()

    def _parse_ipmi_payload(self, payload: bytearray) -> None:
        # pyghmi's own, made for bridging, forgets a request that is sent while
        # the answer to the last one is being read: the whole 1.5 log-in.
        if len(payload) < 7:
            raise ValueError("too short for an IPMI message")
        answered = (payload[1] >> 2, payload[4] >> 2, payload[5])
        if answered in self.request_entry:
            self.request_entry.clear()
            self._parse_payload(payload)

    # --- the clock and the socket ------------------------------------------------

    def _assignsocket(self, server: None = None) -> socket.socket:
        sock = socket.socket(self._family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            level, option = (
                (socket.IPPROTO_IPV6, _IPV6_RECVERR)
                if self._family == socket.AF_INET6
                else (socket.IPPROTO_IP, _IP_RECVERR)
            )
            sock.setsockopt(level, option, 1)
            # Connected: foreign packets stay out and ICMP errors come in.
            sock.connect(self._peer)
        except OSError as problem:
            sock.close()
            raise _nobody_there(problem) from None
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        return sock

    def send_payload(self, payload: Any = (), *args: Any, **options: Any) -> None:
        if payload:
            self._tries = 0
        super().send_payload(payload, *args, **options)

    def _xmit_packet(
        self, retry: bool = True, delay_xmit: float | None = None, timeout: float | None = None
    ) -> None:
        if time.monotonic() >= self._until:
            # Whoever asked may not ask any more: his lease ends with his deadline. The
            # loop finds out next.
            return
        if self.sequencenumber:
            self.sequencenumber += 1
        self._packets += 1
        try:
            self.socket.send(self.netpacket)
        except BlockingIOError:
            pass  # As good as lost on the way: the clock sends it again.
        except OSError as problem:
            self._note_dead_sign(problem)
        if retry:
            self._resend_at = time.monotonic() + self._delay()

    def _delay(self) -> float:
        if self.sessioncontext in ("EXPECTINGRAKP2", "EXPECTINGRAKP4"):
            return _PROOF_PATIENCE[min(self._proof_silences, len(_PROOF_PATIENCE) - 1)]
        return _RESEND_AFTER[min(self._tries, len(_RESEND_AFTER) - 1)]

    def awaitresponse(self, retry: bool) -> None:
        while retry and self.lastresponse is None and self.logged:
            self.wait_for_rsp()

    def wait_for_rsp(self, timeout: float | None = None, callout: bool = True) -> None:
        """One turn: waits for a packet, for the next retransmission or for the end."""
        now = time.monotonic()
        if now >= self._until:
            raise _TimeIsUp
        until = min(self._until, self._resend_at) if self._may_resend else self._until
        if self._poll.poll(max(0.0, until - now) * 1000 + 1):
            self.process_pktqueue()
        elif self._may_resend and time.monotonic() >= self._resend_at:
            self._resend()

    def process_pktqueue(self) -> None:
        while True:
            try:
                data = bytearray(self.socket.recv(3000))
            except BlockingIOError:
                self._drain_errors()
                return
            except OSError as problem:
                self._drain_errors()
                self._note_dead_sign(problem)
                return
            self._take(data)
            if self.lastresponse is not None:
                return

    def _take(self, data: bytearray) -> None:
        if len(data) < 16 or data[0] != 6 or data[2:4] != b"\xff\x07":
            self._unreadable += 1
            return
        self._heard = True
        try:
            self._handle_ipmi_packet(data)
        except _UNREADABLE:
            self._unreadable += 1

    def _drain_errors(self) -> None:
        # The error queue keeps the socket readable for ever if left alone.
        try:
            while True:
                self.socket.recvmsg(512, 512, _MSG_ERRQUEUE)
        except OSError:
            pass

    def _note_dead_sign(self, problem: OSError) -> None:
        """One ICMP error may belong to a BMC that is just starting; the second does not."""
        if self._open:
            raise SessionSilent(0.0)
        last, self._dead_sign = self._dead_sign, problem
        if last is not None or problem.errno not in (errno.ECONNREFUSED, errno.EHOSTUNREACH):
            raise _nobody_there(problem)

    def _resend(self) -> None:
        tries = self._tries + 1
        if self.sessioncontext == "OPENSESSION":
            if tries > 1 and self.attemptedhash == _SHA256_PROPOSAL:
                # Some BMCs meet a suite they do not have with silence.
                self.attemptedhash = _SHA1_PROPOSAL
            self.lastpayload = None
            self._open_rmcpplus_request()
        elif self.sessioncontext in ("EXPECTINGRAKP2", "EXPECTINGRAKP4"):
            self._proof_silences += 1
            if self._proof_silences >= len(_PROOF_PATIENCE):
                raise _TimeIsUp
            # BMCs do not take kindly to a second RAKP message: begin again.
            self.lastpayload = None
            if self.ipmi15only:
                self._relog()
            else:
                self._open_rmcpplus_request()
        elif self.lastpayload:
            self.hasretried = 1
            self.send_payload()
        self._tries = tries
        self._resend_at = time.monotonic() + self._delay()


class BmcFull(ExchangeFailed):
    """The BMC has no free session now; one may come free soon."""

    def __init__(self, stage: str) -> None:
        super().__init__("trouble", f"the BMC has no free session ({stage})")


def _nobody_there(problem: OSError) -> ExchangeFailed:
    words = _NOBODY_THERE.get(problem.errno or 0, problem.strerror or "the packet was not sent")
    return ExchangeFailed("refused", words)


def resolve(target: BmcTarget) -> list[tuple[int, SocketAddress]]:
    """Address families and socket addresses of the BMC. Takes as long as the resolver does.

    Raises ExchangeFailed.
    """
    try:
        found = socket.getaddrinfo(target.address, target.port, 0, socket.SOCK_DGRAM)
    except (socket.gaierror, UnicodeError) as problem:
        reason = problem.strerror if isinstance(problem, socket.gaierror) else "not a host name"
        raise ExchangeFailed("unresolved", f"the name does not resolve: {reason}") from None
    return list(dict.fromkeys((family, peer) for family, _, _, _, peer in found))


def log_in(
    target: BmcTarget, addresses: list[tuple[int, SocketAddress]], until: float
) -> LanSession:
    """Opens a session, at the latest at ``until`` (monotonic).

    Of several addresses each gets an equal share of the time. A BMC whose
    sessions are all taken is asked again. Raises ExchangeFailed.
    """
    while True:
        try:
            return _first_open(target, addresses, until)
        except BmcFull:
            if time.monotonic() + 2 * _FULL_BMC_PAUSE > until:
                raise
            time.sleep(_FULL_BMC_PAUSE)


def _first_open(
    target: BmcTarget, addresses: list[tuple[int, SocketAddress]], until: float
) -> LanSession:
    for left in range(len(addresses), 0, -1):
        family, peer = addresses[-left]
        now = time.monotonic()
        try:
            return LanSession(target, family, peer, now + max(0.0, until - now) / left)
        except ExchangeFailed as failed:
            if left == 1 or failed.failure.kind not in ("unreachable", "refused"):
                raise
    raise AssertionError("getaddrinfo returned no address and no error")
