"""Sends the inventory to the conductor's ``continue_inspection``.

Collectors other than ``default`` and ``logs`` are not in this ramdisk; asking
for one is said on the console and in the data, and stops nothing.
"""

from __future__ import annotations

import json
import os
import threading

from agent import AGENT_VERSION, bmc, logs
from agent.console import say
from agent.disks import choose_root, list_disks
from agent.errors import DeviceNotFound, InspectionFailed
from agent.hardware import Machine
from agent.httpclient import HttpError, open_url, without_credentials

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agent.cmdline import Options

    Json = dict[str, Any]

ATTEMPTS = 5
_PAUSE_SECONDS = (5.0, 30.0)
_KNOWN_COLLECTORS = ("default", "logs")


def collect(machine: Machine, collectors: list[str]) -> Json:
    """The body of the call: inventory, root disk, boot interface, configuration, logs."""
    missing = [name for name in collectors if name not in _KNOWN_COLLECTORS]
    if missing:
        say(f"inspection: this ramdisk has no collector named {', '.join(missing)}")
    inventory = machine.inventory(bmc.bmc_addresses())
    data: Json = {
        "inventory": inventory,
        "boot_interface": machine.boot_mac or None,
        "configuration": {
            "collectors": [name for name in collectors if name in _KNOWN_COLLECTORS],
            "managers": [{"name": "drophammer_agent", "version": AGENT_VERSION}],
        },
        "error": None if inventory["interfaces"] else "no network interface was found",
    }
    try:
        data["root_disk"] = choose_root(list_disks(machine.sys_root), {})
    except DeviceNotFound as error:
        say(f"inspection: {error.message}")
    if "logs" in collectors:
        data["logs"] = logs.system_logs()
    return data


def send(
    data: Json,
    options: Options,
    pause: tuple[float, float] = _PAUSE_SECONDS,
    wait: threading.Event | None = None,
) -> str:
    """POST the data and return the node's UUID, or "" when the reply names none.

    Connection errors, 409 and 5xx are tried again, up to 5 times in all. Raises
    InspectionFailed.
    """
    body = json.dumps(data).encode()
    shown = without_credentials(options.inspection_url)
    reason = ""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            status, answer = _post(options, body)
        except HttpError as error:
            reason = error.message
        else:
            if status in (200, 201, 202):
                return _uuid_in(answer)
            reason = f"status {status}"
            if status < 500 and status != 409:
                break
        say(f"inspection: {shown} did not take the data ({reason}), attempt {attempt}")
        if attempt < ATTEMPTS:
            (wait or threading.Event()).wait(_between(*pause))
    raise InspectionFailed(f"{shown} did not take the inspection data: {reason}")


def _between(low: float, high: float) -> float:
    # Not the random module: its import costs more than a number is worth here.
    return low + (high - low) * os.urandom(1)[0] / 255


def _post(options: Options, body: bytes) -> tuple[int, bytes]:
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if options.request_id:
        headers["X-OpenStack-Request-ID"] = options.request_id
    with open_url(
        options.inspection_url,
        method="POST",
        headers=headers,
        body=body,
        timeout=options.http_timeout,
        insecure=options.insecure,
    ) as response:
        return response.status, response.read(1 << 20)


def _uuid_in(answer: bytes) -> str:
    try:
        reply = json.loads(answer or b"{}")
    except ValueError:
        return ""
    if not isinstance(reply, dict):
        return ""
    node = reply.get("node")
    found = reply.get("uuid") or (node.get("uuid") if isinstance(node, dict) else "")
    return found if isinstance(found, str) else ""
