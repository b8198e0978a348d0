"""One machine of the demo through its life, by the public API only, told line by line."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drophammer.errors import DrophammerError
from lab.console import SerialLog
from lab.lab import LabMachine
from lab.rest import Rest

POLL_SECONDS = 0.15
UP = r"DROPHAMMER-UP hostname=(\S+) keys=(\d+)"
_LAST_EVENTS = 6
_LAST_HEARD = 4


class Failed(DrophammerError):
    """A stage of the demo did not end as it should; the text says all that is known."""


class Stopped(Exception):
    """The demo is being ended."""


@dataclass
class Image:
    """What is deployed."""

    url: str
    sha256: str
    size: int


@dataclass
class Life:
    """One machine: enrol, inspect, clean, deploy, see it run, take it back."""

    rest: Rest
    machine: LabMachine
    hostname: str
    image: Image
    ssh_key: str
    tell: Callable[[str], None]
    stopping: threading.Event
    boot_interface: str = "ipxe"
    stage: str = "enrol"
    uuid: str = ""
    up_at: float = 0.0

    def run(self) -> None:
        """All of it. Raises Failed with a report."""
        try:
            self._enrol()
            for verb, goal in (("manage", "manageable"), ("inspect", "manageable")):
                self._verb(verb, goal, 120 if verb == "manage" else 300)
            self._show_inventory()
            self._verb("provide", "available", 300)
            self._deploy()
            self._see_it_run()
        except Stopped:
            raise
        except Exception as error:
            raise Failed(self._report(error)) from error

    def take_back(self) -> None:
        """Give the system up and clean the machine."""
        try:
            self._verb("deleted", "available", 300)
        except Stopped:
            raise
        except Exception as error:
            raise Failed(self._report(error)) from error

    def events(self) -> list[dict[str, Any]]:
        """Everything that the service has noted of this node."""
        found: list[dict[str, Any]] = []
        after = 0
        while True:
            page = self.rest.get(f"/v1/nodes/{self.uuid}/events?after={after}&limit=500")
            found += page["events"]
            if not page["events"]:
                return found
            after = page["next_after"]

    def _enrol(self) -> None:
        machine = self.machine
        password = machine.bmc_password_file.read_text().strip()
        node = self.rest.post(
            "/v1/nodes",
            {
                "name": machine.name,
                "driver": "ipmi",
                "boot_interface": self.boot_interface,
                "driver_info": {
                    "ipmi_address": machine.bmc_address,
                    "ipmi_port": machine.bmc_port,
                    "ipmi_username": machine.bmc_username,
                    "ipmi_password": password,
                },
                "properties": {"capabilities": f"boot_mode:{machine.firmware}"},
            },
        )
        self.uuid = node["uuid"]
        self.rest.post("/v1/ports", {"node_uuid": self.uuid, "address": machine.mac})
        self.tell(f"enrolled as {self.uuid} with port {machine.mac}")

    def _deploy(self) -> None:
        self.rest.patch(
            f"/v1/nodes/{self.uuid}",
            [
                {"op": "add", "path": "/instance_info/image_source", "value": self.image.url},
                {"op": "add", "path": "/instance_info/image_checksum", "value": self.image.sha256},
                {"op": "add", "path": "/instance_info/image_disk_format", "value": "raw"},
            ],
        )
        drive = {
            "meta_data": {"hostname": self.hostname, "public_keys": {"demo": self.ssh_key}},
        }
        self._console_from = SerialLog(self.machine.serial_log).size()
        self._verb("active", "active", 600, configdrive=drive)

    def _see_it_run(self) -> None:
        self.stage = "first boot of the deployed system"
        log = SerialLog(self.machine.serial_log)
        end = time.monotonic() + 120
        while True:
            self._check_stop()
            try:
                found = log.wait(UP, 1.0, self._console_from)
                break
            except DrophammerError:
                if time.monotonic() > end:
                    raise
        name, keys = found.match.groups()
        if name != self.hostname or int(keys) != 1:
            raise Failed(
                f"the system came up as {name!r} with {keys} SSH keys, not as "
                f"{self.hostname!r} with 1: it did not read its config drive"
            )
        self.up_at = found.at
        self.tell(f"the deployed system says: {found.line.strip()}")

    def _verb(self, verb: str, goal: str, seconds: float, **more: Any) -> None:
        self.stage = verb
        self.tell(f"{verb} ...")
        self.rest.put(f"/v1/nodes/{self.uuid}/states/provision", {"target": verb, **more})
        end = time.monotonic() + seconds
        seen = ""
        progress = -1
        while True:
            self._check_stop()
            states = self.rest.get(f"/v1/nodes/{self.uuid}/states")
            state = states["provision_state"]
            if state != seen:
                self.tell(state)
                seen = state
            if state == goal and not states["target_provision_state"]:
                return
            if (
                state.endswith(" failed")
                or state == "error"
                or (verb == "manage" and state == "enroll" and states["last_error"])
            ):
                raise Failed(f"the node is '{state}': {states['last_error']}")
            if time.monotonic() > end:
                raise Failed(f"the node is still '{state}' after {seconds:.0f} s")
            if state == "wait call-back":
                progress = self._show_progress(progress)
            time.sleep(POLL_SECONDS)

    def _show_progress(self, shown: int) -> int:
        found = self.rest.get(f"/v1/nodes/{self.uuid}/operations?limit=1")["operations"]
        progress = found[0]["progress"] if found else None
        if not progress or progress["done"] is None or progress["done"] <= shown:
            return shown
        total = progress["total"] or self.image.size
        done = int(progress["done"])
        self.tell(f"image: {done / 2**20:6.1f} of {total / 2**20:.1f} MiB written")
        return done

    def _show_inventory(self) -> None:
        facts = self.rest.get(f"/v1/nodes/{self.uuid}/inventory")["inventory"]
        disks = ", ".join(
            f"{disk['name']} {disk['size'] / 2**30:.0f} GiB" for disk in facts["disks"]
        )
        nics = ", ".join(f"{nic['name']} {nic['mac_address']}" for nic in facts["interfaces"])
        self.tell(
            f"inventory: {facts['cpu']['count']} x {facts['cpu']['model_name']}, "
            f"{facts['memory']['physical_mb']} MiB, {disks}; {nics}"
        )

    def _check_stop(self) -> None:
        if self.stopping.is_set():
            raise Stopped

    def _report(self, error: Exception) -> str:
        lines = [f"{self.machine.name} failed in stage '{self.stage}': {error}"]
        try:
            events = self.events() if self.uuid else []
        except Exception as other:  # The report must come out whatever else is broken.
            events = []
            lines.append(f"(the API could not be asked for more: {other})")
        heard = [event for event in events if event["source"] in ("netboot", "agent")]
        for title, last in (
            ("Last seen of it on the wire:", heard[-_LAST_HEARD:]),
            ("Last events:", events[-_LAST_EVENTS:]),
        ):
            if last:
                lines.append(title)
                lines += [_event_line(event) for event in last]
        tail = SerialLog(self.machine.serial_log).tail(12)
        if tail:
            lines.append("Its serial console ends with:")
            lines += [f"  {re.sub(r'[^ -~]', '.', line)}" for line in tail.splitlines()]
        return "\n".join(lines)


def _event_line(event: dict[str, Any]) -> str:
    return f"  {event['at'][11:23]}  {event['source']:<10}{event['kind']:<10}{event['message']}"


def sidecar(image: Path) -> str:
    """The SHA-256 that stands beside an image."""
    return Path(f"{image}.sha256").read_text().split()[0]
