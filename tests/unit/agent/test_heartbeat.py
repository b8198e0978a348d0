"""When the agent beats, and what is in a beat."""

from __future__ import annotations

import queue
import threading
from types import SimpleNamespace
from typing import Any

from agent.heartbeat import Heartbeats
from tests.patience import AT_ONCE, PATIENCE


class Api:
    """The server's side: keeps what it hears."""

    def __init__(self) -> None:
        self.heard: queue.Queue[Any] = queue.Queue()

    def heartbeat(self, uuid: str, url: str, token: str, certificate: str, progress: Any) -> Any:
        self.heard.put(progress)
        return SimpleNamespace(status=202)


def test_a_regular_beat_carries_no_progress_and_those_between_do() -> None:
    api = Api()
    job = SimpleNamespace(
        command=SimpleNamespace(name="deploy.execute_deploy_step"),
        progress=SimpleNamespace(step="write_image", done=7, total=9, message=None),
    )
    found = SimpleNamespace(
        uuid="u", token="t", api=api, progress_interval=0.02, heartbeat_timeout=1.0
    )
    beats = Heartbeats(found, "https://x", "", lambda: job)  # type: ignore[arg-type]
    thread = threading.Thread(target=beats.run)
    thread.start()
    heard = [api.heard.get(timeout=PATIENCE) for _ in range(60)]
    beats.stop()
    thread.join()
    assert heard[0] is None
    told = [one for one in heard if one is not None]
    assert (told[0]["done"], told[0]["step"]) == (7, "write_image")
    # Regular beats go on at 0.3 to 0.6 of the timeout while the command runs.
    assert None in heard[1:]
    assert heard.count(None) < len(told)


def test_the_end_of_a_command_is_told_at_once_even_when_the_next_one_runs() -> None:
    api = Api()
    found = SimpleNamespace(
        uuid="u", token="t", api=api, progress_interval=0, heartbeat_timeout=3600
    )
    beats = Heartbeats(found, "https://x", "", lambda: None)  # type: ignore[arg-type]
    thread = threading.Thread(target=beats.run)
    thread.start()
    assert api.heard.get(timeout=PATIENCE) is None
    beats.nudge()
    assert api.heard.get(timeout=AT_ONCE) is None
    beats.stop()
    thread.join()
