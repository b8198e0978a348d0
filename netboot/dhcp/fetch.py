"""Whether a boot file is to be had: asks for it by TFTP or HTTP, and breaks off at once."""

from __future__ import annotations

import http.client
import socket
import struct
from typing import Any
from urllib.parse import urlsplit

from drophammer.netns import Namespace
from netboot.dhcp.packet import text
from netboot.dhcp.verdict import File

_TFTP_PORT = 69
_RRQ, _DATA, _ERROR, _OACK = 1, 3, 5, 6
_TRIES = 3


def try_file(file: File, namespace: Namespace, seconds: float) -> tuple[bool, str]:
    """(whether it is there, a sentence)."""
    parts = urlsplit(file.url)
    try:
        host = parts.hostname or ""
        if parts.scheme == "http":
            return _http(host, parts.port or 80, file.url, namespace, seconds)
        if parts.scheme == "tftp":
            return _tftp(host, parts.port or _TFTP_PORT, parts.path[1:], namespace, seconds)
        if parts.scheme:
            return False, f"{file} cannot be tried from here: {parts.scheme} is not spoken."
        return _tftp(file.server, _TFTP_PORT, file.name, namespace, seconds)
    except TimeoutError:
        return False, f"{file}: nobody answers within {seconds:g} s; look at the firewall."
    except (OSError, ValueError, http.client.HTTPException) as error:
        return False, f"{file} cannot be had: {error}."


def _http(host: str, port: int, url: str, namespace: Namespace, seconds: float) -> tuple[bool, str]:
    connection = http.client.HTTPConnection(host, port, timeout=seconds)
    connection.sock = namespace.call(lambda: socket.create_connection((host, port), seconds))
    try:
        connection.request("HEAD", urlsplit(url).path or "/")
        answer = connection.getresponse()
        size = answer.getheader("Content-Length", "an unknown number of")
        if answer.status == 200:
            return True, f"{url} is there: {size} bytes over HTTP."
        return False, f"{url} cannot be had: HTTP says {answer.status} {answer.reason}."
    finally:
        connection.close()


def _tftp(
    host: str, port: int, name: str, namespace: Namespace, seconds: float
) -> tuple[bool, str]:
    family, kind, _, _, address = namespace.call(
        lambda: socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    )[0]
    what = f"{name} on {host}"
    request = struct.pack("!H", _RRQ) + b"\0".join([name.encode(), b"octet", b"tsize", b"0", b""])
    with namespace.socket(family, kind) as asker:
        asker.settimeout(seconds / _TRIES)
        answer, peer = _ask(asker, request, address)
        opcode = int.from_bytes(answer[:2], "big")
        if opcode == _ERROR:
            said = text(answer[4:]).rstrip(".") or "an error"
            return False, f"{what} cannot be had by TFTP: {said}."
        # The transfer goes no further: error 0, as firmware does after asking for the size.
        asker.sendto(struct.pack("!HH", _ERROR, 0) + b"only asking\0", peer)
    if opcode == _OACK:
        words = answer[2:].lower().split(b"\0")
        if b"tsize" in words[:-1]:
            return True, f"{what} is there: {text(words[words.index(b'tsize') + 1])} bytes by TFTP."
    if opcode in (_OACK, _DATA):
        return True, f"{what} is there, by TFTP."
    return False, f"{what}: the server says something that is not TFTP."


def _ask(asker: socket.socket, request: bytes, address: Any) -> tuple[bytes, Any]:
    for number in range(_TRIES):
        asker.sendto(request, address)
        try:
            return asker.recvfrom(65535)
        except TimeoutError:
            if number + 1 == _TRIES:
                raise
    raise TimeoutError
