"""Which process this is, and whether another one on the same machine still exists.

A host name tells neither: several processes may share one, and so may several
machines. What is compared is the running kernel, the namespace that the process id
counts in, the id, and when the process began (ids are used again).
"""

from __future__ import annotations

import os
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Self

_PROC = Path("/proc")
_DEAD = "ZX"


@dataclass(frozen=True)
class Process:
    """One process life, as others on the same machine can look it up."""

    kernel: str
    namespace: str
    pid: int
    began: int

    @classmethod
    def own(cls) -> Self | None:
        """This process; None where the system does not tell such things."""
        try:
            kernel = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
            namespace = os.readlink(_PROC / "self/ns/pid")
            _, began = _look(os.getpid())
        except (OSError, ValueError, IndexError):
            return None
        return cls(kernel, namespace, os.getpid(), began)

    @classmethod
    def parse(cls, text: str | None) -> Self | None:
        """What ``str()`` of one gave; None for anything else."""
        parts = (text or "").split()
        if len(parts) != 4 or not all(part.isdecimal() for part in parts[2:]):
            return None
        return cls(parts[0], parts[1], int(parts[2]), int(parts[3]))

    def __str__(self) -> str:
        return " ".join(map(str, astuple(self)))

    def is_gone(self, seen_from: Process | None) -> bool:
        """Whether this process has surely ended. False for those that cannot be seen from here."""
        here = (self.kernel, self.namespace)
        if seen_from is None or here != (seen_from.kernel, seen_from.namespace):
            return False
        try:
            state, began = _look(self.pid)
        except FileNotFoundError:
            return True
        except (OSError, ValueError, IndexError):
            return False
        return began != self.began or state in _DEAD


def _look(pid: int) -> tuple[str, int]:
    """(state, when it began) of a process, by proc(5)."""
    # Its name comes first, in parentheses, and may hold anything.
    fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return fields[0], int(fields[19])
