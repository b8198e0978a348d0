"""One IPMI request to this machine's own BMC over the kernel's device (linux/ipmi.h).

Apart from ``bmc.py`` because ctypes takes its time to import, and most virtual
machines have no such device.
"""

from __future__ import annotations

import ctypes
import fcntl
import select

_SEND = 0x8028690D
_RECEIVE_TRUNCATED = 0xC030690B


class _Message(ctypes.Structure):
    _fields_ = [
        ("netfn", ctypes.c_ubyte),
        ("cmd", ctypes.c_ubyte),
        ("data_len", ctypes.c_ushort),
        ("data", ctypes.c_void_p),
    ]


class _SystemAddress(ctypes.Structure):
    _fields_ = [
        ("kind", ctypes.c_int),
        ("channel", ctypes.c_short),
        ("lun", ctypes.c_ubyte),
    ]


class _Request(ctypes.Structure):
    _fields_ = [
        ("addr", ctypes.c_void_p),
        ("addr_len", ctypes.c_uint),
        ("msgid", ctypes.c_long),
        ("msg", _Message),
    ]


class _Answer(ctypes.Structure):
    _fields_ = [
        ("recv_type", ctypes.c_int),
        ("addr", ctypes.c_void_p),
        ("addr_len", ctypes.c_uint),
        ("msgid", ctypes.c_long),
        ("msg", _Message),
    ]


def exchange(fd: int, netfn: int, command: int, data: bytes, timeout: float) -> bytes | None:
    """The answer from its completion code on; None when there is none within ``timeout`` s."""
    system_interface, bmc_channel = 0x0C, 0x0F
    address = _SystemAddress(system_interface, bmc_channel, 0)
    payload = ctypes.create_string_buffer(data, len(data))
    message = _Message(netfn, command, len(data), ctypes.addressof(payload))
    request = _Request(ctypes.addressof(address), ctypes.sizeof(address), 0, message)
    room = ctypes.create_string_buffer(512)
    sender = ctypes.create_string_buffer(64)
    reply = _Message(0, 0, 512, ctypes.addressof(room))
    answer = _Answer(0, ctypes.addressof(sender), 64, 0, reply)
    try:
        fcntl.ioctl(fd, _SEND, bytes(request))
        if not select.select([fd], [], [], timeout)[0]:
            return None
        fcntl.ioctl(fd, _RECEIVE_TRUNCATED, answer, True)
    except OSError:
        return None
    return bytes(room.raw[: answer.msg.data_len])
