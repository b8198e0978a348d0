"""Turns this machine off or restarts it, by order or by its power button.

The disks are synced first. The button is heard on the kernel's input devices
(linux/input.h), which is how a BMC's soft power-off arrives.
"""

from __future__ import annotations

import os
import select
import struct
import threading

from agent.console import say
from agent.errors import AgentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_POWER_OFF, _RESTART = 0x4321FEDC, 0x01234567
_EVENT = struct.Struct("llHHi")
_EV_KEY, _KEY_POWER, _KEY_POWER2 = 1, 116, 0x164


def power_off() -> None:
    """Sync and turn the machine off."""
    _reboot(_POWER_OFF, "power off")


def restart() -> None:
    """Sync and restart the machine."""
    _reboot(_RESTART, "restart")


def _reboot(command: int, word: str) -> None:
    say(f"power: {word}")
    os.sync()
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.reboot(ctypes.c_int(command - (1 << 32) if command >> 31 else command)) != 0:
        raise AgentError(f"{word} failed: {os.strerror(ctypes.get_errno())}")


def watch_button(pressed: Callable[[], None], folder: str = "/dev/input") -> bool:
    """Call ``pressed`` from a thread when a power key goes down; False without input devices."""
    fds = []
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    for path in (f"{folder}/{name}" for name in names if name.startswith("event")):
        try:
            fds.append(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError as error:
            say(f"power: {path} cannot be watched: {error.strerror}")
    if not fds:
        return False
    threading.Thread(target=_watch, args=(fds, pressed), name="power-button", daemon=True).start()
    return True


def _watch(fds: list[int], pressed: Callable[[], None]) -> None:
    while fds:
        ready, _, _ = select.select(fds, [], [])
        for fd in ready:
            try:
                data = os.read(fd, 64 * _EVENT.size)
            except OSError:
                data = b""
            if not data:
                os.close(fd)
                fds.remove(fd)
            elif is_power_press(data):
                say("power: the power button was pressed")
                pressed()


def is_power_press(data: bytes) -> bool:
    """Whether input events (struct input_event, back to back) hold a power key going down."""
    whole = len(data) // _EVENT.size * _EVENT.size
    return any(
        kind == _EV_KEY and code in (_KEY_POWER, _KEY_POWER2) and value == 1
        for _, _, kind, code, value in _EVENT.iter_unpack(data[:whole])
    )
