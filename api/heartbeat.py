"""What the ramdisk agent says to us again and again: I am there. Nobody is asked for a password.

A heartbeat notes where the agent is and nudges a conductor; it neither takes nor waits for
the node's lease. How it is written down is in ``beats.py``; the agent's side is in ``agent/``.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from api.beats import Beat
from api.call import Call, Reply
from api.endpoint import takes
from api.fields import closed
from api.names import check_ident
from api.ramdisk import check_enabled
from api.schemas import gated
from api.settings import Settings
from drophammer.errors import Invalid

_FIELD_SINCE = {"agent_version": 36, "agent_verify_ca": 68, "agent_status": 72}
_FIELD_SINCE["agent_status_message"] = 72
_LARGEST = 2**63 - 1
_TEXT = {"type": ["string", "null"], "maxLength": 255}
_COUNT = {"type": "integer", "minimum": 0, "maximum": _LARGEST}
_PROGRESS = {
    "type": "object",
    "properties": {
        "command": _TEXT,
        "step": _TEXT,
        "done": _COUNT,
        "total": {**_COUNT, "type": ["integer", "null"]},
        "message": {"type": ["string", "null"], "maxLength": 4096},
    },
    "required": ["done"],
}
_HEARTBEAT = closed(
    {
        "callback_url": {"type": "string", "maxLength": 2048},
        "agent_token": _TEXT,
        "agent_version": _TEXT,
        "agent_verify_ca": {"type": ["string", "null"], "maxLength": 65536},
        "agent_status": {"enum": ["start", "end", "error", None]},
        "agent_status_message": {"type": ["string", "null"], "maxLength": 4096},
        "agent_progress": _PROGRESS,
    },
    required=("callback_url",),
)


@takes(body=gated(_HEARTBEAT, _FIELD_SINCE), status=202)
def heartbeat(call: Call, ident: str) -> Reply:
    """Take a sign of life of a node's ramdisk."""
    check_enabled(call)
    body = call.body()
    _check_heartbeat(call, body)
    check_ident(ident, "node")
    beat = Beat(
        ident=ident,
        token=body["agent_token"],
        url=body["callback_url"],
        version=body["agent_version"],
        certificate=body.get("agent_verify_ca"),
        progress=body.get("agent_progress"),
    )
    noted = call.services.beats.note(beat)
    call.node = noted.uuid
    if noted.refusal is not None:
        raise noted.refusal
    return Reply(202)


def _check_heartbeat(call: Call, body: Mapping[str, Any]) -> None:
    """What can be refused without looking at the node. Raises Invalid."""
    for name, since in _FIELD_SINCE.items():
        if body.get(name) is not None and call.version < since:
            raise Invalid(f"{name} needs API version 1.{since}.")
    if not body.get("agent_version"):
        raise Invalid("Missing mandatory parameter: agent_version")
    if not body.get("agent_token"):
        raise Invalid("Missing mandatory parameter: agent_token")
    url = body["callback_url"]
    if url:
        _check_callback_url(url, call.settings)


def _check_callback_url(url: str, settings: Settings) -> None:
    """The conductor is going to speak to it: an agent's root, and nobody else's."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not url.isprintable() or " " in url:
        raise Invalid("callback_url: not an http:// or https:// URL of an agent.")
    if parts.path not in ("", "/") or any(sign in url for sign in "?#@\\"):
        raise Invalid("callback_url: more than scheme, host and port.")
    if not settings.allow_local_callbacks and _is_local(parts.hostname or ""):
        raise Invalid(f"callback_url: {(parts.hostname or '')[:80]} is no address of a machine.")
    if settings.agent_require_tls and parts.scheme != "https":
        raise Invalid("callback_url: this service takes https:// only ([agent]require_tls).")


def _is_local(host: str) -> bool:
    """Whether a host means the one who asks, the link it is on, or many at once."""
    name = host.rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        # What resolvers take for an address, short and hexadecimal forms (127.1) too.
        address = ipaddress.ip_address(socket.inet_aton(name))
    except OSError:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
    address = getattr(address, "ipv4_mapped", None) or address
    return (
        address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_unspecified
    )
