"""Running commands: one at a time, with the results of the contract."""

import threading

import pytest

from agent.errors import (
    AgentBusy,
    DeviceNotFound,
    ExtensionNotFound,
    InvalidCommand,
    InvalidCommandParams,
    NotFound,
    VersionMismatch,
)
from agent.jobs import Command, Jobs, Then
from tests.patience import PATIENCE


class Scene:
    """Commands that do as the test says."""

    def __init__(self):
        self.release = threading.Event()
        self.ends = []
        self.acted = threading.Event()
        commands = [
            Command("x.sync", lambda progress: "done", sync=True),
            Command("x.object", lambda progress: {"a": 1}, sync=True),
            Command("x.wait", self.wait),
            Command(
                "x.params",
                lambda progress, a, b=None: {"a": a, "b": b},
                required=("a",),
                optional=("b",),
                sync=True,
            ),
            Command("x.fail", self.fail),
            Command("x.version", self.version),
            Command("x.crash", lambda progress: {}["missing"]),
            Command("x.badparams", self.bad, sync=True),
            Command("x.off", lambda progress: Then("off", self.acted.set)),
        ]
        self.jobs = Jobs(commands, lambda: self.ends.append(1))

    def wait(self, progress):
        assert self.release.wait(PATIENCE)
        return "waited"

    def fail(self, progress):
        raise DeviceNotFound("no such disk")

    def version(self, progress):
        raise VersionMismatch("other steps")

    def bad(self, progress):
        raise InvalidCommandParams("no")

    def finished(self, name, **params):
        job = self.jobs.start(name, params)
        assert job.ended.wait(PATIENCE)
        return job.as_wire()


@pytest.fixture
def scene():
    scene = Scene()
    yield scene
    scene.release.set()


def test_a_synchronous_text_is_wrapped(scene):
    result = scene.jobs.start("x.sync", {}).as_wire()
    assert result["command_status"] == "SUCCEEDED"
    assert result["command_result"] == {"result": "done"}
    assert result["command_name"] == "sync"
    assert result["command_error"] is None


def test_an_object_is_not_wrapped(scene):
    assert scene.jobs.start("x.object", {}).as_wire()["command_result"] == {"a": 1}


def test_an_asynchronous_text_is_wrapped_with_the_commands_name(scene):
    scene.release.set()
    assert scene.finished("x.wait")["command_result"] == {"result": "wait: waited"}


def test_a_running_command_has_no_result(scene):
    result = scene.jobs.start("x.wait", {}).as_wire()
    assert (result["command_status"], result["command_result"]) == ("RUNNING", None)


def test_a_second_command_is_refused_while_one_runs(scene):
    scene.jobs.start("x.wait", {})
    with pytest.raises(AgentBusy, match=r"^Agent is busy"):
        scene.jobs.start("x.sync", {})


def test_a_refused_command_leaves_no_trace(scene):
    scene.jobs.start("x.wait", {})
    with pytest.raises(AgentBusy):
        scene.jobs.start("x.sync", {})
    assert len(scene.jobs.all()) == 1


def test_jobs_are_listed_in_the_order_of_their_start(scene):
    for name in ("x.sync", "x.object", "x.sync"):
        scene.jobs.start(name, {})
    assert [job.command.name for job in scene.jobs.all()] == ["x.sync", "x.object", "x.sync"]


def test_a_failed_command_says_why(scene):
    result = scene.finished("x.fail")
    assert result["command_status"] == "FAILED"
    assert result["command_error"] == {
        "type": "DeviceNotFound",
        "code": 500,
        "message": "no such disk",
        "details": "no such disk",
    }


def test_an_unexpected_exception_is_a_failure_and_not_the_end(scene):
    result = scene.finished("x.crash")
    assert result["command_status"] == "FAILED"
    assert result["command_error"]["type"] == "KeyError"
    assert scene.finished("x.sync")["command_status"] == "SUCCEEDED"


def test_other_steps_have_their_own_status(scene):
    assert scene.finished("x.version")["command_status"] == "CLEAN_VERSION_MISMATCH"


@pytest.mark.parametrize("params", [{}, {"a": 1, "c": 2}, {"b": 1}])
def test_missing_and_unknown_parameters_are_refused(scene, params):
    with pytest.raises(InvalidCommandParams):
        scene.jobs.start("x.params", params)
    assert scene.jobs.all() == []


def test_parameters_that_the_command_itself_refuses_leave_no_entry(scene):
    with pytest.raises(InvalidCommandParams):
        scene.jobs.start("x.badparams", {})
    assert scene.jobs.all() == []


@pytest.mark.parametrize("name", ["nodot", "x.", None, 7, {}])
def test_a_name_that_is_no_command_name_is_refused(scene, name):
    with pytest.raises(InvalidCommand):
        scene.jobs.start(name, {})


def test_an_unknown_extension_and_an_unknown_command_are_told_apart(scene):
    with pytest.raises(ExtensionNotFound) as extension:
        scene.jobs.start("y.sync", {})
    with pytest.raises(InvalidCommand) as command:
        scene.jobs.start("x.unknown", {})
    assert (extension.value.code, command.value.code) == (404, 400)


def test_params_must_be_an_object(scene):
    with pytest.raises(InvalidCommand):
        scene.jobs.start("x.sync", [1])


def test_an_unknown_id_is_not_found(scene):
    with pytest.raises(NotFound):
        scene.jobs.get("nobody")


def test_the_end_of_an_asynchronous_command_is_announced(scene):
    scene.finished("x.fail")
    scene.jobs.start("x.sync", {})
    assert scene.ends == [1]


def test_what_follows_a_command_waits_until_its_answer_was_sent(scene):
    job = scene.jobs.start("x.off", {})
    assert job.ended.wait(PATIENCE)
    assert not scene.acted.is_set()
    job.replied.set()
    assert scene.acted.wait(PATIENCE)
