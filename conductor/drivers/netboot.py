"""Boot interfaces ``ipxe`` and ``pxe``: the ramdisk over our own network boot service.

``ipxe`` loads kernel and ramdisk over HTTP; ``pxe`` uses pxelinux, or shim and
GRUB, over TFTP, for machines on which iPXE does not work and for Secure Boot.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, ClassVar

from conductor.bootmode import boot_mode
from conductor.drivers.base import Boot
from drophammer import agents, boots, bootspec
from drophammer.errors import Invalid
from drophammer.model import Node

if TYPE_CHECKING:
    from conductor.task import Task


class NetworkBoot(Boot):
    """What both have in common: a boot spec in the database, read by netboot on request."""

    loader: ClassVar[str]

    def validate(self, node: Node) -> None:
        for name in ("kernel", "ramdisk"):
            self._file(node, name)
        self._parameters(node)

    def prepare(self, task: Task, purpose: str) -> None:
        """Write the boot spec, forget the previous agent, choose the network as boot device."""
        node = task.node
        parameters = (*self._parameters(node), *self._agent_parameters(purpose))
        files = (self._file(node, "kernel", purpose), self._file(node, "ramdisk", purpose))
        self._put(task, purpose, files, parameters)

    def prepare_instance(self, task: Task) -> None:
        """The same for good, with the files that the instance brings."""
        info = task.node.instance_info
        kernel, ramdisk = (
            bootspec.check_file_url(str(info.get(name)), f"instance_info {name}")
            for name in ("kernel", "ramdisk")
        )
        self._put(task, bootspec.INSTANCE, (kernel, ramdisk), self._parameters(task.node))

    def _put(
        self, task: Task, purpose: str, files: tuple[str, str], parameters: tuple[str, ...]
    ) -> None:
        node = task.node
        ours = purpose != bootspec.INSTANCE
        spec = bootspec.BootSpec(
            node_uuid=node.uuid,
            purpose=purpose,
            loader=self.loader,
            kernel=files[0],
            ramdisk=files[1],
            parameters=parameters,
            key=secrets.token_urlsafe(24),
        )
        if not task.ports():
            raise Invalid(
                f"Node {node.uuid} has no port: create one with the MAC address of the network "
                "card that it boots from."
            )
        with task.box.store.write() as session:
            agents.forget(session, node.id, starting=ours)
            task.write(session, {})
            boots.put(session, node.id, spec, task.now())
            task.tell(session, "boot", f"{purpose} ramdisk over {self.loader} is prepared")
        task.box.bus.call("netboot", "prepare", node_id=node.id)
        task.confirm()
        task.driver.management.set_boot_device(
            node,
            "pxe",
            persistent=not ours,
            uefi=boot_mode(node, task.box.settings) == "uefi",
        )

    def clean_up(self, task: Task) -> None:
        """Take the boot spec away and forget the agent."""
        with task.box.store.write() as session:
            agents.forget(session, task.node.id, starting=False)
            task.write(session, {})
            boots.clear(session, task.node.id)

    def _file(self, node: Node, name: str, purpose: str = bootspec.DEPLOY) -> str:
        settings = self.box.settings
        default = settings.deploy_kernel if name == "kernel" else settings.deploy_ramdisk
        url = node.driver_info.get(f"deploy_{name}") or default
        if purpose == bootspec.RESCUE:
            own = settings.rescue_kernel if name == "kernel" else settings.rescue_ramdisk
            url = node.driver_info.get(f"rescue_{name}") or own or url
        if not url:
            raise Invalid(
                f"Node {node.uuid} has no {name} to boot: set driver_info deploy_{name} or "
                f"[conductor] deploy_{name} (`drophammer ramdisk build` makes one)."
            )
        return bootspec.check_file_url(str(url), f"deploy_{name}")

    def _parameters(self, node: Node) -> tuple[str, ...]:
        default = self.box.settings.kernel_append_params
        given = node.instance_info.get("kernel_append_params")
        if given is None:
            given = node.driver_info.get("kernel_append_params")
        text = default if given is None else str(given).replace("%default%", default)
        return bootspec.check_parameters(text, "kernel_append_params")

    def _agent_parameters(self, purpose: str) -> tuple[str, ...]:
        url = self.box.settings.ramdisk_api_url
        if purpose == bootspec.INSPECT:
            return (f"ipa-inspection-callback-url={url}/v1/continue_inspection",)
        return (f"ipa-api-url={url}",)


class IpxeBoot(NetworkBoot):
    loader = bootspec.IPXE


class PxeBoot(NetworkBoot):
    loader = bootspec.PXE
