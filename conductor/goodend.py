"""How an operation ends all of whose steps are done: where that takes the node."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from conductor import report, rescuing
from conductor.plans import FLOWS
from conductor.task import Ended, Ending, Task, values_of
from drophammer import operations, states
from drophammer.text import readable


def good_end(task: Task, ended: Sequence[Ended] = ()) -> Ending:
    """The end, with the steps that were done last if that is not journalled yet.

    Of an operation that had to take a way back, that is the end of that way.
    """
    flow = FLOWS[task.operation.flow]
    events = task.events(ended)
    state = functools.reduce(states.next_state, events, task.node.provision_state)
    if state == states.CLEANING and task.node.retired:
        events.append("manage")
    elif flow.done is not None:
        events.append(flow.done)
    values = values_of(ended)
    if flow.history == "rescue":
        values |= rescuing.without_password(task.node)
    error = task.operation.error
    if error is None:
        return Ending(events, operations.DONE, values, last=ended)
    arrived = functools.reduce(states.next_state, events, task.node.provision_state)
    told = report.outcome(task, arrived, values, aborted=True)
    return Ending(events, operations.ABORTED, values, readable(f"{error} {told}"), ended)
