"""What netboot counts: what machines asked for, and what became of it."""

from __future__ import annotations

from prometheus_client import Counter

from drophammer.metrics import REGISTRY
from netboot.content import COMPLETE, PROBED, UNCONFIRMED

REQUESTS = Counter(
    "drophammer_netboot_requests",
    "Requests of machines by protocol and what became of them: complete, unconfirmed (all was "
    "sent, the last acknowledgement did not come), size probe, refused or broken; for DHCP, the "
    "type of the message.",
    ["protocol", "outcome"],
    registry=REGISTRY,
)
_REFUSED = "refused"
_WORDS = {COMPLETE: COMPLETE, PROBED: PROBED, UNCONFIRMED: "unconfirmed"}


def count(protocol: str, outcome: str) -> None:
    """Count a transfer. Why it was refused or broke may hold what a machine made up."""
    word = _REFUSED if outcome.startswith(_REFUSED) else _WORDS.get(outcome, "broken")
    REQUESTS.labels(protocol, word).inc()
