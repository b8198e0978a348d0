"""What follows from a controller's answer, or from its silence. Asks and writes nothing itself.

How often a controller has been silent is known to this process only: whoever polls a
node after it begins to count anew.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable
from dataclasses import dataclass

from conductor import report
from conductor.settings import Settings
from drophammer import states
from drophammer.errors import DrophammerError
from drophammer.model import Node
from drophammer.powerstates import POWER_FAILURE, Finding

LOG = logging.getLogger(__name__)
_KNOWN = (states.POWER_ON, states.POWER_OFF)

# A power state, or why there is none.
Answer = str | DrophammerError


@dataclass(frozen=True)
class _Silence:
    times: int
    since: datetime.datetime


class Verdicts:
    """What is to be made of answers; remembers the silent ones, and those that do not obey.

    ``switch(node_id, target)`` begins a power operation.
    """

    def __init__(self, settings: Settings, switch: Callable[[int, str], None]) -> None:
        self._settings = settings
        self._switch = switch
        # By the node's id: silent without a fault yet; since when with one; how often told.
        self._silent: dict[int, _Silence] = {}
        self._failed: dict[int, datetime.datetime] = {}
        self._switched: dict[int, int] = {}

    def answers(self, node: Node) -> bool:
        """Whether its controller answered the last time, as far as is known."""
        return node.id not in self._silent

    def of(self, node: Node, answer: Answer, now: datetime.datetime) -> Finding | None:
        """What is to be written; None when nothing has changed."""
        if isinstance(answer, DrophammerError):
            return None if node.fault == POWER_FAILURE else self._silence(node, answer, now)
        self._silent.pop(node.id, None)
        if node.fault == POWER_FAILURE:
            return self._recovery(node, answer, now)
        if answer == node.power_state:
            self._switched.pop(node.id, None)
            return None
        if self._settings.force_power_state and self._forced(node, answer):
            return None
        return Finding(node, {"power_state": answer}, self._drift(node, answer))

    def written(self, finding: Finding, now: datetime.datetime) -> None:
        """Take note that a finding counts."""
        node_id = finding.node.id
        if finding.values.get("fault") is not None:
            silence = self._silent.pop(node_id, None)
            self._failed[node_id] = silence.since if silence is not None else now
        else:
            self._failed.pop(node_id, None)
            self._switched.pop(node_id, None)

    def forget_others(self, asked: set[int], *, failed: bool) -> None:
        """Forget the nodes that were not asked in a whole round: they are gone, or another's."""
        for memory in (self._failed,) if failed else (self._silent, self._switched):
            for node_id in memory.keys() - asked:
                memory.pop(node_id, None)

    def _silence(
        self, node: Node, error: DrophammerError, now: datetime.datetime
    ) -> Finding | None:
        before = self._silent.get(node.id)
        silence = _Silence(before.times + 1 if before else 1, before.since if before else now)
        self._silent[node.id] = silence
        if silence.times <= self._settings.power_sync_retries or node.fault:
            return None  # Not yet, or it has a fault of another kind already.
        every = self._settings.power_recovery_interval
        text = report.power_failure(node, error, silence.times, silence.since, now, every)
        LOG.warning("node %s: %s", node.uuid, text)
        values: dict[str, str | None] = {"fault": POWER_FAILURE}
        if not node.last_error:
            values["last_error"] = text
        return Finding(node, values, text, (now - silence.since).total_seconds())

    def _recovery(self, node: Node, state: str, now: datetime.datetime) -> Finding:
        since = self._failed.get(node.id)
        values: dict[str, str | None] = {"fault": None, "power_state": state}
        if (node.last_error or "").startswith(report.POWER_FAILURE_BEGINS):
            values["last_error"] = None
        text = f"The power controller answers again; {self._drift(node, state)}."
        LOG.info("node %s: %s", node.uuid, text)
        silent = 0.0 if since is None else (now - since).total_seconds()
        return Finding(node, values, text, silent)

    def _drift(self, node: Node, state: str) -> str:
        found = state.removeprefix("power ")
        if node.power_state == state:
            return f"the machine is {found}, as before"
        if node.power_state not in _KNOWN:
            return f"the machine was found {found}"
        text = (
            f"the machine was found {found}; it had been {node.power_state.removeprefix('power ')}"
        )
        told = self._switched.get(node.id)
        if told is None:
            return text
        return f"{text}. It was switched back {told} times in vain and is left so now"

    def _forced(self, node: Node, answer: str) -> bool:
        """Switch the machine back to what its row says. False when that is not to be tried."""
        tries = self._switched.get(node.id, 0)
        wanted = node.power_state
        if (
            wanted not in _KNOWN
            or answer not in _KNOWN
            or tries >= self._settings.power_sync_retries
        ):
            return False
        self._switched[node.id] = tries + 1
        try:
            self._switch(node.id, wanted)
        except DrophammerError as error:
            LOG.warning("node %s: not switched back: %s", node.uuid, error.message)
        return True
