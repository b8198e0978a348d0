"""For those who watch over the service: is it alive, is it fit to work, what has it counted?

Nobody is asked for a password: there are no names, addresses or secrets in the answers.
"""

from __future__ import annotations

from api.call import Call, Reply
from api.endpoint import takes
from api.fields import closed
from drophammer import metrics
from drophammer.errors import Invalid, NotFound
from drophammer.hardware import Hardware

_ALIVE = closed({"alive": {"type": "boolean"}}, required=("alive",))
_READY = closed(
    {
        "ready": {"type": "boolean"},
        "checks": {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
    },
    required=("ready", "checks"),
)


def conductors_trouble(hardware: Hardware) -> str:
    """Why nobody would take a verb; empty when somebody would."""
    return "" if hardware.snapshot().types() else "no conductor is alive"


@takes(reply=_ALIVE)
def alive(call: Call) -> Reply:
    """Tell that this process is alive."""
    return Reply(body={"alive": True})


@takes(query={"only": 1}, reply=_READY, status_too=503)
def ready(call: Call) -> Reply:
    """Tell whether this process is fit to work, and if not, why."""
    health = call.services.health
    wanted = call.query.names("only") or list(health.names)
    strange = [name for name in wanted if name not in health.names]
    if strange:
        raise Invalid(f"only: there is no check {strange[0]!r:.80}; use {', '.join(health.names)}.")
    found = health.check()
    told = {name: found[name] or None for name in wanted}
    fit = not any(told.values())
    return Reply(200 if fit else 503, {"ready": fit, "checks": told})


@takes(reply={"type": "string"}, media=metrics.MEDIA)
def show_metrics(call: Call) -> Reply:
    """Show what this process has counted, for Prometheus."""
    if not call.settings.metrics:
        raise NotFound("Metrics have an address of their own here: [serve] monitor_listen.")
    return Reply(body=metrics.exposition(), headers={"Content-Type": metrics.CONTENT_TYPE})
