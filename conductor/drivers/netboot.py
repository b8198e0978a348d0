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


# URLs of kernel, ramdisk and, where there is one, root file system.
Files = tuple[str, str, str | None]


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
        files = (self._file(node, "kernel", purpose), self._file(node, "ramdisk", purpose), None)
        self._put(task, purpose, files, parameters)

    def prepare_instance(self, task: Task) -> None:
        """The same for good, with the files that the instance brings."""
        info = task.node.instance_info
        kernel, ramdisk = (
            bootspec.check_file_url(str(info.get(name)), f"instance_info {name}")
            for name in ("kernel", "ramdisk")
        )
        root = info.get("root_image")
        if root is not None:
            root = bootspec.check_root_url(str(root), "instance_info root_image")
        self._put(task, bootspec.INSTANCE, (kernel, ramdisk, root), self._parameters(task.node))

    def _put(
        self,
        task: Task,
        purpose: str,
        files: Files,
        parameters: tuple[str, ...],
        loader: str = "",
    ) -> None:
        node = task.node
        ours = purpose != bootspec.INSTANCE
        if not task.ports():
            raise Invalid(
                f"Node {node.uuid} has no port: create one with the MAC address of the network "
                "card that it boots from."
            )
        kernel, ramdisk, root = _pinned(task, files)
        spec = bootspec.BootSpec(
            node_uuid=node.uuid,
            purpose=purpose,
            loader=loader or self.loader,
            kernel=kernel,
            ramdisk=ramdisk,
            parameters=parameters,
            key=secrets.token_urlsafe(24),
            root=root,
        )
        with task.box.store.write() as session:
            agents.forget(session, node.id, starting=ours)
            task.write(session, {})
            boots.put(session, node.id, spec, task.now())
            task.tell(session, "boot", _told(spec))
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

    def validate_volume(self, node: Node) -> None:
        """iPXE speaks iSCSI by itself."""

    def prepare_volume(self, task: Task) -> None:
        # Which volume that is, netboot reads at each boot from the node's volume targets.
        self._put(task, bootspec.INSTANCE, ("", "", None), (), bootspec.SAN)


class PxeBoot(NetworkBoot):
    loader = bootspec.PXE


def _pinned(task: Task, files: Files) -> Files:
    """The same, with all boot resources among them named in one snapshot of netboot's.

    So kernel, ramdisk and root file system fit each other, whatever is imported meanwhile,
    and are kept for as long as the boot spec names them.
    """
    names = [url for url in files if url is not None and bootspec.is_resource(url)]
    if not names:
        return files
    pinned = dict(zip(names, task.box.bus.call("netboot", "pin", urls=names), strict=True))
    kernel, ramdisk, root = files
    return pinned.get(kernel, kernel), pinned.get(ramdisk, ramdisk), root and pinned[root]


def _told(spec: bootspec.BootSpec) -> str:
    if spec.loader == bootspec.SAN:
        return "boot from its volume is prepared"
    what = "the instance" if spec.purpose == bootspec.INSTANCE else f"{spec.purpose} ramdisk"
    return f"{what} over {spec.loader} is prepared"
