"""What must not be done to a machine twice: the marks around it, and what is read from them."""

from __future__ import annotations

from typing import Any

import pytest

from conductor.begin import begin
from conductor.once import once
from conductor.task import Task
from drophammer.errors import HardwareError, Unavailable


class Controller:
    """Counts what it is told; ``fault`` is raised in place of the first answer."""

    def __init__(self, fault: BaseException | None = None) -> None:
        self.told = 0
        self.fault = fault

    def __call__(self) -> None:
        self.told += 1
        fault, self.fault = self.fault, None
        if fault is not None:
            raise fault


def begun(scene: Any) -> Any:
    """A manual cleaning in its first step, on which nobody works yet."""
    steps = [{"interface": "bios", "step": "factory_reset", "args": {}}]
    return begin(
        scene.start().box,
        scene.node("manageable"),
        verb="clean",
        flow="manual clean",
        event="clean",
        request={"clean_steps": steps},
        check=lambda node: {},
    )


def taken_up(task: Any) -> Any:
    """The same work by whoever goes on with it, from what is journalled."""
    task.release()
    again = Task.resume(task.box, task.node.id, "test")
    assert again is not None
    return again


def test_what_is_over_is_not_done_again_on_later_visits(scene: Any) -> None:
    task, controller = begun(scene), Controller()
    once(task, task.step(), "flash it", controller)
    task = taken_up(task)
    once(task, task.step(), "flash it", controller)
    assert controller.told == 1
    task.release()


def test_two_things_of_one_step_are_kept_apart(scene: Any) -> None:
    task, first, second = begun(scene), Controller(), Controller()
    for _ in range(2):
        once(task, task.step(), "delete its volumes", first)
        once(task, task.step(), "build its volumes", second)
    assert (first.told, second.told) == (1, 1)
    task.release()


@pytest.mark.parametrize(("answer", "told"), [(True, 1), (False, 2)])
def test_a_controller_that_knows_is_asked(scene: Any, answer: bool, told: int) -> None:
    task, controller = begun(scene), Controller(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        once(task, task.step(), "flash it", controller)
    task = taken_up(task)
    for _ in range(2):
        once(task, task.step(), "flash it", controller, done=lambda: answer)
    assert controller.told == told
    task.release()


def test_where_nobody_knows_it_is_said_what_was_sent_and_when(scene: Any) -> None:
    task, controller = begun(scene), Controller(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        once(task, task.step(), "flash it", controller)
    task = taken_up(task)
    with pytest.raises(HardwareError, match=r"was told to flash it .*bios\.factory_reset.* at 20"):
        once(task, task.step(), "flash it", controller)
    assert controller.told == 1
    task.release()


def test_what_was_refused_for_now_was_not_begun(scene: Any) -> None:
    task, controller = begun(scene), Controller(Unavailable("try again"))
    with pytest.raises(Unavailable):
        once(task, task.step(), "flash it", controller)
    task = taken_up(task)
    once(task, task.step(), "flash it", controller)
    assert controller.told == 2
    task.release()
