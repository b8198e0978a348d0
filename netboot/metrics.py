"""What netboot counts: what machines asked for, and what became of it."""

from __future__ import annotations

from prometheus_client import Counter

from drophammer.metrics import REGISTRY
from netboot.content import COMPLETE, PROBED

REQUESTS = Counter(
    "drophammer_netboot_requests",
    "Requests of machines by protocol and what became of them: complete, size probe, refused "
    "or broken; for DHCP, the type of the message.",
    ["protocol", "outcome"],
    registry=REGISTRY,
)
_REFUSED = "refused"


def count(protocol: str, outcome: str) -> None:
    """Count a transfer. Why it was refused or broke may hold what a machine made up."""
    if outcome not in (COMPLETE, PROBED):
        outcome = _REFUSED if outcome.startswith(_REFUSED) else "broken"
    REQUESTS.labels(protocol, outcome).inc()
