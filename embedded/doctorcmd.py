"""``drophammer doctor``: looks at a network as a booting machine would, and says what it sees."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from drophammer.bootspec import normal_mac
from drophammer.errors import DrophammerError, Invalid
from drophammer.netns import Namespace
from netboot.dhcp import describe, options, personas
from netboot.dhcp.client import Client, Offer
from netboot.dhcp.fetch import try_file
from netboot.dhcp.grammar import INTERFACE, check
from netboot.dhcp.packet import Packet
from netboot.dhcp.personas import PERSONAS, Persona
from netboot.dhcp.verdict import Verdict, judge

LONGEST_WAIT = 3600.0


def main(argv: list[str]) -> int:
    """Exit code 0: such a machine would boot. 1: it would not. 2: a call that makes no sense."""
    given = _parser().parse_args(argv)
    try:
        return int(given.run(given))
    except DrophammerError as error:
        print(f"drophammer doctor: {error.message}", file=sys.stderr)
        return 2 if isinstance(error, Invalid) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="drophammer doctor")
    commands = parser.add_subparsers(dest="command", required=True)
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument("--interface", required=True, help="the interface to look at")
    where.add_argument("--namespace", default="", help="the network namespace it is in")
    dhcp = commands.add_parser(
        "dhcp",
        parents=[where],
        help="ask for DHCP as a machine that boots, show every answer, and try the boot file",
        description="Sends a real DISCOVER, takes no lease. Exit code 0: the machine would boot.",
    )
    dhcp.add_argument(
        "--arch",
        default="bios",
        choices=sorted(PERSONAS),
        help="what kind of machine asks (default: %(default)s)",
    )
    dhcp.add_argument("--ipxe", action="store_true", help="as iPXE, once it runs on that machine")
    dhcp.add_argument("--mac", help="as the machine with this MAC address (default: our own)")
    dhcp.add_argument(
        "--seconds", type=float, default=3.0, help="how long to wait for answers (default: 3)"
    )
    dhcp.set_defaults(run=_dhcp)
    listen = commands.add_parser(
        "listen",
        parents=[where],
        help="show every DHCP message that passes the interface, in plain words",
        description="Sends nothing. Exit code 0: there was a message.",
    )
    listen.add_argument("--mac", help="only messages of the machine with this MAC address")
    listen.add_argument(
        "--seconds", type=float, default=30.0, help="how long to listen (default: 30)"
    )
    listen.set_defaults(run=_listen)
    return parser


def _open(given: argparse.Namespace) -> tuple[Client, Namespace]:
    if not 0 < given.seconds <= LONGEST_WAIT:
        raise Invalid(f"--seconds must be above 0 and at most {LONGEST_WAIT:g}.")
    check(given.interface, "--interface", INTERFACE, 15)
    try:
        namespace = Namespace(given.namespace)
    except ValueError as error:
        raise Invalid(f"--namespace: {error}.") from None
    namespace.check()
    return Client(given.interface, namespace), namespace


def _listen(given: argparse.Namespace) -> int:
    only = normal_mac(given.mac) if given.mac else None
    client, _ = _open(given)
    seen = 0
    try:
        for packet, sender in client.overhear(given.seconds):
            if only in (None, packet.client_mac):
                _show(describe.message(packet, sender))
                seen += 1
    except KeyboardInterrupt:
        pass
    finally:
        client.close()
    print(f"\n{seen} DHCP messages.")
    return 0 if seen else 1


def _dhcp(given: argparse.Namespace) -> int:
    persona = PERSONAS[given.arch]
    if given.ipxe and persona.architecture is None:
        raise Invalid("--ipxe goes with a machine that boots, not with --arch system.")
    client, namespace = _open(given)
    try:
        mac = bytes.fromhex(normal_mac(given.mac).replace(":", "")) if given.mac else client.mac
        return _ask(client, namespace, persona, mac, given)
    finally:
        client.close()


def _ask(
    client: Client, namespace: Namespace, persona: Persona, mac: bytes, given: argparse.Namespace
) -> int:
    what = f"iPXE on {persona.title}" if given.ipxe else persona.title
    print(f"Asking on {given.interface} as {what} with the MAC address {mac.hex(':')} ...")
    xid = int.from_bytes(os.urandom(4), "big")
    packet = personas.discover(persona, mac, xid, ipxe=given.ipxe)
    offers = client.ask(packet, given.seconds)
    for offer in offers:
        _show(describe.answer(offer.packet, offer.mac))
    verdict = judge(persona, offers, ipxe=given.ipxe)
    if verdict.ask is not None:
        verdict = _boot_server(client, persona, packet, offers, verdict, given)
    print()
    for sentence in verdict.sentences:
        print(sentence)
    if not verdict.good or verdict.file is None:
        return 0 if verdict.good else 1
    there, sentence = try_file(verdict.file, namespace, given.seconds)
    print(sentence)
    return 0 if there else 1


def _show(lines: Sequence[str]) -> None:
    first, *rest = lines
    print(f"\n{first}")
    for line in rest:
        print(f"    {line}", flush=True)


def _boot_server(
    client: Client,
    persona: Persona,
    packet: Packet,
    offers: Sequence[Offer],
    verdict: Verdict,
    given: argparse.Namespace,
) -> Verdict:
    """The second question of PXE, to the boot server itself."""
    assert verdict.ask is not None
    print(f"\n{verdict.sentences[-1]}")
    if client.address is None:
        return Verdict(
            False, (f"{given.interface} has no address here, so that server cannot be asked.",)
        )
    question = personas.discover(
        persona, packet.mac, packet.xid, ipxe=given.ipxe, kind=options.REQUEST
    ).sent_from(client.address)
    told = client.ask_boot_server(question, verdict.ask, given.seconds)
    if told is None:
        return Verdict(False, (f"The boot server {verdict.ask} does not answer on port 4011.",))
    again = judge(persona, offers, ipxe=given.ipxe, told=told)
    if again.ask is None:
        return again
    return Verdict(False, (f"The boot server {verdict.ask} names no boot file.",))
