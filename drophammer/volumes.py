"""Remote volumes that a machine boots from and uses: what its volume targets say, checked.

Only iSCSI. The properties have the names that storage services use for a connection:
``target_portal`` ("172.22.0.9:3260"), ``target_iqn``, ``target_lun``, and for CHAP
``auth_method``, ``auth_username``, ``auth_password``.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from drophammer.errors import Invalid
from drophammer.model import VolumeConnector, VolumeTarget
from drophammer.secret import Secret
from drophammer.text import misplaced

ISCSI = "iscsi"
IQN = "iqn"
BOOT = 0
"""The ``boot_index`` of the volume that is booted."""

PORT = 3260
# A LUN below 256 is written in one byte everywhere (SAM-5, 4.7.7.2).
_MAX_LUN = 255
_MAX_VOLUMES = 8
# RFC 3720, 3.2.6.3: at most 223 bytes; RFC 3722 forbids capitals, which some targets have.
_NAME = re.compile(
    r"iqn\.[0-9]{4}-[0-9]{2}\.[A-Za-z0-9.-]+(:[A-Za-z0-9._:-]+)?|eui\.[0-9A-Fa-f]{16}"
    r"|naa\.[0-9A-Fa-f]{16}([0-9A-Fa-f]{16})?"
)
_MAX_NAME = 223
_PORTAL = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]{1,253})(:(?P<port>[0-9]{1,5}))?")
_LUN = re.compile(r"[0-9]{1,3}")
_IN_NAMES, _IN_PORTALS = "A-Za-z0-9.:_-", "A-Za-z0-9.:[\\]-"
_MAX_CREDENTIAL = 255
_HALVES = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True)
class Chap:
    """How to log in (RFC 1994)."""

    username: str
    password: Secret


@dataclass(frozen=True)
class Volume:
    """One volume. ``index`` 0 is booted; the others are the machine's further drives."""

    uuid: str
    index: int
    host: str
    port: int
    lun: int
    name: str
    chap: Chap | None

    @property
    def uri(self) -> str:
        """As boot firmware writes it (RFC 4173); the LUN is hexadecimal there."""
        return f"iscsi:{self.host}::{self.port}:{self.lun:x}:{self.name}"


@dataclass(frozen=True)
class Volumes:
    """What a machine boots from and how it names itself; the boot volume comes first."""

    initiator: str
    volumes: tuple[Volume, ...]


def of_node(session: Session, node_id: int, node_uuid: str) -> Volumes | None:
    """The node's volumes; None when none of them is to be booted. One statement.

    Raises Invalid, naming the target and its property, when one cannot be used.
    """
    targets: dict[int, VolumeTarget] = {}
    names: list[str] = []
    for target, name in session.execute(_QUERY.where(VolumeTarget.node_id == node_id)):
        targets[target.id] = target
        if name is not None and name not in names:
            names.append(name)
    if not any(target.boot_index == BOOT for target in targets.values()):
        return None
    return Volumes(_initiator(node_uuid, names), tuple(map(_volume, targets.values())))


def are_booted(session: Session, node_id: int) -> bool:
    """Whether the node has a volume to boot from, usable or not."""
    booted = select(VolumeTarget.id).where(
        VolumeTarget.node_id == node_id, VolumeTarget.boot_index == BOOT
    )
    return session.scalars(booted).first() is not None


def check_properties(properties: dict[str, Any], where: str) -> None:
    """Raise Invalid for a property that no volume could be booted with; what is left out may be.

    For who writes a volume target: what is wrong in it would otherwise be found at a deployment.
    """
    checks: dict[str, Callable[[Any], object]] = {
        "target_portal": lambda value: _portal(value, where),
        "target_iqn": lambda value: iscsi_name(value, f"{where}: target_iqn"),
        "target_lun": lambda value: _lun(value, where),
    }
    for name, check in checks.items():
        if properties.get(name) is not None:
            check(properties[name])
    if all(properties.get(f"auth_{name}") for name in ("method", "username", "password")):
        _chap(properties, where)


