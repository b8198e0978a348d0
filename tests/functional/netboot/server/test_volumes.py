"""Scripts of machines that boot from volumes, over HTTP, out of the volume's own rows."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete, event

from drophammer.bootspec import SAN
from drophammer.errors import Invalid, NotFound
from drophammer.model import VolumeConnector, VolumeTarget, new_uuid
from netboot.server import NetbootServer

Get = Callable[[NetbootServer, str], tuple[int, bytes]]
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
MAC = "52:54:00:22:00:07"
PATH = "ipxe/52-54-00-22-00-07"
DISK = {"target_portal": "172.22.0.9", "target_iqn": "iqn.2004-05.com.example:disk"}


def bootable(deployment: Any, **properties: Any) -> int:
    node_id = deployment.node(MAC)
    deployment.boots(node_id, loader=SAN, purpose="instance", kernel="", ramdisk="", parameters=())
    with deployment.store.write() as session:
        for index in (0, 1):
            session.add(
                VolumeTarget(
                    uuid=new_uuid(),
                    node_id=node_id,
                    volume_type="iscsi",
                    volume_id="x",
                    boot_index=index,
                    properties={**DISK, **properties},
                    created_at=NOW,
                )
            )
        session.add(
            VolumeConnector(
                uuid=new_uuid(),
                node_id=node_id,
                type="iqn",
                connector_id="iqn.2004-05.com.example:machine7",
                created_at=NOW,
            )
        )
    return node_id


def test_the_script_names_machine_and_volumes_after_two_statements(
    deployment: Any, http_get: Get
) -> None:
    node_id = bootable(deployment)
    server = deployment.server()
    server.start()
    server.prepare(node_id)
    statements: list[str] = []
    listen = (deployment.store.engine, "before_cursor_execute")

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        # What the monitor asks in its own time is none of this request's.
        if statement.startswith("SELECT") and "services" not in statement:
            statements.append(statement)

    event.listen(*listen, note)
    try:
        status, body = http_get(server, PATH)
    finally:
        event.remove(*listen, note)
    text = body.decode()
    assert status == 200
    assert "set initiator-iqn iqn.2004-05.com.example:machine7" in text
    assert "sanhook --drive 0x81" in text
    assert "sanboot --drive 0x80 iscsi:172.22.0.9::3260:0:iqn.2004-05.com.example:disk" in text
    assert len(statements) == 2


def test_a_volume_with_chap_is_refused_before_the_machine_is_started(
    deployment: Any, http_get: Get
) -> None:
    node_id = bootable(
        deployment, auth_method="CHAP", auth_username="me", auth_password="canary-of-chap"
    )
    server = deployment.server()
    server.start()
    with pytest.raises(Invalid, match="asks for CHAP"):
        server.prepare(node_id)
    status, body = http_get(server, PATH)
    assert status == 400
    assert b"canary" not in body


def test_a_volume_that_is_gone_is_told(deployment: Any) -> None:
    node_id = bootable(deployment)
    with deployment.store.write() as session:
        session.execute(delete(VolumeTarget))
    server = deployment.server()
    server.start()
    with pytest.raises(NotFound, match="no volume target with boot_index 0"):
        server.prepare(node_id)
