"""Inspection data from the ramdisk: ``POST /v1/continue_inspection``.

Finds the node the data is about and stores it; what follows from it (ports,
properties, the end of inspection) is the conductor's.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from api.call import Call, Reply
from api.endpoint import takes
from api.errors import RouterError
from api.fields import UUID, closed
from api.inspection_data import SCHEMA
from api.query import Query
from api.ramdisk import (
    FOUND,
    LOOKUP_COLUMNS,
    check_enabled,
    found_body,
    unknown_node,
    valid_macs,
)
from drophammer import agents, events, inventories, nodes, operations, states
from drophammer.errors import Conflict, Invalid

SINCE = 84
# A machine with hundreds of disks has some thousand.
MAX_PARTS = 200_000
_NO_ADDRESS = frozenset({"", "0.0.0.0", "::", "::/0"})


@takes(
    query={"node_uuid": SINCE},
    body=SCHEMA,
    limit="max_json_body_size_inspection",
    status=202,
    reply={"anyOf": [FOUND, closed({"uuid": UUID}, required=("uuid",))]},
)
def receive(call: Call) -> Reply:
    """Take what a ramdisk found out about its machine."""
    # The agent sends no version with its data; in between, the path did not exist.
    if 1 < call.version < SINCE:
        raise RouterError(404, "The resource could not be found.")
    check_enabled(call)
    body = call.body(parts=MAX_PARTS, repair=True)
    inventory = body["inventory"]
    macs = valid_macs([entry.get("mac_address") for entry in inventory["interfaces"]])
    if not macs:
        raise Invalid("inventory/interfaces: none of them has a valid mac_address.")
    node_id = _find(call, call.query, macs, inventory)
    with call.store.write() as session:
        reply = _store(call, session, node_id, body)
    call.tell_conductor("inspected", node_id=node_id)
    return Reply(202, reply)


def plugin_data(body: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept beside the inventory: all but the logs, and the interfaces by name."""
    interfaces = body["inventory"]["interfaces"]
    booted_from = _boot_mac(body)
    every = {
        entry.get("name") or entry.get("mac_address") or str(position): {
            **entry,
            "pxe_enabled": booted_from is not None
            and valid_macs([entry.get("mac_address")]) == [booted_from],
        }
        for position, entry in enumerate(interfaces)
    }
    valid = {
        name: entry
        for name, entry in every.items()
        if name != "lo" and valid_macs([entry.get("mac_address")])
    }
    return {
        **{key: value for key, value in body.items() if key not in ("inventory", "logs")},
        "all_interfaces": every,
        "valid_interfaces": valid,
        "macs": valid_macs([entry["mac_address"] for entry in valid.values()]),
    }


def _boot_mac(body: Mapping[str, Any]) -> str | None:
    boot = body["inventory"].get("boot")
    told = boot.get("pxe_interface") if isinstance(boot, dict) else None
    told = body.get("boot_interface") or told
    if not isinstance(told, str):
        return None
    # As pxelinux writes it: hardware type 01 (Ethernet), then the address with dashes.
    plain = told[3:] if told.count("-") == 6 else told
    return next(iter(valid_macs([plain])), None)


def _find(call: Call, query: Query, macs: list[str], inventory: Mapping[str, Any]) -> int:
    """The id of the one node in inspect wait that the data is about. Raises NotFound."""
    uuid = query.uuid("node_uuid")
    with call.store.read() as session:
        if uuid is not None:
            found = nodes.by_uuid(session, uuid, {"provision_state"})
        else:
            found = nodes.by_macs(session, macs, {"provision_state"})
        unknown = not found and uuid is None
        waiting = nodes.in_state(session, states.INSPECT_WAIT, {"driver_info"}) if unknown else []
    if unknown:
        return int(_only(_by_controller(call, waiting, inventory))["id"])
    row = _only(found)
    if row["provision_state"] != states.INSPECT_WAIT:
        raise unknown_node()
    return int(row["id"])


def _only(found: Sequence[nodes.Row]) -> nodes.Row:
    if len(found) != 1:
        raise unknown_node()
    return found[0]


def _by_controller(
    call: Call, waiting: Sequence[nodes.Row], inventory: Mapping[str, Any]
) -> list[nodes.Row]:
    """The nodes whose controller has an address that the machine told.

    Names are resolved only where no address fits. Raises Conflict when one could not
    be in time and none of the others fits: the agent tries again.
    """
    told = {
        address
        for key in ("bmc_address", "bmc_v6address")
        if isinstance(address := inventory.get(key), str) and address not in _NO_ADDRESS
    }
    told = {str(ip) for address in told if (ip := _ip(address)) is not None}
    if not told:
        return []
    hosts = [_controller_hosts(row["driver_info"]) for row in waiting]
    literal = [row for row, own in zip(waiting, hosts, strict=True) if told & _literals(own)]
    if literal:
        return literal
    names = {host for own in hosts for host in own if _ip(host) is None}
    known = call.services.resolver.addresses(names)
    found = [
        row
        for row, own in zip(waiting, hosts, strict=True)
        if any(told & known.get(host, frozenset()) for host in own)
    ]
    if not found and len(known) < len(names):
        raise Conflict(
            "The names of the controllers that may be meant are still being resolved; please try "
            "again in some seconds."
        )
    return found


def _controller_hosts(driver_info: Mapping[str, Any]) -> set[str]:
    hosts = {
        _host(value)
        for key, value in driver_info.items()
        if key.endswith("_address") and isinstance(value, str)
    }
    return {host.strip("[]") for host in hosts if host}


def _literals(hosts: set[str]) -> set[str]:
    return {str(ip) for host in hosts if (ip := _ip(host)) is not None}


def _host(value: str) -> str | None:
    try:
        return urlsplit(value).hostname if "://" in value else value
    except ValueError:
        return None


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _store(call: Call, session: Session, node_id: int, body: Mapping[str, Any]) -> dict[str, Any]:
    agents.nudge(session, node_id)
    row = nodes.by_id(session, node_id, LOOKUP_COLUMNS, lock=True)
    if row is None or row["provision_state"] != states.INSPECT_WAIT:
        raise unknown_node()
    call.node = row["uuid"]
    now = call.store.clock.now()
    inventories.put(session, node_id, body["inventory"], plugin_data(body), now)
    operations.wake(session, node_id)  # Should nobody hear of it, the data is not forgotten.
    interfaces = body["inventory"]["interfaces"]
    failed = "; it reports an error" if body.get("error") else ""
    events.record(
        session,
        node_id=node_id,
        at=now,
        source="agent",
        kind="inspection",
        message=f"inspection data of {len(interfaces)} network interface(s) arrived{failed}",
    )
    if call.version < SINCE:
        return {"uuid": row["uuid"]}
    return found_body(call, session, row, make_token=True)
