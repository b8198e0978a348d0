"""What the API counts: requests, and who follows the events."""

from __future__ import annotations

import functools

from prometheus_client import Histogram

from drophammer.metrics import REGISTRY, Asked

_NONE = "none"
_REQUESTS = Histogram(
    "drophammer_api_request_seconds",
    "Requests by route and class of status, and how long each took.",
    ["method", "route", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=REGISTRY,
)
FOLLOWERS = Asked("drophammer_api_event_listeners", "Clients that follow the event stream.")


def count(name: str | None, status: int, seconds: float) -> None:
    """Count a request that ``name``, "METHOD /path/{part}", has answered; None: no route did."""
    _requests(name, status // 100).observe(seconds)


@functools.cache
def _requests(name: str | None, hundreds: int) -> Histogram:
    """Looked up once: what finds a metric by its labels costs more than to count."""
    method, _, route = (name or f"{_NONE} {_NONE}").partition(" ")
    return _REQUESTS.labels(method, route, f"{hundreds}xx")
