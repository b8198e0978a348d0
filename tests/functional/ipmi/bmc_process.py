"""A real BMC in a process of its own, for the tests: pyghmi's server with its gaps closed.

Reads one JSON line of settings, binds, prints ``{"port": n}``, then obeys JSON
lines: settings to change, ``{"wait_for": [netfn, command]}`` to be told when it
has come, or ``{"report": true}`` for what it has seen. Faults
(silence, busy, refusals) are settings. Not a model of any maker's BMC.
"""

# ruff: noqa: E402

from __future__ import annotations

import hashlib
import hmac
import json
import os
import struct
import sys
import threading
import time
import traceback
import types
from typing import Any

# What pyghmi's client knows of each maker is most of what takes it to load, and not for a BMC.
_makers: Any = types.ModuleType("pyghmi.ipmi.oem.lookup")
_makers.get_oem_handler = None
sys.modules[_makers.__name__] = _makers

from pyghmi.ipmi.bmc import Bmc
from pyghmi.ipmi.private import constants, serversession
from pyghmi.ipmi.private import session as ipmisession

SUITES = {
    3: (1, 1, hashlib.sha1, 12),
    17: (3, 4, hashlib.sha256, 16),
}


class TestSession(serversession.ServerSession):
    """RMCP+ session that speaks suites 3 and 17 and says no in proper status codes."""

    __test__ = False

    def create_open_session_response(self, request: bytes) -> bytearray:
        tag, proposed = request[0], request[12]
        self.clientsessionid = request[4:8]
        self.managedsessionid = os.urandom(4)
        self.privlevel = 4
        settings = self.bmc.settings
        suite = {1: 3, 3: 17}.get(proposed)
        if settings["sessions_left"] == 0:
            self.bmc.note(-1, 0x01, b"")
            return bytearray([tag, 0x01, 0, 0]) + self.clientsessionid
        if settings["sessions_left"] > 0:
            settings["sessions_left"] -= 1
        if settings["ignores_proposal"]:
            suite = 3
        if suite not in settings["suites"]:
            return bytearray([tag, 0x11, 0, 0]) + self.clientsessionid
        authentication, integrity, self.currhashlib, self.currhashlen = SUITES[suite]
        self.bmc.seen["suites"].append(suite)
        algorithms = bytearray()
        for kind, number in enumerate((authentication, integrity, 1)):
            algorithms += bytes([kind, 0, 0, 8, number, 0, 0, 0])
        head = bytearray([tag, 0, self.privlevel, 0])
        return head + self.clientsessionid + self.managedsessionid + algorithms

    def _proof(self, key: bytes, *parts: bytes) -> bytes:
        return hmac.new(key, b"".join(bytes(part) for part in parts), self.currhashlib).digest()

    def _got_rakp1(self, data: bytearray) -> None:
        self.Rm, self.rolem = bytes(data[8:24]), data[24]
        self.maxpriv = self.rolem & 0b111
        self.username = bytes(data[28:])
        settings = self.bmc.settings
        password = self.authdata.get(self.username.decode())
        role_refused = self.maxpriv > settings["max_privilege"] and settings["refuses_role"]
        if password is None or role_refused:
            if not settings["mute_for_strangers"]:
                status = 0x0D if password is None else 0x09
                refusal = bytearray([data[0], status, 0, 0]) + self.clientsessionid
                self.send_payload(refusal, constants.payload_types["rakp2"], retry=False)
            return
        self.Rc, self.uuiddata = os.urandom(16), self.uuid.bytes
        self.kuid = password.encode()
        self.who = bytes([self.rolem, len(self.username)]) + self.username
        proof = self._proof(
            self.kuid,
            *(self.clientsessionid, self.managedsessionid, self.Rm, self.Rc, self.uuiddata),
            self.who,
        )
        message = bytearray([data[0], 0, 0, 0]) + self.clientsessionid
        message += self.Rc + self.uuiddata + proof
        self.send_payload(message, constants.payload_types["rakp2"], retry=False)

    def _got_rakp3(self, data: bytearray) -> None:
        if data[1] != 0:
            return
        kg = self.bmc.settings["kg"]
        self.sik = self._proof(bytes.fromhex(kg) if kg else self.kuid, self.Rm, self.Rc, self.who)
        self.k1, self.k2 = self._proof(self.sik, b"\x01" * 20), self._proof(self.sik, b"\x02" * 20)
        self.aeskey = self.k2[:16]
        if self._proof(self.kuid, self.Rc, self.clientsessionid, self.who) != bytes(data[8:]):
            refusal = bytearray([data[0], 0x0F, 0, 0]) + self.clientsessionid
            self.send_payload(refusal, constants.payload_types["rakp4"], retry=False)
            return
        self.localsid = struct.unpack("<I", self.managedsessionid)[0]
        self.ipmicallback = self.handle_client_request
        self.clientpriv = 2
        proof = self._proof(self.sik, self.Rm, self.managedsessionid, self.uuiddata)
        payload = bytearray([data[0], 0, 0, 0]) + self.clientsessionid + proof[: self.currhashlen]
        self.send_payload(payload, constants.payload_types["rakp4"], retry=False)
        self.confalgo, self.integrityalgo, self.sequencenumber = "aes", "hash", 1
        self.sessionid = struct.unpack("<I", bytes(self.clientsessionid))[0]
        self.bmc.seen["logins"] += 1

    def handle_client_request(self, request: dict[str, Any]) -> None:
        if request["netfn"] == 6 and request["command"] == 0x3B:
            if request["data"][0] > self.bmc.settings["max_privilege"]:
                self._send_ipmi_net_payload(code=0x81)
                return
        elif request["netfn"] == 6 and request["command"] == 0x3C:
            self.bmc.note(6, 0x3C, bytes(request["data"]))
        super().handle_client_request(request)

    def close_server_session(self) -> None:
        ipmisession.Session.bmc_handlers.get(self.sockaddr, {}).pop(self.bmc.port, None)

    def sessionless_data(self, data: bytes, sockaddr: Any) -> None:
        self.bmc.sessionless_data(data, sockaddr)


