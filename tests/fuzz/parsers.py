"""Everything here that reads what strangers send, as functions of bytes: each either returns or
raises a domain error, whatever it is given. Adding a parser is one line in ``PARSERS``.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

from drophammer import bootspec, cmdline
from drophammer.errors import DrophammerError
from netboot import paths, stages
from netboot.archives import package
from netboot.archives import tar as tars
from netboot.archives.inflate import Inflated
from netboot.archives.member import Limits
from netboot.content import clean_path
from netboot.dhcp import frames, ipxe, options, packet, packet6
from netboot.importing import settingsfile
from netboot.importing.sources import streamdata
from netboot.resources import names
from netboot.services import dhcp_log, http_request, tftp_options, tftp_packet
from ramdisk import archives as initramfs

SMALL = Limits(packed=1 << 16, unpacked=1 << 18, ratio=100, members=50)
SMALL_INITRAMFS = initramfs.Limits(members=200, size=1 << 18)
EXPECTED = (DrophammerError, http_request.BadHead)
"""What a parser may raise."""


@dataclass(frozen=True)
class Parser:
    """One of them: what it reads, and a few whole examples to begin from."""

    read: Callable[[bytes], object]
    seeds: tuple[bytes, ...] = ()


def _dhcp(data: bytes) -> object:
    found = packet.parse(data)
    if packet.parse(found.pack()).options != found.options:
        raise AssertionError("what was written is read as something else")
    readers = {93: options.architectures, 94: options.interface, 97: options.machine_id,
               61: options.client_id, 77: options.user_classes, 175: ipxe.parse}  # fmt: skip
    for option in found.options:
        if option.code in readers:
            readers[option.code](option.data)
    return options.message_type(found)


def _dhcp6(data: bytes) -> object:
    found = packet6.parse(data)
    return packet6.addresses(found), packet6.status(found)


def _tftp(data: bytes) -> object:
    asked = tftp_packet.parse_request(data)
    clean_path(asked.filename)
    return tftp_options.negotiate(asked.options, tftp_options.Limits(), 1000, ipv6=False)


def _package(data: bytes) -> object:
    return package.files(io.BytesIO(data), lambda name: True, SMALL)


def _tar(data: bytes) -> object:
    source = Inflated(io.BytesIO(data), SMALL)
    return [member for member, content in tars.members(source)]


def _initramfs(data: bytes) -> object:
    file = io.BytesIO(data)
    found = initramfs.scan(file, SMALL_INITRAMFS)
    return [
        content.whole()
        for archive in found
        for _member, content in initramfs.members(file, archive)
    ]


def _cmdline(data: bytes) -> object:
    found = cmdline.parse(data.decode("latin-1"))
    if cmdline.parse(cmdline.compose(found.words)) != found:
        raise AssertionError("what was composed is read as something else")
    return found


def _stream(data: bytes) -> object:
    document = streamdata.document(data, "stream")
    return streamdata.paths(document), list(streamdata.products(document))


def _text(read: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda data: read(data.decode("utf-8", "surrogateescape"))


# Op, hardware, 12 empty fields; then options 53, 57, 93, 94, 60, 55 and the end.
_DISCOVER = (
    b"\x01\x01\x06\x00"
    + bytes(232)
    + bytes.fromhex(
        "63825363 350101 390205c0 5d020000 5e03010201 3c09505845436c69656e74 37040103060f ff"
    )
)

PARSERS: dict[str, Parser] = {
    "dhcp": Parser(_dhcp, (_DISCOVER,)),
    "dhcp6": Parser(_dhcp6, (bytes.fromhex("01abcdef0001000a00030001525400220001"),)),
    "frame": Parser(frames.unwrap, (frames.wrap(b"payload"),)),
    "ipxe option": Parser(ipxe.parse, (bytes.fromhex("b105011af41000eb03010000"),)),
    "tftp": Parser(_tftp, (b"\0\x01pxelinux.0\0octet\0tsize\x000\0blksize\x001468\0",)),
    "http": Parser(http_request.parse_head, (b"GET /boot.ipxe?mac=1 HTTP/1.1\r\nHost: a",)),
    "package": Parser(_package, (b"!<arch>\n", b"\xed\xab\xee\xdb")),
    "tar": Parser(_tar),
    "initramfs": Parser(_initramfs, (b"070701" + b"0" * 104,)),
    "command line": Parser(_cmdline, (b'a="b c" -- d',)),
    "stream": Parser(_stream, (b'{"format": "products:1.0", "products": {}}',)),
    "path": Parser(_text(lambda text: paths.wanted(clean_path(text), {})), (b"grub/grub.cfg",)),
    "stage": Parser(_text(lambda text: stages.report({"stage": text, "outcome": "failed"}))),
    "image name": Parser(_text(names.place), (b"ubuntu/amd64/generic/xenial/daily/boot-kernel",)),
    "resource URL": Parser(_text(names.parse_url), (b"resource:///ubuntu/amd64/a/b/c/d",)),
    "kernel parameters": Parser(
        _text(lambda text: bootspec.check_parameters(text, "parameters")), (b"a=b quiet",)
    ),
    "file URL": Parser(
        _text(lambda text: bootspec.check_file_url(text, "kernel")), (b"file:///a", b"http://a/b")
    ),
    "settings file": Parser(
        _text(lambda text: settingsfile.parse(text, "file")), (b"ARCHES='amd64 i386'\n",)
    ),
    "log of dnsmasq": Parser(
        _text(lambda text: dhcp_log.DhcpLog().read(text)),
        (b"dnsmasq-dhcp: 1 DHCPDISCOVER(br0) 52:54:00:22:00:01",),
    ),
}


def read(name: str, data: bytes) -> None:
    """Give ``data`` to the parser ``name``; raises what it should not have raised."""
    try:
        PARSERS[name].read(data)
    except EXPECTED:
        pass
