"""Finds out which node this machine is: asks the API until it knows, or time is up.

Gives the node, its token and the server's configuration for agents. Guards the
token rule: a token that was given to somebody else stops this agent.
"""

from __future__ import annotations

import threading
import time

from agent.conductor import ConductorApi
from agent.console import say
from agent.errors import ApiUnreachable, LockedDown, LookupFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agent.cmdline import Options

    Json = dict[str, Any]

MASKED = "******"
#: A shorter token is no token: it could be guessed.
SHORTEST_TOKEN = 32
BUSY_PAUSES = (5.0, 10.0, 30.0)
_LONGEST_PAUSE = 30.0


class Found:
    """The node as looked up; ``repr`` shows no token."""

    def __init__(self, api: ConductorApi, node: Json, config: Json, token: str) -> None:
        self.api, self.node, self.config, self.token = api, node, config, token
        self.uuid = str(node["uuid"])
        self.heartbeat_timeout = float(config["heartbeat_timeout"])

    @property
    def progress_interval(self) -> float:
        """Seconds between progress reports; 0 when the conductor asked for none."""
        ours = self.config.get("drophammer")
        value = ours.get("progress_interval") if isinstance(ours, dict) else None
        usable = isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0
        return float(value) if usable and value is not None else 0.0

    def __repr__(self) -> str:
        return f"Found({self.uuid!r})"


def ask_versions(apis: list[ConductorApi], options: Options) -> str:
    """Ask until one of them says what it speaks; its Date header, or "".

    After the look-up's time-out it is left at that: the look-up then says what is wrong.
    """
    deadline = time.monotonic() + options.lookup_timeout
    while True:
        dates, reason = [], "no API address"
        for api in apis:
            try:
                dates.append(api.discover_version())
            except ApiUnreachable as error:
                reason = error.message
        if dates or time.monotonic() > deadline:
            return dates[0] if dates else ""
        say(f"lookup: {reason}; again in {options.lookup_interval:.0f} s")
        threading.Event().wait(options.lookup_interval)


def find_node(
    apis: list[ConductorApi],
    macs: list[str],
    options: Options,
    node_uuid: str = "",
    busy_pauses: tuple[float, ...] = BUSY_PAUSES,
) -> Found:
    """Look up until found. Raises LookupFailed after the time-out, LockedDown at once."""
    deadline = time.monotonic() + options.lookup_timeout
    pause, busy, reason = options.lookup_interval, 0, "no API address"
    wait = threading.Event()
    while True:
        locked = False
        for api in apis:
            try:
                if not api.known:
                    api.discover_version()
                answer = api.lookup(macs, node_uuid)
            except ApiUnreachable as error:
                reason = error.message
                continue
            if answer.status == 200:
                return _found(api, answer.body or {}, options)
            locked = locked or answer.status == 409
            reason = f"{api.url} answered the look-up with status {answer.status}"
        delay = busy_pauses[min(busy, len(busy_pauses) - 1)] if locked else pause
        busy, pause = busy + locked, pause if locked else min(pause * 2, _LONGEST_PAUSE)
        left = deadline - time.monotonic()
        if left <= 0:
            raise LookupFailed(f"this machine ({', '.join(macs)}) was not found: {reason}")
        say(f"lookup: {reason}; again in {min(delay, left):.0f} s")
        wait.wait(min(delay, left))


def _found(api: ConductorApi, body: Json, options: Options) -> Found:
    node, config = body.get("node"), body.get("config")
    if not isinstance(node, dict) or not node.get("uuid") or not isinstance(config, dict):
        raise LookupFailed(f"{api.url} answered the look-up without node.uuid or config")
    timeout = config.get("heartbeat_timeout")
    if not isinstance(timeout, (int, float)) or isinstance(timeout, bool) or timeout <= 0:
        raise LookupFailed(f"{api.url} answered the look-up without a usable heartbeat_timeout")
    return Found(api, node, config, _token(config.get("agent_token"), options))


def _token(given: object, options: Options) -> str:
    if isinstance(given, str) and given != MASKED and len(given) >= SHORTEST_TOKEN:
        return given
    if len(options.token) >= SHORTEST_TOKEN:
        return options.token
    if given == MASKED:
        raise LockedDown(
            "the API has given this node's token away already and we have none: another agent"
            " runs as this node, or this machine was restarted behind the conductor's back"
        )
    raise LookupFailed("the API gave no usable agent token")
