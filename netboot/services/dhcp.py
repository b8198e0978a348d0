"""DHCP for booting machines: a dnsmasq for IPv4, one for IPv6, one list of machines.

Decides nothing about leases or loaders: dhcp_config.py and dhcp6_config.py write that down
and dnsmasq does it. Machines that are not in the list get no answer, but where they may enlist.
"""

from __future__ import annotations

import grp
import logging
import os
import pwd
import socket
import threading
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address
from pathlib import Path

from drophammer.errors import DrophammerError, Invalid
from drophammer.netns import Namespace
from netboot.dhcp import hosts as known
from netboot.dhcp.hosts import Host
from netboot.dhcp.sightings import Sighting
from netboot.dhcp.watch import Watch
from netboot.monitor.service import OFF, ON, Expected
from netboot.services import dhcp6_config, dhcp_config
from netboot.services.dhcp_config import Account, DhcpFiles, Places
from netboot.services.dhcp_log import DhcpEvent, DhcpLog
from netboot.services.dhcp_ports import DHCP4, DHCP6, PXE, Ports
from netboot.services.dnsmasq import Dnsmasq, Plan
from netboot.subnets import ADVERTISE, PROXY, SERVER, DhcpSettings

log = logging.getLogger(__name__)

NAMED, WRITTEN = 10, 100
"""So many addresses that cannot be kept are named in the reason, and in the log at once."""

KnownHost = Host | tuple[str, str | None] | tuple[str, str | None, object]


def _ignore(sighting: Sighting) -> None:
    """Nobody wants to know."""


