"""Steps of an inspection by the ramdisk: wait for its facts, draw what follows from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from conductor.outcomes import Again, Done, Outcome, Wait
from conductor.steps.power import POLL_SECONDS
from conductor.steps.ramdisk import power_into_ramdisk
from drophammer.bootspec import normal_mac
from drophammer.errors import AgentError, Invalid
from drophammer.model import Port, Step, new_uuid

if TYPE_CHECKING:
    from conductor.task import Task


def await_inventory(task: Task, step: Step) -> Outcome:
    """Boot the ramdisk; done when its inventory has arrived."""
    if not power_into_ramdisk(task, step):
        return Again(POLL_SECONDS)
    task.agent()
    found = task.inventory()
    if found is None or found.created_at < task.operation.created_at:
        return Wait()
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
    architecture = (facts.get("cpu") or {}).get("architecture")
    if architecture:
        values["properties"] = {**task.node.properties, "cpu_arch": architecture}
    boot = facts.get("boot") or {}
    if boot.get("current_boot_mode") in ("uefi", "bios"):
        values["boot_mode"] = boot["current_boot_mode"]
    task.update(values, event=("inventory", _sentence(facts)))
    return Done({"ports": _add_port(task, boot.get("pxe_interface"))})


def _add_port(task: Task, address: str | None) -> list[str]:
    """A port for the NIC that booted, unless somebody has it already."""
    if not address:
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
    cpu = facts.get("cpu") or {}
    memory = (facts.get("memory") or {}).get("physical_mb")
    disks = facts.get("disks") or []
    sizes = ", ".join(
        f"{disk.get('name')} {int(disk.get('size') or 0) / 2**30:.1f} GiB" for disk in disks
    )
    nics = ", ".join(
        f"{nic.get('name')} {nic.get('mac_address')}" for nic in facts.get("interfaces") or []
    )
    return (
        f"{cpu.get('count', '?')} CPU {cpu.get('architecture', '')}, {memory or '?'} MiB memory, "
        f"disks: {sizes or 'none'}; NICs: {nics}"
    )
