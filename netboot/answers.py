"""Puts together what answers machines, out of the settings: the source of both servers."""

from __future__ import annotations

from collections.abc import Callable

from netboot.configs import Configs, Manner
from netboot.enlist.offer import Offer
from netboot.loaders import Loaders
from netboot.lookup import Lookup
from netboot.resources.tree import Resources
from netboot.settings import Settings
from netboot.source import BootSource


def boot_source(
    settings: Settings,
    lookup: Lookup,
    loaders: Loaders,
    resources: Resources,
    *,
    base_url: str,
    mac_of: Callable[[str], str | None],
) -> BootSource:
    """``base_url`` is how machines reach our HTTP server, without a slash at its end."""
    manner = Manner(
        base_url,
        asked_address=settings.listen_all,
        nomodeset=settings.nomodeset,
        bios_to_disk=settings.bios_to_disk,
        chap_allowed=settings.chap_in_boot_scripts,
    )
    offer = Offer(settings.enlist, resources, settings.boot_dir)
    return BootSource(
        lookup,
        loaders,
        Configs(lookup, resources, offer, manner, mac_of),
        resources,
        offer,
        kernel_roots=settings.kernel_roots(),
        images_dir=settings.images_dir,
    )
