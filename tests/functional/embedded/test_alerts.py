"""The alert rules in etc/ ask for metrics, labels and values that there are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import api.metrics
import conductor.figures
import conductor.metrics
import netboot.metrics
from drophammer import errors
from drophammer.metrics import REGISTRY

FILE = Path(__file__).parents[3] / "etc/prometheus/drophammer.rules.yml"
RULES: list[dict[str, Any]] = yaml.safe_load(FILE.read_text())["groups"][0]["rules"]
DECLARED = (api.metrics, conductor.metrics, conductor.figures, netboot.metrics)
# Of Prometheus itself.
EVERYWHERE = {"job", "instance", "le"}
VALUES = {
    "status": {"5xx"},
    "outcome": {"failed", "broken", *errors.by_name()},
    "place": {"running", "queued", "later"},
    "method": {"GET"},
    "route": {"/v1/events"},
}


def known() -> dict[str, set[str]]:
    """Every sample that a process may export, with its labels."""
    found: dict[str, set[str]] = {"up": set()}
    for collector, names in REGISTRY._collector_to_names.items():
        labels = getattr(collector, "_labelnames", None) or getattr(collector, "_labels", ())
        for name in names:
            found[name] = set(labels)
    for family in REGISTRY.collect():
        for sample in family.samples:
            found.setdefault(sample.name, set(sample.labels))
    return found


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_what_is_exported(rule: dict[str, Any]) -> None:
    assert DECLARED
    assert rule["annotations"]["summary"]
    expression = rule["expr"]
    assert expression.count("(") == expression.count(")")
    asked = re.findall(r"\b((?:drophammer|process)_\w+|up)\b(?:\{([^}]*)\})?", expression)
    assert asked
    for name, selector in asked:
        assert name in known(), name
        for label, value in re.findall(r'(\w+)(?:!=|=~|=)"([^"]*)"', selector):
            assert label in known()[name] | EVERYWHERE, (name, label)
            assert label in EVERYWHERE or value in VALUES[label], (label, value)
    labels = {label for name, _ in asked for label in known()[name]} | EVERYWHERE
    for grouped in re.findall(r"\b(?:by|on) ?\(([^)]*)\)", expression):
        assert {label.strip() for label in grouped.split(",")} <= labels


def test_every_alert_has_a_name_of_its_own() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names) > 8
