"""Which configuration a machine gets: who asks, what it is to boot, in which language.

The texts are made in boot/, what is told to machines that nobody knows in enlist/. Files
are not looked at here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from drophammer.boots import Booting
from drophammer.bootspec import SAN, BootSpec
from drophammer.errors import Invalid, NotFound
from netboot import architecture, paths, stages
from netboot.boot import grub, ipxe, iscsiroot, pxelinux, san
from netboot.boot.grammar import check_spec
from netboot.boot.iscsiroot import IscsiRoot
from netboot.content import Request
from netboot.enlist.offer import Offer
from netboot.lookup import Lookup
from netboot.paths import Wanted
from netboot.resources.tree import Resources

REMEMBERED = 100_000


@dataclass(frozen=True)
class Manner:
    """How configurations are written: what an operator chose for all machines.

    ``asked_address``: name the address that a machine asked, not that of ``base_url``.
    """

    base_url: str
    asked_address: bool = False
    nomodeset: bool = False
    bios_to_disk: str = pxelinux.NEXT
    chap_allowed: bool = False


class Configs:
    """``mac_of`` tells whose network card an IP address belongs to, None if that is not known."""

    def __init__(
        self,
        lookup: Lookup,
        resources: Resources,
        offer: Offer,
        manner: Manner,
        mac_of: Callable[[str], str | None],
    ) -> None:
        self._lookup = lookup
        self._resources = resources
        self._offer = offer
        self._manner = manner
        self._mac_of = mac_of
        self._told_disk: dict[str, None] = {}

    def text(self, request: Request, want: Wanted) -> str:
        """The configuration. Raises NotFound, Invalid or Unavailable; asks the database."""
        if want.default:
            return self._enlisting(request, want)
        mac = want.mac or self._mac_by_other_name(request, want)
        if mac is None:
            base = self._base_url(request)
            return grub.start() if want.language == paths.GRUB else ipxe.start(base)
        machine = self._machine(request, mac)
        if machine.spec is None:
            self._remember(mac)
            return self._disk(want)
        self._told_disk.pop(mac, None)
        if machine.spec.loader == SAN:
            return self._volume(want, machine.node_id, machine.spec)
        return self._boot(request, want, mac, machine, machine.spec)

    def without_database(self, want: Wanted) -> str | None:
        """What a machine gets while the database does not answer: only ever "to the disk".

        That is what it was told last; to deploy from memory could undo what was done since.
        """
        return self._disk(want) if want.mac in self._told_disk else None

    def check(self, node_id: int, spec: BootSpec) -> None:
        """See that there is a configuration for ``spec``. Raises Invalid or NotFound."""
        check_spec(spec)
        if spec.loader == SAN:
            found = self._lookup.volumes_of(node_id, spec.node_uuid)
            san.check(found, chap_allowed=self._manner.chap_allowed)
        if spec.root is not None:
            self._resources.root_target(spec.root)

    def _machine(self, request: Request, mac: str) -> Booting:
        try:
            return self._lookup.by_mac(mac)
        except NotFound:
            if self._lookup.is_port(mac) or not self._offer.is_open_to(request.client):
                raise
            # It boots, by the name that its loader asks for next: nobody has to add it as a port.
            raise NotFound(
                f"Nobody knows the network card {mac} yet; its loader asks next for what unknown "
                "machines boot."
            ) from None

    def _remember(self, mac: str) -> None:
        if len(self._told_disk) >= REMEMBERED:
            self._told_disk.clear()
        self._told_disk[mac] = None

    def _mac_by_other_name(self, request: Request, want: Wanted) -> str | None:
        """The card of a machine that named its UUID or IP address; None when it named neither.

        Vendors ship machines with one UUID, and addresses change hands: the name must be
        that of the machine which asks, by its network card. Raises NotFound otherwise.
        """
        if want.uuid is None and want.ip is None:
            return None
        mac = self._mac_of(request.client)
        named = want.ip is None or want.ip == paths.hexadecimal(request.client)
        if mac is not None and named and want.uuid in (None, self._lookup.by_mac(mac).uuid):
            return mac
        raise NotFound("No machine is known by this name; ask by the network card's MAC address.")

    def _enlisting(self, request: Request, want: Wanted) -> str:
        # Also sees that the database answers: a known machine must not be taken for another.
        if self._lookup.is_port(self._mac_of(request.client)):
            raise NotFound("This machine is known; it is told what to boot by its MAC address.")
        chosen = want.arch is None or (want.language, want.arch) == (paths.IPXE, architecture.I386)
        arch = None if chosen else want.arch
        boots = self._offer.boots(request.client, self._address(request), arch)
        if self._manner.nomodeset:
            boots = [replace(found, parameters=_first(found.parameters)) for found in boots]
        if want.language == paths.PXELINUX:
            return pxelinux.enlist(boots, choose=chosen)
        if want.language == paths.GRUB:
            return grub.enlist(boots[0])
        return ipxe.enlist(boots, self._base_url(request))

    def _boot(
        self, request: Request, want: Wanted, mac: str, machine: Booting, spec: BootSpec
    ) -> str:
        spec = self._complete(request, machine, spec)
        if want.language == paths.IPXE:
            return ipxe.boot(spec, self._base_url(request))
        if want.language == paths.GRUB:
            return grub.boot(spec, mac)
        return pxelinux.boot(spec, mac, architecture.normal(machine.arch))

    def _complete(self, request: Request, machine: Booting, spec: BootSpec) -> BootSpec:
        """``spec`` with the parameters that only we know; they stand in front of its own."""
        words = spec.parameters
        if spec.root is not None:
            root = IscsiRoot(
                self._resources.root_target(spec.root), self._address(request), _host(machine)
            )
            told = stages.parameter(self._base_url(request), spec.key)
            words = (*iscsiroot.parameters(root), told, *words)
        return replace(spec, parameters=_first(words) if self._manner.nomodeset else words)

    def _volume(self, want: Wanted, node_id: int, spec: BootSpec) -> str:
        if want.language != paths.IPXE:
            raise NotFound("This machine boots from a volume, by iPXE; it has no other boot file.")
        found = self._lookup.volumes_of(node_id, spec.node_uuid)
        return san.boot(spec.node_uuid, found, chap_allowed=self._manner.chap_allowed)

    def _disk(self, want: Wanted) -> str:
        if want.language == paths.PXELINUX:
            return pxelinux.disk(self._manner.bios_to_disk)
        return grub.disk() if want.language == paths.GRUB else ipxe.disk()

    def _address(self, request: Request) -> str:
        """Our address as this machine reaches it, without the brackets of a URL."""
        own = urlsplit(self._manner.base_url).hostname or ""
        if not self._manner.asked_address or ipaddress.ip_address(request.local).is_link_local:
            return own
        return request.local

    def _base_url(self, request: Request) -> str:
        if not self._manner.asked_address:
            return self._manner.base_url
        address = self._address(request)
        host = f"[{address}]" if ":" in address else address
        return f"http://{host}:{urlsplit(self._manner.base_url).port}"


def _host(machine: Booting) -> str:
    """A machine's own name in its boot: the operator's, where that can be one of a host."""
    try:
        return iscsiroot.host_name(machine.name)
    except Invalid:
        return machine.uuid


def _first(words: tuple[str, ...]) -> tuple[str, ...]:
    return words if "nomodeset" in words else ("nomodeset", *words)
