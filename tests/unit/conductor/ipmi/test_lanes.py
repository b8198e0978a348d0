"""What becomes of a request in the child, without a BMC."""

from __future__ import annotations

import queue
import time

from conductor.ipmi import commands
from conductor.ipmi.lanes import Lanes
from conductor.ipmi.protocol import Failed, Failure, FromChild, Request
from conductor.ipmi.target import BmcTarget
from drophammer.secret import Secret
from tests.patience import PATIENCE


def test_a_request_that_comes_too_late_is_not_sent_and_no_other_is_blamed() -> None:
    told: queue.Queue[FromChild] = queue.Queue()
    lanes = Lanes(told.put, 0.0)
    target = BmcTarget("192.0.2.1", 623, "admin", Secret("secret"))
    deadline = time.monotonic() + 0.3
    lanes.accept(Request(1, target, (commands.GET_CHASSIS_STATUS,), "always", deadline))
    words = "not sent: the IPMI process got it too late, because this conductor's host is busy"
    assert told.get(timeout=PATIENCE) == Failed(1, Failure("waiting", words))