class DhcpServer:
    """Both halves. ``seen`` is told of DHCPv4 messages, in a thread of this object.

    ``http_url`` is that of the boot file server, for UEFI HTTP boot. ``foreign`` is told of
    other DHCP servers where the addresses are ours to give, in another thread of this object.
    """

    def __init__(
        self,
        settings: DhcpSettings,
        namespace: Namespace,
        *,
        address: str,
        script_url: str,
        folder: Path,
        seen: Callable[[DhcpEvent], None],
        http_url: str = "",
        foreign: Callable[[Sighting], None] = _ignore,
    ) -> None:
        self._settings = settings
        self._places = Places(address, script_url, http_url)
        self._own = IPv4Address(address)
        self._folder = folder
        self._seen = seen
        self._log = DhcpLog()
        self._namespace = namespace
        self._foreign = foreign
        self._watch: Watch | None = None
        self._problems: tuple[str, ...] = ()
        self._refused = ""
        self._changing = threading.Lock()
        self.dhcp4 = Dnsmasq(
            "dhcp4",
            self._plan4(settings),
            folder=folder,
            heard=self._heard,
            notes=self._notes,
            program=settings.program,
            namespace=namespace,
        )
        self.dhcp6 = Dnsmasq(
            "dhcp6",
            self._plan6(settings),
            folder=folder / "v6",
            heard=_write_down,
            notes=str,
            program=settings.program,
            namespace=namespace,
        )
        self.files = self.dhcp4.files

    @property
    def state(self) -> str:
        """For people: whether it runs, for how many machines, or why not."""
        return self.dhcp4.state

    @property
    def pid(self) -> int | None:
        """Process id of the dnsmasq for IPv4 while it runs."""
        return self.dhcp4.pid

    def services(self) -> tuple[Dnsmasq, Dnsmasq]:
        """Both halves, for the monitor."""
        return self.dhcp4, self.dhcp6

    def start(self, hosts: Iterable[KnownHost]) -> None:
        """Run both; returns when they answer.

        Raises Invalid for a configuration that dnsmasq refuses, Unavailable with
        dnsmasq's words when it cannot run; nothing is left running then.
        """
        text4, text6 = self._texts(hosts)
        try:
            self.dhcp4.start(text4)
            self.dhcp6.start(text6)
        except DrophammerError:
            self.stop()
            raise
        self._watch = self._new_watch()

    def stop(self) -> None:
        """End both; returns when they are gone. Leases stay on disk."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.stop()
        self.dhcp4.stop()
        self.dhcp6.stop()

    def set_hosts(self, hosts: Iterable[KnownHost]) -> None:
        """Make these the known machines; returns when DHCP knows them.

        Raises Unavailable when dnsmasq is down or does not read them in time.
        """
        with self._changing:
            text4, text6 = self._texts(hosts)
            self.dhcp4.set_hosts(text4)
            self.dhcp6.set_hosts(text6)

    def change(self, settings: DhcpSettings) -> None:
        """Go over to other subnets. Raises Invalid when dnsmasq refuses them: then the old stay."""
        with self._changing:
            try:
                self._change(self._plan4(settings), self._plan6(settings))
            except DrophammerError as error:
                self.refused(error.message)
                raise
            self._refused = ""
            self._settings = settings
            if self._watch is not None:
                self._watch.stop()
                self._watch = self._new_watch()

    def refused(self, reason: str) -> None:
        """Tell with the service's state, for as long as that is so, that a change was refused."""
        self._refused = f"A new configuration is not in use: {reason}"
        self.dhcp4.news()

    def _change(self, plan4: Plan, plan6: Plan) -> None:
        self.dhcp4.change(plan4)
        try:
            self.dhcp6.change(plan6)
        except Invalid:
            self.dhcp4.change(self._plan4(self._settings))
            raise

    def _texts(self, hosts: Iterable[KnownHost]) -> tuple[str, str]:
        found = [host if isinstance(host, Host) else Host(*host) for host in hosts]
        text, problems = known.render(found, self._settings, self._own)
        news = sorted(set(problems).difference(self._problems))
        self._problems = tuple(problems)
        for sentence in news[:WRITTEN]:
            log.warning("%s", sentence)
        if len(news) > WRITTEN:
            log.warning("%d more addresses are not kept", len(news) - WRITTEN)
        return text, known.render6(found)

    def _plan4(self, settings: DhcpSettings) -> Plan:
        config = dhcp_config.render(
            settings, places=self._places, files=DhcpFiles.below(self._folder), account=_account()
        )
        proxy = any(subnet.mode == PROXY for subnet in settings.served)
        ports = (DHCP4, PXE) if proxy else (DHCP4,)
        names = ", ".join(f"{subnet.name} ({subnet.mode})" for subnet in settings.served)
        if not names:
            return Plan(Expected(OFF, "no subnet has DHCP from here"), config, Ports((), ports))
        return Plan(Expected(ON, f"subnets {names}"), config, Ports(settings.interfaces, ports))

    def _plan6(self, settings: DhcpSettings) -> Plan:
        config = dhcp6_config.render(
            settings,
            places=self._places,
            files=DhcpFiles.below(self._folder / "v6"),
            account=_account(),
        )
        interfaces = tuple(dict.fromkeys(subnet.interface for subnet in settings.served6))
        asked = any(subnet.ipv6 and subnet.ipv6.mode != ADVERTISE for subnet in settings.served6)
        ports = Ports(interfaces, (DHCP6,) if asked else (), socket.AF_INET6)
        if not interfaces:
            return Plan(Expected(OFF, "no subnet has an ipv6_prefix"), config, ports, asked)
        return Plan(Expected(ON, f"IPv6 on {', '.join(interfaces)}"), config, ports, asked)

    def _notes(self) -> str:
        watch = self._watch
        problems, more = self._problems[:NAMED], len(self._problems) - NAMED
        rest = (f"{more} more addresses are not kept; the log names them.",) if more > 0 else ()
        refused = (self._refused,) if self._refused else ()
        return " ".join([*refused, *(watch.sentences() if watch else ()), *problems, *rest])

    def _new_watch(self) -> Watch:
        served = [subnet for subnet in self._settings.served if subnet.mode == SERVER]
        own = [self._own, *(one.next_server for one in served if one.next_server)]
        watch = Watch(
            tuple(dict.fromkeys(subnet.interface for subnet in served)),
            self._namespace,
            ours=own,
            probe_seconds=self._settings.probe_interval,
            told=self._spotted,
        )
        watch.start()
        return watch

    def _spotted(self, sighting: Sighting) -> None:
        self._foreign(sighting)
        self.dhcp4.news()

    def _heard(self, line: str) -> None:
        event = self._log.read(line)
        if event is not None:
            self._seen(event)
        else:
            _write_down(line)


def _write_down(line: str) -> None:
    if not line.startswith("dnsmasq-dhcp"):
        log.info("%s", line)


def _account() -> Account:
    return Account(
        _name(lambda: pwd.getpwuid(os.geteuid()).pw_name, "user", os.geteuid()),
        _name(lambda: grp.getgrgid(os.getegid()).gr_name, "group", os.getegid()),
    )


def _name(ask: Callable[[], str], kind: str, number: int) -> str:
    try:
        return ask()
    except KeyError:
        raise Invalid(
            f"This process runs with the {kind} id {number}, which has no name here; dnsmasq "
            "needs one."
        ) from None
