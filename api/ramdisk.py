"""The first thing the ramdisk agent says to us: which node am I? Nobody is asked for a password.

A look-up finds the node of a machine and gives its token away, once. Heartbeats are in
``heartbeat.py``. The agent's side is in ``agent/``, the contract in both.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy.orm import Session

from api.call import Call, Reply
from api.endpoint import takes
from api.fields import LINKS, OBJECT, UUID, closed
from api.node_fields import agent_info
from api.query import Query
from drophammer import agents, events, nodes, states
from drophammer.bootspec import normal_mac
from drophammer.errors import Forbidden, Invalid, NotFound
from drophammer.identity import normal_uuid
from drophammer.masking import MASK, mask

TOKEN_SINCE = 62
TOKEN_BYTES = 32
MAX_ADDRESSES = 512
PROGRESS_INTERVAL = 1.0
FOUND = closed(
    {
        "node": closed(
            {
                "uuid": UUID,
                "properties": OBJECT,
                "instance_info": OBJECT,
                "driver_internal_info": OBJECT,
                "links": LINKS,
            }
        ),
        "config": OBJECT,
    },
    required=("node", "config"),
)
LOOKUP_COLUMNS = (
    nodes.LEASE_COLUMNS
    | nodes.SHOWN_AGENT
    | {"properties", "instance_info", "provision_state", "agent_token", "agent_token_shown"}
)


@takes(query={"addresses": 1, "node_uuid": 1}, reply=FOUND)
def lookup(call: Call) -> Reply:
    """Find the node of a machine, for its ramdisk."""
    check_enabled(call)
    query = call.query
    macs, uuid = _addresses(query), normal_uuid(query.text("node_uuid") or "")
    if not macs and uuid is None:
        raise Invalid("Give node_uuid or at least one valid MAC address in addresses.")
    # Machines nobody knows ask again and again: they are turned away without the write lock.
    with call.store.read() as session:
        node_id = _find(call, session, uuid, macs)
    with call.store.write() as session:
        agents.lock(session, node_id)
        row = nodes.by_id(session, node_id, LOOKUP_COLUMNS, lock=True)
        if row is None:
            raise unknown_node()
        make_token = call.version >= TOKEN_SINCE
        body = found_body(call, session, row, make_token=make_token)
        # Once per boot: anybody may ask, as often as they like.
        if make_token and not _has_token(row):
            events.record(
                session,
                node_id=row["id"],
                at=call.store.clock.now(),
                source="agent",
                kind="lookup",
                message="the ramdisk looked its node up",
                data={"addresses": macs[:16]},
            )
    return Reply(body=body)


def check_enabled(call: Call) -> None:
    """Raise Forbidden when this API does not talk to ramdisks."""
    if not call.settings.enable_ramdisk_endpoints:
        raise Forbidden("The endpoints for ramdisks are switched off on this API.")


def unknown_node() -> NotFound:
    """One text for all reasons: whoever asks without a password learns nothing from it."""
    return NotFound(
        "The requested node could not be found, or its state does not expect a ramdisk."
    )


def found_body(
    call: Call, session: Session, row: Mapping[str, Any], *, make_token: bool
) -> dict[str, Any]:
    """What an agent is told of its node, with the token the first time.

    Raises NodeLocked while somebody works on the node and there is a token to give:
    the machine may be about to be rebooted, and its next ramdisk needs the token.
    """
    token = MASK
    if make_token and not _has_token(row):
        nodes.check_free(row, call.store.clock.now())
        token = row["agent_token"] or secrets.token_urlsafe(TOKEN_BYTES)
        known = row["agent_token_shown"] is not None
        agents.give_token(session, row["id"], token, known=known)
        row = {**row, "agent_has_token": True}
    return {
        "node": {
            "uuid": row["uuid"],
            "properties": row["properties"],
            "instance_info": mask(row["instance_info"]),
            "driver_internal_info": agent_info(row),
            "links": call.view().links("nodes", row["uuid"]),
        },
        "config": _config(call, token if make_token or row["agent_has_token"] else None),
    }


def _has_token(row: Mapping[str, Any]) -> bool:
    """Whether the agent of this boot was given its token already."""
    return bool(row["agent_token"] and row["agent_token_shown"])


def valid_macs(candidates: Collection[Any]) -> list[str]:
    """The MAC addresses among ``candidates``, in their usual spelling, without doubles."""
    found = []
    for candidate in candidates:
        try:
            found.append(normal_mac(candidate))
        except (Invalid, AttributeError):
            continue
    return list(dict.fromkeys(found))


def _addresses(query: Query) -> list[str]:
    return valid_macs(query.names("addresses") or [])[:MAX_ADDRESSES]


def _find(call: Call, session: Session, uuid: str | None, macs: list[str]) -> int:
    """The id of the one node that is meant. Raises NotFound."""
    owners = [] if uuid is None else nodes.by_uuid(session, uuid, {"provision_state"})
    if not owners and macs:
        owners = nodes.by_macs(session, macs, {"provision_state"})
    if len(owners) != 1:
        raise unknown_node()
    call.node = owners[0]["uuid"]
    state = owners[0]["provision_state"]
    if call.settings.restrict_lookup and state not in states.LOOKUP_ALLOWED:
        raise unknown_node()
    return int(owners[0]["id"])


def _config(call: Call, token: str | None) -> dict[str, Any]:
    config: dict[str, Any] = {
        "heartbeat_timeout": call.settings.ramdisk_heartbeat_timeout,
        "agent_token_required": True,
        "metrics": {
            "backend": "noop",
            "prepend_host": False,
            "prepend_uuid": False,
            "prepend_host_reverse": True,
            "global_prefix": None,
        },
        "metrics_statsd": {"statsd_host": "localhost", "statsd_port": 8125},
        "agent_md5_checksum_enable": True,
        "disable_deep_image_inspection": False,
        "permitted_image_formats": ["raw", "gpt", "qcow2", "iso"],
        "agent_skip_bmc_detect": False,
        "enable_bios_bootloader_install": False,
        "tls_min_version": "1.3",
        "tls_cipher_suites": None,
        "agent_containers": {
            "allow_arbitrary_containers": False,
            "allowed_containers": [],
            "container_steps_file": "/etc/ironic-python-agent.d/mysteps.yaml",
            "runner": "podman",
            "pull_options": [],
            "run_options": [],
        },
        "drophammer": {"progress_interval": PROGRESS_INTERVAL},
    }
    return config if token is None else {**config, "agent_token": token}
