"""Work of all kinds on fake machines, begun over the API and done in the end, whatever happens.

For tests of what happens meanwhile.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import urllib3
from sqlalchemy import select

from drophammer.model import HistoryEntry, Node, Operation, Step, new_uuid
from drophammer.store import Store
from tests.patience import PATIENCE, until

LEASE_SECONDS = 6
# What a service is killed at takes so long that most is under way, however slowly it was begun.
DELAY_SECONDS = 5.0
RAID = {"logical_disks": [{"size_gb": 10, "raid_level": "1"}]}
FIRMWARE = [{"component": "bmc", "url": "http://127.0.0.1/bmc-2.1.bin"}]


def steps(*names: str, **args: Any) -> list[dict[str, Any]]:
    return [
        {"interface": interface, "step": step, "args": args if step == "update" else {}}
        for interface, _, step in (name.partition(".") for name in names)
    ]


# (state at first, verb, what goes with it, state that it leads to)
WORK: tuple[tuple[str, str, dict[str, Any], str], ...] = (
    ("enroll", "manage", {}, "manageable"),
    ("manageable", "inspect", {}, "manageable"),
    ("manageable", "inspect", {}, "manageable"),
    ("manageable", "provide", {}, "available"),
    ("manageable", "provide", {}, "available"),
    (
        "manageable",
        "clean",
        {"clean_steps": steps("raid.delete_configuration", "raid.create_configuration")},
        "manageable",
    ),
    (
        "manageable",
        "clean",
        {"clean_steps": steps("firmware.update", settings=FIRMWARE)},
        "manageable",
    ),
    ("manageable", "clean", {"clean_steps": steps("power.reboot", "deploy.hold")}, "clean hold"),
    ("manageable", "adopt", {}, "active"),
    ("available", "active", {}, "active"),
    ("available", "active", {}, "active"),
    ("available", "active", {}, "active"),
    ("active", "rebuild", {}, "active"),
    ("active", "deleted", {}, "available"),
    ("active", "deleted", {}, "available"),
    ("active", "rescue", {"rescue_password": "secret"}, "rescue"),
    ("rescue", "unrescue", {}, "active"),
    ("active", "service", {"service_steps": steps("bios.factory_reset")}, "active"),
    ("active", "service", {"service_steps": steps("raid.create_configuration")}, "active"),
    ("active", "rebooting", {}, "active"),
)


def ask(url: str, method: str = "GET", body: Any = None) -> Any:
    response = urllib3.request(
        method,
        url,
        body=None if body is None else json.dumps(body),
        headers={"X-OpenStack-Ironic-API-Version": "1.95"},
        retries=False,
        timeout=PATIENCE,
    )
    assert response.status < 300, response.data
    return json.loads(response.data) if response.data else None


def add_nodes(store: Store) -> dict[str, tuple[str, dict[str, Any], str]]:
    """A node for each piece of work, by UUID."""
    nodes = {new_uuid(): work for work in WORK}
    with store.write() as session:
        session.add_all(
            Node(
                uuid=uuid,
                driver="fake-hardware",
                provision_state=state,
                power_state="power on" if state in ("active", "rescue") else "power off",
                target_raid_config=RAID,
                created_at=store.clock.now(),
            )
            for uuid, (state, _, _, _) in nodes.items()
        )
    return {uuid: work[1:] for uuid, work in nodes.items()}


def begin(url: str, uuid: str, verb: str, more: dict[str, Any]) -> None:
    kind = "power" if verb == "rebooting" else "provision"
    ask(f"{url}/v1/nodes/{uuid}/states/{kind}", "PUT", {"target": verb, **more})


def unfinished(url: str, nodes: dict[str, tuple[str, dict[str, Any], str]]) -> list[str]:
    told = ask(f"{url}/v1/nodes?fields=uuid,provision_state,reservation,target_power_state")
    return [
        f"{node['uuid']} {nodes[node['uuid']][0]}: {node['provision_state']}"
        for node in told["nodes"]
        if node["provision_state"] != nodes[node["uuid"]][2]
        or node["reservation"] is not None
        or node["target_power_state"] is not None
    ]


def take_time(config: Path, more: str = "") -> None:
    """Have the configuration say that work takes a while, and what is lost is soon taken up."""
    kinds = ("power", "deploy", "inspect", "raid", "bios", "rescue", "firmware")
    delays = "".join(f"{kind}_delay = {DELAY_SECONDS}\n" for kind in kinds)
    times = f"heartbeat_interval = 1\nheartbeat_timeout = {LEASE_SECONDS}\n"
    config.write_text(f"{config.read_text()}\n[conductor]\n{times}\n[fake]\n{delays}{more}")


def take_no_time(config: Path) -> None:
    """Have it say that work takes no time any more: what is left is soon done."""
    said = config.read_text()
    config.write_text(said.replace(f"_delay = {DELAY_SECONDS}\n", "_delay = 0\n"))


def until_done(url: str, nodes: dict[str, tuple[str, dict[str, Any], str]]) -> None:
    """Wait until every node is where its work leads to."""
    until(lambda: not unfinished(url, nodes), lambda: unfinished(url, nodes), pause=0.1)


def at_work(store: Store) -> int:
    with store.read() as session:
        return len(session.scalars(select(Operation).where(Operation.finished_at.is_(None))).all())


def much_at_work(store: Store) -> bool:
    """What has ended by now ended because the machine stood still."""
    return at_work(store) > len(WORK) / 4


def check(store: Store) -> None:
    """One operation per node, whole; what was built was built once."""
    with store.read() as session:
        held = session.scalars(select(Operation).where(Operation.finished_at.is_(None))).all()
        assert [one.verb for one in held] == ["clean"]  # The one that is held for an operator.
        done = session.scalars(select(Operation).where(Operation.finished_at.is_not(None))).all()
        assert [one.state for one in done] == ["done"] * (len(WORK) - 1)
        assert len(session.scalars(select(HistoryEntry)).all()) == len(done)
        ids = [one.id for one in done]
        states = session.scalars(select(Step.state).where(Step.operation_id.in_(ids))).all()
        assert set(states) == {"done"}
