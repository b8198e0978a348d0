"""What Prometheus is told of: where all roles' metrics are, and those that every role has.

Labels are taken from small, known sets: never a node, a user or an address. Each role
declares its own in its ``metrics.py``; they count for the process, however it is made up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric

MEDIA = "text/plain"
CONTENT_TYPE = f"{MEDIA}; version=0.0.4; charset=utf-8"
REGISTRY = CollectorRegistry()

disable_created_metrics()  # type: ignore[no-untyped-call]
ProcessCollector(registry=REGISTRY)

DROPPED_NOTIFICATIONS = Counter(
    "drophammer_notifications_dropped",
    "Notifications that were not sent, because too many waited or the bus took none.",
    registry=REGISTRY,
)


class Asked:
    """Figures that are asked for when somebody wants to know: a gauge per label's value.

    ``ask`` returns them; whoever has none to give is left out. One at a time has a say,
    the latest: a process has one of each role.
    """

    def __init__(self, name: str, text: str, label: str | None = None) -> None:
        self._name = name
        self._text = text
        self._labels = [] if label is None else [label]
        self._ask: Callable[[], Iterable[tuple[str, float]]] | None = None
        REGISTRY.register(self)

    def answer(self, ask: Callable[[], Iterable[tuple[str, float]]]) -> None:
        """Have ``ask`` answer from now on, with (label's value, figure) each."""
        self._ask = ask

    def forget(self, ask: Callable[[], Iterable[tuple[str, float]]]) -> None:
        """Ask it no more, if it was the one to be asked."""
        if self._ask == ask:
            self._ask = None

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry would ask, and nobody answers yet."""
        return [GaugeMetricFamily(self._name, self._text, labels=self._labels)]

    def collect(self) -> Iterable[Metric]:
        """The figures of this moment."""
        family = GaugeMetricFamily(self._name, self._text, labels=self._labels)
        if self._ask is not None:
            for value, figure in self._ask():
                family.add_metric([value] if self._labels else [], figure)
        yield family


def exposition() -> bytes:
    """All metrics of this process in Prometheus' text form."""
    return generate_latest(REGISTRY)
