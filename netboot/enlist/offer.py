"""What an unknown machine is offered: which files, with which kernel parameters.

The image's files are named below one snapshot, so that an import between kernel and root
file system mixes nothing. The configuration's text is made in boot/.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from drophammer.bootspec import resource_path
from drophammer.errors import NotFound
from netboot.architecture import AMD64, I386
from netboot.boot.enlist import HOST, EnlistBoot
from netboot.boot.iscsiroot import IscsiRoot, network, parameters
from netboot.enlist.settings import EnlistSettings
from netboot.paths import KERNEL, RAMDISK, boot_file
from netboot.resources.targets import ROOT_FILES
from netboot.resources.tree import Resources

OWN_KEY = "enlist-amd64"
"""Stands where a boot's key stands, for our own ramdisk: it opens nothing that is secret."""
_OWN_FILES = {KERNEL: "vmlinuz", RAMDISK: "initrd"}


class Offer:
    """Answers for one netboot. ``boot_dir`` is where our own ramdisk lies."""

    def __init__(self, settings: EnlistSettings, resources: Resources, boot_dir: Path) -> None:
        self._settings = settings
        self._resources = resources
        self._boot_dir = boot_dir

    def boots(self, client: str, server: str, arch: str | None) -> list[EnlistBoot]:
        """What a machine at ``client`` may boot: one for each architecture that it may have.

        ``server`` is our address, as the machine reaches it; ``arch`` None: it did not say.
        Raises NotFound when there is nothing for it.
        """
        self._check(client)
        found = []
        for wanted in (AMD64, I386) if arch is None else (arch,):
            try:
                found.append(self._boot(wanted, server))
            except NotFound:
                if arch is not None or wanted == AMD64:
                    raise
        return found

    def own_file(self, client: str, stage: str) -> str:
        """The URL of our own ramdisk's kernel or ramdisk. Raises NotFound."""
        self._check(client)
        if self._settings.image is not None:
            raise NotFound("Unknown machines boot an image here, not the ramdisk.")
        return f"file://{self._boot_dir}/{_OWN_FILES[stage]}"

    def is_open_to(self, client: str) -> bool:
        """Whether unknown machines may boot at this address."""
        return self._settings.allows(client)

    def _check(self, client: str) -> None:
        if not self.is_open_to(client):
            raise NotFound(
                "Unknown machines do not boot in this network; add this one's network card as a "
                "port of its node, or see [enlist]."
            )

    def _boot(self, arch: str, server: str) -> EnlistBoot:
        image = self._settings.image
        if image is not None:
            return self._image(str(replace(image, arch=arch)), arch, server)
        if arch != AMD64:
            raise NotFound(f"There is no ramdisk for unknown machines with {arch}.")
        files = (boot_file(OWN_KEY, KERNEL), boot_file(OWN_KEY, RAMDISK))
        words = (*network(HOST, ipv6=":" in server), *self._settings.parameters)
        return EnlistBoot(arch, *files, words)

    def _image(self, image: str, arch: str, server: str) -> EnlistBoot:
        files = [f"resource:///{image}/{name}" for name in ("boot-kernel", "boot-initrd")]
        kernel, ramdisk, root = self._pinned(image, files)
        words = network(HOST, ipv6=":" in server)
        if root is not None:
            words = parameters(IscsiRoot(self._resources.root_target(root), server, HOST))
        return EnlistBoot(
            arch,
            resource_path(kernel),
            resource_path(ramdisk),
            (*words, *self._settings.parameters),
        )

    def _pinned(self, image: str, files: list[str]) -> tuple[str, str, str | None]:
        """Kernel, ramdisk and, where the image has one, root file system, in one snapshot."""
        pin: Callable[[list[str]], list[str]] = self._resources.pin
        for name in ROOT_FILES:
            try:
                kernel, ramdisk, root = pin([*files, f"resource:///{image}/{name}"])
            except NotFound:
                continue
            return kernel, ramdisk, root
        kernel, ramdisk = pin(files)
        return kernel, ramdisk, None
