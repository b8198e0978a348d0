"""The services of netboot hosts: how they are, restarting one, what of it is logged.

Our own addition. How they are comes from the database; the rest is done by the host itself.
"""

from __future__ import annotations

from typing import Any

from api.call import Call, Reply
from api.endpoint import takes
from api.fields import TEXT, TEXT_OR_NULL, TIME, closed
from api.view import time
from drophammer import services
from drophammer.errors import Invalid, Unavailable
from drophammer.model import Service
from drophammer.services import LOG_LEVELS

UNKNOWN = "unknown"
_SERVICE_PARTS: dict[str, Any] = {
    "hostname": TEXT,
    "name": TEXT,
    "unit": TEXT_OR_NULL,
    "managed_by": {"enum": ["process", "child", "systemd", "none"]},
    "expected": {"enum": ["on", "off", "any"]},
    "expected_reason": {"type": "string"},
    "actual": {"enum": ["running", "starting", "off", "dead", "unavailable", UNKNOWN]},
    "reason": {"type": "string"},
    "since": TIME,
    "seen_at": TIME,
}
_SERVICE = closed(_SERVICE_PARTS, required=tuple(_SERVICE_PARTS))
_SERVICES = closed({"services": {"type": "array", "items": _SERVICE}}, required=("services",))
_RESTARTED_PARTS = {
    name: schema
    for name, schema in _SERVICE_PARTS.items()
    if name not in ("hostname", "since", "seen_at")
}
_RESTARTED = closed(_RESTARTED_PARTS, required=tuple(_RESTARTED_PARTS))
_LOG_PARTS: dict[str, Any] = {
    "level": {"enum": [*LOG_LEVELS, None]},
    "requests": {"type": ["boolean", "null"]},
}
_LOG = closed(_LOG_PARTS, required=tuple(_LOG_PARTS))
_LOG_CHANGE = closed({"level": {"enum": [*LOG_LEVELS, None]}, "requests": {"type": "boolean"}})


@takes(reply=_SERVICES)
def index(call: Call) -> Reply:
    """List the services of all netboot hosts."""
    with call.store.read() as session:
        found = services.of_all(session)
    return Reply(body={"services": [_shown(call, row) for row in found]})


@takes(reply=_SERVICE)
def show(call: Call, hostname: str, name: str) -> Reply:
    """Show a service of a netboot host."""
    with call.store.read() as session:
        row = services.one(session, hostname, name)
    return Reply(body=_shown(call, row))


@takes(body=closed({}), optional=True, reply=_RESTARTED)
def restart(call: Call, hostname: str, name: str) -> Reply:
    """Stop and start a service; shows how it is then."""
    call.body()
    return Reply(body=_asked(call, "restart_service", hostname, name))


@takes(reply=_LOG)
def show_log(call: Call, hostname: str, name: str) -> Reply:
    """Show what of a service is in the log of its host."""
    return Reply(body=_asked(call, "show_service_log", hostname, name))


@takes(body=_LOG_CHANGE, reply=_LOG)
def switch_log(call: Call, hostname: str, name: str) -> Reply:
    """Change what of a service is in the log of its host, until netboot is started anew there."""
    change = call.body()
    if not change:
        raise Invalid(
            f'The body changes nothing: give "level" ({", ".join(LOG_LEVELS)}, or null for the '
            'configured one), "requests" (true or false), or both.'
        )
    return Reply(body=_asked(call, "switch_service_log", hostname, name, change=change))


def _asked(call: Call, method: str, hostname: str, name: str, **more: Any) -> Any:
    """Have the host do it. Raises NotFound, or Unavailable when it has not been heard of."""
    with call.store.read() as session:
        row = services.one(session, hostname, name)
    if services.is_silent(row, call.store.clock.now()):
        raise Unavailable(f"Netboot host {row.hostname} was {_silence(row)}.")
    return call.services.bus.call(
        f"netboot@{row.hostname}", method, hostname=row.hostname, name=row.name, **more
    )


def _shown(call: Call, row: Service) -> dict[str, Any]:
    actual, reason = row.actual, row.reason
    if services.is_silent(row, call.store.clock.now()):
        actual, reason = UNKNOWN, f"{_silence(row)}; it was {row.actual} then"
    return {
        "hostname": row.hostname,
        "name": row.name,
        "unit": row.unit,
        "managed_by": row.managed_by,
        "expected": row.expected,
        "expected_reason": row.expected_reason,
        "actual": actual,
        "reason": reason,
        "since": time(row.since),
        "seen_at": time(row.seen_at),
    }


def _silence(row: Service) -> str:
    return f"not heard of since {time(row.seen_at)}"
