"""What a step must not do to a machine twice, even if the conductor dies in the middle of it.

For commands of drivers that the conductor itself sends and whose repetition would hurt:
erasing, building volumes, flashing firmware. Switching power and choosing a boot device
may be repeated, and an agent's commands are found again by their ids (``steps/agent.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from drophammer.errors import HardwareError, Unavailable
from drophammer.model import Step

if TYPE_CHECKING:
    from conductor.task import Task


def cannot_tell() -> bool | None:
    """For hardware that cannot be asked what it has done."""
    return None


def once(
    task: Task,
    step: Step,
    what: str,
    send: Callable[[], None],
    *,
    done: Callable[[], bool | None] = cannot_tell,
) -> None:
    """Have ``send`` done when this returns, on however many visits of ``step``.

    ``what`` is for people ("delete the volumes") and tells several calls of one step apart.
    It is journalled before ``send`` that it is being sent, and after it that it is over. A
    visit that finds only the first asks ``done``: True, the hardware has done it; False, it
    surely has not and is not about to, so it is sent again; None, nobody can know, and
    HardwareError says so. ``send`` raises Unavailable when it was not even begun.
    """
    marks = dict(step.cursor.get("once", {}))
    sent, over = marks.get(what, [None, False])
    if over:
        return
    known = False if sent is None else done()
    if known is None:
        raise _unknown(task, step, what, sent)
    if not known:
        sent = task.now().isoformat(timespec="seconds")
        task.note(step, once={**marks, what: [sent, False]})
        try:
            send()
        except Unavailable:
            task.note(step, once=marks)
            raise
    task.note(step, once={**marks, what: [sent, True]})


def _unknown(task: Task, step: Step, what: str, sent: str | None) -> HardwareError:
    return HardwareError(
        f"Node {task.node.uuid} was told to {what} (step {step.interface}.{step.step}) at {sent}, "
        "and the conductor that told it has ended before there was an answer. Whether it was done "
        "is not known, and it is not done twice. Look at the machine (its controller's log, its "
        f"{step.interface} settings), then begin again or go on by hand."
    )