_QUERY = (
    select(VolumeTarget, VolumeConnector.connector_id)
    .outerjoin(
        VolumeConnector,
        and_(VolumeConnector.node_id == VolumeTarget.node_id, VolumeConnector.type == IQN),
    )
    .order_by(VolumeTarget.boot_index, VolumeConnector.id)
)


def _initiator(node_uuid: str, names: Sequence[str]) -> str:
    if not names:
        return f"iqn.2026-11.org.drophammer:{node_uuid}"
    if len(names) > 1:
        raise Invalid(
            f"Node {node_uuid} has {len(names)} volume connectors of type iqn; boot firmware has "
            "one name, so leave one."
        )
    return iscsi_name(names[0], f"Node {node_uuid}: its volume connector of type iqn")


def _volume(target: VolumeTarget) -> Volume:
    where = f"Volume target {target.uuid}"
    if target.volume_type != ISCSI:
        raise Invalid(f"{where}: volume_type is {target.volume_type[:40]!r}; only iscsi is booted.")
    if not BOOT <= target.boot_index < _MAX_VOLUMES:
        raise Invalid(
            f"{where}: boot_index is {target.boot_index}; a machine's volumes are numbered from "
            f"{BOOT} to {_MAX_VOLUMES - 1}."
        )
    properties = target.properties
    host, port = _portal(properties.get("target_portal"), where)
    return Volume(
        uuid=target.uuid,
        index=target.boot_index,
        host=host,
        port=port,
        lun=_lun(properties.get("target_lun", 0), where),
        name=iscsi_name(properties.get("target_iqn"), f"{where}: target_iqn"),
        chap=_chap(properties, where),
    )


def iscsi_name(value: Any, what: str) -> str:
    """``value``, if it is the name of an initiator or target. Raises Invalid."""
    if not isinstance(value, str) or len(value) > _MAX_NAME or not _NAME.fullmatch(value):
        raise Invalid(
            f"{what} is not an iSCSI name like iqn.2004-05.com.example:disk1 (letters, digits and "
            f"any of . - : _, at most {_MAX_NAME} characters){misplaced(value, _IN_NAMES)}."
        )
    return value


def _portal(value: Any, where: str) -> tuple[str, int]:
    found = _PORTAL.fullmatch(value) if isinstance(value, str) else None
    port = int(found["port"] or PORT) if found else 0
    if found is None or not 0 < port < 65536:
        raise Invalid(
            f"{where}: target_portal is not an address like 172.22.0.9:{PORT}"
            f"{misplaced(value, _IN_PORTALS)}."
        )
    host: str = found["host"]
    if host.startswith("["):
        try:
            ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            raise Invalid(f"{where}: target_portal has no IPv6 address in its brackets.") from None
    return host, port


def _lun(value: Any, where: str) -> int:
    number = int(value) if isinstance(value, str) and _LUN.fullmatch(value) else value
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= _MAX_LUN:
        raise Invalid(f"{where}: target_lun is not a number from 0 to {_MAX_LUN}.")
    return number


def _chap(properties: dict[str, Any], where: str) -> Chap | None:
    method = properties.get("auth_method")
    if method in (None, "", "None"):
        return None
    if not isinstance(method, str) or method.upper() != "CHAP":
        raise Invalid(f"{where}: auth_method is neither CHAP nor left out.")
    return Chap(
        _credential(properties, "auth_username", where),
        Secret(_credential(properties, "auth_password", where)),
    )


def _credential(properties: dict[str, Any], name: str, where: str) -> str:
    value = properties.get(name)
    # JSON may have halves of characters in it; those are no bytes at all.
    size = len(value.encode(errors="ignore")) if isinstance(value, str) else 0
    if not isinstance(value, str) or not 0 < size <= _MAX_CREDENTIAL or _HALVES.search(value):
        raise Invalid(f"{where}: {name} is missing, or longer than {_MAX_CREDENTIAL} bytes.")
    return value
