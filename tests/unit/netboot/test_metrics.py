"""What becomes of a transfer, in the words that an operator counts by."""

from __future__ import annotations

import pytest

from drophammer.metrics import REGISTRY
from netboot import metrics
from netboot.content import COMPLETE, PROBED, UNCONFIRMED


@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        (COMPLETE, "complete"),
        (PROBED, "size probe"),
        (UNCONFIRMED, "unconfirmed"),
        ("refused: There is no file 'x'.", "refused"),
        ("the client does not answer", "broken"),
    ],
)
def test_every_outcome_is_counted_under_one_of_few_words(outcome: str, word: str) -> None:
    labels = {"protocol": "tftp", "outcome": word}
    before = REGISTRY.get_sample_value("drophammer_netboot_requests_total", labels) or 0.0
    metrics.count("tftp", outcome)
    assert REGISTRY.get_sample_value("drophammer_netboot_requests_total", labels) == before + 1
