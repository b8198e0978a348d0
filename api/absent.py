"""Paths of the API of which this version of Drophammer has nothing yet.

A table only, so that whoever asks for one of them is told so and does not look for
a typing error. A line goes away when its resource comes.
"""

from __future__ import annotations

import re

# Behind /v1/; {} is one part, and all that lies below is meant too.
PATHS = (
    "allocations",
    "deploy_templates",
    "drivers/{}/raid",
    "drivers/{}/vendor_passthru",
    "events",
    "inspection_rules",
    "nodes/{}/allocation",
    "nodes/{}/bios",
    "nodes/{}/children",
    "nodes/{}/firmware",
    "nodes/{}/history",
    "nodes/{}/management/indicators",
    "nodes/{}/management/inject_nmi",
    "nodes/{}/portgroups",
    "nodes/{}/states/boot_mode",
    "nodes/{}/states/console",
    "nodes/{}/states/raid",
    "nodes/{}/states/secure_boot",
    "nodes/{}/traits",
    "nodes/{}/vendor_passthru",
    "nodes/{}/vifs",
    "nodes/{}/vmedia",
    "nodes/{}/volume",
    "portgroups",
    "runbooks",
    "shards",
    "volume",
)
_KNOWN = re.compile(
    "/v1/(" + "|".join(path.replace("{}", "[^/]+") for path in PATHS) + ")(/.*)?", re.DOTALL
)


def missing(path: str) -> str:
    """What to tell of a path that no route has."""
    found = _KNOWN.fullmatch(path)
    if found is None:
        return "The resource could not be found."
    return f"This version of Drophammer does not have /v1/{found[1][:120]} yet."