class TestBmc(Bmc):
    """Chassis, boot options and device id; records every command it gets."""

    __test__ = False

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.seen: dict[str, Any] = {"commands": [], "logins": 0, "suites": []}
        self.boot = bytearray(5)
        self.arrival = threading.Condition()
        super().__init__(settings["users"], settings["port"], address=settings["address"])
        ipmisession.myself = settings["address"]
        self.port = self.serversocket.getsockname()[1]
        self.mfgid, self.prodid, self.firmwaremajor, self.firmwareminor = 674, 256, 2, 0x81

    def note(self, netfn: int, command: int, data: bytes) -> None:
        with self.arrival:
            self.seen["commands"].append([netfn, command, data.hex()])
            self.arrival.notify_all()

    def wait_for(self, netfn: int, command: int) -> bool:
        def arrived() -> bool:
            return any(seen[:2] == [netfn, command] for seen in self.seen["commands"])

        with self.arrival:
            return self.arrival.wait_for(arrived, 60)

    def handle_raw_request(self, request: dict[str, Any], session: TestSession) -> None:
        netfn, command, data = request["netfn"], request["command"], bytes(request["data"])
        self.note(netfn, command, data)
        if self.settings["mute"] == "all" or self.settings["mute"] == [netfn, command]:
            return
        time.sleep(self.settings["delay"])
        codes = self.settings["codes"].get(f"{netfn},{command}")
        if codes:
            session.send_ipmi_response(code=codes.pop(0))
        elif (netfn, command) == (0, 1):
            session.send_ipmi_response(data=[int(self.settings["power"]), 0, 0])
        elif (netfn, command) == (0, 2):
            self.settings["power"] = {0: 0, 1: 1, 5: 0}.get(data[0], self.settings["power"])
            session.send_ipmi_response()
        elif (netfn, command, data[:1]) == (0, 8, b"\x05"):
            self.boot = data[1:6]
            session.send_ipmi_response()
        elif (netfn, command) == (0, 9):
            session.send_ipmi_response(data=[1, 5, *self.boot])
        elif (netfn, command, data) == (0x2E, 0x42, b"\xaa\xbb"):
            session.send_ipmi_response(data=list(b"\xbb\xaa"))
        elif (netfn, command) == (6, 1):
            session.send_ipmi_response(data=[0x20, 1, 2, 0x81, 2, 0, 0xA2, 0x02, 0x00, 0x00, 0x01])
        else:
            super().handle_raw_request(request, session)


def serve(bmc: TestBmc) -> None:
    while True:
        try:
            ipmisession.Session.wait_for_rsp(30)
        except Exception:
            # A BMC does not die of one bad packet.
            traceback.print_exc()


def main() -> None:
    settings = {
        "users": {"admin": "secret"}, "address": "127.0.0.1", "port": 0, "suites": [3],
        "ignores_proposal": False, "mute_for_strangers": False, "max_privilege": 4,
        "refuses_role": False, "kg": None, "sessions_left": -1, "power": 0, "mute": None,
        "delay": 0, "codes": {},
    }  # fmt: skip
    settings.update(json.loads(sys.stdin.readline()))
    serversession.ServerSession = TestSession
    bmc = TestBmc(settings)
    print(json.dumps({"port": bmc.port}), flush=True)
    threading.Thread(target=serve, args=(bmc,), daemon=True).start()
    for line in sys.stdin:
        order = json.loads(line)
        if "wait_for" in order:
            print(json.dumps({"arrived": bmc.wait_for(*order["wait_for"])}))
        elif order.pop("report", False):
            print(json.dumps({**bmc.seen, "power": settings["power"], "boot": bmc.boot.hex()}))
        else:
            settings.update(order)
            print("{}")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
