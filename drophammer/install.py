"""Is what Python finds under our plain package names really ours?

``api`` or ``agent`` in site-packages could be somebody else's. The check looks
at where each package is found, without importing it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from drophammer.errors import Invalid

PACKAGES = ("api", "conductor", "netboot", "agent", "ramdisk", "embedded", "lab")


def check(packages: Sequence[str] = PACKAGES) -> None:
    """Raise Invalid, naming the intruder, when a package is not the one beside ``drophammer``."""
    home = Path(__file__).resolve().parent.parent
    for name in packages:
        spec = importlib.util.find_spec(name)
        found = Path(spec.origin).resolve().parent if spec is not None and spec.origin else None
        if found != home / name:
            raise Invalid(
                f"The package '{name}' is found at {found or 'no file'}, not beside drophammer in "
                f"{home}: another package of that name is in the way. Install Drophammer into a "
                "virtualenv of its own."
            )
