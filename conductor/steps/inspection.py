"""Steps of an inspection by the ramdisk: wait for its facts, draw what follows from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from conductor.outcomes import Again, Done, Outcome
from conductor.steps.power import POLL_SECONDS
from conductor.steps.ramdisk import power_into_ramdisk, wait_for_ramdisk
from drophammer.bootspec import normal_mac
from drophammer.errors import AgentError, Invalid
from drophammer.model import Port, Step, new_uuid
from drophammer.text import readable

if TYPE_CHECKING:
    from conductor.task import Task


def await_inventory(task: Task, step: Step) -> Outcome:
    """Boot the ramdisk; done when its inventory has arrived."""
    if not power_into_ramdisk(task, step):
        return Again(POLL_SECONDS)
    task.agent()
    found = task.inventory()
    if found is None or found.created_at < task.operation.created_at:
        return wait_for_ramdisk(task, step)
    error = found.plugin_data.get("error")
    if error:
        raise AgentError(f"The ramdisk could not inspect the machine: {error}")
    return Done()


def record_facts(task: Task, step: Step) -> Outcome:
    """CPU architecture and boot mode onto the node, a port for the boot NIC."""
    found = task.inventory()
    if found is None:
        raise AgentError("The inventory that was just received has been deleted.")
    facts = found.inventory
    values: dict[str, Any] = {}
    architecture = _part(facts, "cpu").get("architecture")
    if isinstance(architecture, str) and architecture:
        values["properties"] = {**task.node.properties, "cpu_arch": architecture}
    boot = _part(facts, "boot")
    if boot.get("current_boot_mode") in ("uefi", "bios"):
        values["boot_mode"] = boot["current_boot_mode"]
    task.update(values, event=("inventory", _sentence(facts)))
    return Done({"ports": _add_port(task, boot.get("pxe_interface"))})


def _part(facts: dict[str, Any], name: str) -> dict[str, Any]:
    """A part of an inventory; empty when the agent had another idea of it."""
    part = facts.get(name)
    return part if isinstance(part, dict) else {}


def _things(facts: dict[str, Any], name: str) -> list[dict[str, Any]]:
    things = facts.get(name)
    return (
        [thing for thing in things if isinstance(thing, dict)] if isinstance(things, list) else []
    )


def _add_port(task: Task, address: object) -> list[str]:
    """A port for the NIC that booted, unless somebody has it already."""
    if not isinstance(address, str):
        return []
    try:
        mac = normal_mac(address[3:] if len(address) == 20 else address)
    except Invalid:
        return []
    with task.box.store.write() as session:
        task.write(session, {})
        taken = session.scalars(select(Port.id).where(Port.address == mac)).one_or_none()
        if taken is not None:
            return []
        session.add(
            Port(
                uuid=new_uuid(),
                node_id=task.node.id,
                address=mac,
                pxe_enabled=True,
                created_at=task.now(),
            )
        )
    return [mac]


def _sentence(facts: dict[str, Any]) -> str:
    cpu = _part(facts, "cpu")
    memory = _part(facts, "memory").get("physical_mb")
    sizes = ", ".join(
        f"{disk.get('name')} {size / 2**30:.1f} GiB"
        for disk in _things(facts, "disks")
        if isinstance(size := disk.get("size"), int)
    )
    nics = ", ".join(
        f"{nic.get('name')} {nic.get('mac_address')}" for nic in _things(facts, "interfaces")
    )
    return readable(
        f"{cpu.get('count', '?')} CPU {cpu.get('architecture', '')}, {memory or '?'} MiB memory, "
        f"disks: {sizes or 'none'}; NICs: {nics}"
    )
