"""Heartbeats that the conductor does not take, and the beat after a command."""

import queue
import threading

import pytest

from agent.cmdline import Options
from agent.conductor import ConductorApi
from agent.heartbeat import Heartbeats
from agent.lookup import find_node
from tests.patience import AT_ONCE, PATIENCE


@pytest.fixture
def beats(conductor):
    options = Options({})
    found = find_node([ConductorApi(options, conductor.url)], ["aa"], options)
    beats = Heartbeats(found, "http://127.0.0.1:1", "", lambda: None, error_pause=(0.01, 0.02))
    thread = threading.Thread(target=beats.run)

    def start():
        thread.start()
        return beats

    yield start
    beats.stop()
    thread.join(PATIENCE)
    assert not thread.is_alive()


@pytest.mark.parametrize("status", [400, 409, 503])
def test_a_beat_that_is_not_taken_is_sent_again(conductor, beats, status):
    conductor.heartbeat_statuses = [status, status]
    beats()
    for _ in range(3):
        conductor.heartbeats.get(timeout=PATIENCE)


def test_after_a_beat_that_was_taken_there_is_a_pause(conductor, beats):
    beats()
    conductor.heartbeats.get(timeout=PATIENCE)
    with pytest.raises(queue.Empty):
        conductor.heartbeats.get(timeout=0.3)


def test_a_nudge_sends_a_beat_at_once(conductor, beats):
    running = beats()
    conductor.heartbeats.get(timeout=PATIENCE)
    running.nudge()
    conductor.heartbeats.get(timeout=AT_ONCE)


def test_a_nudge_whose_beat_was_lost_is_made_up_for(conductor, beats):
    running = beats()
    conductor.heartbeats.get(timeout=PATIENCE)
    conductor.heartbeat_statuses = [409, 202]
    running.nudge()
    for _ in range(2):
        conductor.heartbeats.get(timeout=PATIENCE)


def test_a_look_without_a_command_sends_nothing(conductor, beats):
    running = beats()
    conductor.heartbeats.get(timeout=PATIENCE)
    running.look()
    with pytest.raises(queue.Empty):
        conductor.heartbeats.get(timeout=0.3)
