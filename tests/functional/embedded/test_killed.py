"""kill -9 of the whole service while machines are in all kinds of work: all of it is done."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from drophammer.store import Store
from tests.functional.embedded.work import (
    add_nodes,
    begin,
    check,
    much_at_work,
    take_no_time,
    take_time,
    until_done,
)


def test_all_work_is_done_after_a_kill_without_a_hand(
    serve: Any, config: Path, tmp_path: Path
) -> None:
    take_time(config)
    (tmp_path / "state").mkdir()
    store = Store(f"sqlite:///{tmp_path}/state/drophammer.sqlite")
    store.migrate()
    nodes = add_nodes(store)
    first = serve("--no-netboot")
    first.until("Ctrl-C stops it.")
    for uuid, (verb, more, _) in nodes.items():
        begin(first.url, uuid, verb, more)
    first.stop(signal.SIGKILL)
    assert much_at_work(store)
    take_no_time(config)
    second = serve("--no-netboot")
    second.until("Ctrl-C stops it.")
    until_done(second.url, nodes)
    second.stop()
    check(store)
    store.close()
