"""What the ramdisk agent says to us: look-up and heartbeat. Nobody is asked for a password.

A look-up finds the node of a machine and gives its token away, once. A heartbeat
notes where the agent is and nudges a conductor; it neither takes nor waits for the
node's lease. The agent's side is in ``agent/``, the contract in both.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
import ssl
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from api.call import Call, Reply
from api.endpoint import closed, takes
from api.fields import LINKS, OBJECT, UUID
from api.names import check_ident
from api.node_fields import agent_info
from api.query import Query
from api.schemas import gated
from api.settings import Settings
from drophammer import agents, events, nodes, operations, states
from drophammer.bootspec import normal_mac
from drophammer.errors import Forbidden, Invalid, NotFound
from drophammer.identity import normal_uuid
from drophammer.masking import MASK, mask

TOKEN_SINCE = 62
TOKEN_BYTES = 32
MAX_ADDRESSES = 512
PROGRESS_INTERVAL = 1.0
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
_BEAT_COLUMNS = {
    "provision_state",
    "operation_id",
    "agent_token",
    "agent_url",
    "agent_certificate",
    "agent_beats",
}


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


@takes(body=gated(_HEARTBEAT, _FIELD_SINCE), status=202)
def heartbeat(call: Call, ident: str) -> Reply:
    """Take a sign of life of a node's ramdisk."""
    check_enabled(call)
    body = call.body()
    _check_heartbeat(call, body)
    check_ident(ident, "node")
    progress = body.get("agent_progress")
    with call.store.write() as session:
        row = nodes.find(session, ident, _BEAT_COLUMNS)
        call.node = row["uuid"]
        _check_same_agent(row, body)
        waiting = _note_beat(call, session, row, body)
        if progress is not None and row["operation_id"] is not None:
            _note_progress(call, session, row["operation_id"], progress)
    if waiting and progress is None:
        call.tell_conductor("heartbeat", node_id=row["id"])
    return Reply(202)


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


def _check_same_agent(row: Mapping[str, Any], body: Mapping[str, Any]) -> None:
    """Raise Invalid unless the beat comes from the agent that was given the token."""
    stored = row["agent_token"]
    # A comparison that takes as long when there is no token to compare with.
    given = body["agent_token"].encode()
    right = hmac.compare_digest(given, (stored or secrets.token_urlsafe(TOKEN_BYTES)).encode())
    if stored is None or not right:
        raise Invalid("agent_token: missing, or not the one this node's agent was given.")
    if row["agent_url"] and body["callback_url"] and row["agent_url"] != body["callback_url"]:
        raise Invalid("callback_url: not the one this agent gave before.")
    certificate = body.get("agent_verify_ca")
    if certificate and row["agent_certificate"] and row["agent_certificate"] != certificate:
        raise Invalid("agent_verify_ca: not the certificate this agent gave before.")
    if certificate and not row["agent_certificate"]:
        _check_certificate(certificate)


def _check_certificate(pem: str) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError) as error:
        raise Invalid("agent_verify_ca: not a certificate in PEM form.") from error


def _note_beat(
    call: Call, session: Session, row: Mapping[str, Any], body: Mapping[str, Any]
) -> bool:
    """Write the beat down. True when the node waits for one."""
    now = call.store.clock.now()
    ours = agents.beat(
        session,
        row["id"],
        token=row["agent_token"],
        url=body["callback_url"] or row["agent_url"],
        version=body["agent_version"],
        certificate=body.get("agent_verify_ca") or row["agent_certificate"],
        now=now,
    )
    if not ours:
        raise Invalid("agent_token: the node has been rebooted meanwhile.")
    if row["agent_beats"] == 0:
        events.record(
            session,
            node_id=row["id"],
            at=now,
            source="agent",
            kind="heartbeat",
            message=f"the agent (version {body['agent_version']}) is there",
            data={"url": body["callback_url"]},
        )
    return nodes.touch(session, row["id"], now)


def _note_progress(
    call: Call, session: Session, operation_id: int, progress: Mapping[str, Any]
) -> None:
    operations.set_values(
        session,
        operation_id,
        {
            "progress_done": progress["done"],
            "progress_total": progress.get("total"),
            "progress_message": progress.get("message") or progress.get("step"),
            "progress_at": call.store.clock.now(),
        },
    )
