"""What a conductor counts: transitions, steps, calls to machines. ``figures.py`` has the rest."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter, Histogram

from drophammer.errors import DrophammerError
from drophammer.metrics import REGISTRY
from drophammer.model import Step

OK = "ok"
_CALLS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_STEPS = (0.01, 0.1, 0.5, 1, 5, 15, 60, 180, 600, 1800, 3600, 14400)

TRANSITIONS = Counter(
    "drophammer_conductor_transitions",
    "Changes of provision state, by the event that made them.",
    ["event"],
    registry=REGISTRY,
)
STEPS = Histogram(
    "drophammer_conductor_step_seconds",
    "Steps of operations that have ended, waiting included.",
    ["interface", "step", "outcome"],
    buckets=_STEPS,
    registry=REGISTRY,
)
BMC_CALLS = Histogram(
    "drophammer_conductor_bmc_call_seconds",
    "Calls to power controllers (BMCs).",
    ["command", "outcome"],
    buckets=_CALLS,
    registry=REGISTRY,
)
AGENT_CALLS = Histogram(
    "drophammer_conductor_agent_call_seconds",
    "Calls to ramdisk agents.",
    ["command", "outcome"],
    buckets=_CALLS,
    registry=REGISTRY,
)


@contextmanager
def timed(calls: Histogram, command: str) -> Iterator[None]:
    """Count a call to a machine: its outcome is the kind of error that it raised, or ok."""
    began, outcome = time.monotonic(), OK
    try:
        yield
    except DrophammerError as error:
        outcome = type(error).__name__
        raise
    except BaseException:
        outcome = "unexpected"
        raise
    finally:
        calls.labels(command, outcome).observe(time.monotonic() - began)


def step_ended(step: Step, outcome: str, now: datetime.datetime) -> None:
    """Count a step that the journal has as ended."""
    if step.started_at is not None:
        seconds = max(0.0, (now - step.started_at).total_seconds())
        STEPS.labels(step.interface, step.step, outcome).observe(seconds)
