"""Programs that are run for their answer, and misbehave: a clear error, in time and little room."""

from __future__ import annotations

import os
import resource
import signal
import time
from pathlib import Path

import pytest

from drophammer.errors import DeadlineExceeded, Unavailable
from netboot.services.command import run
from tests.patience import AT_ONCE, PATIENCE, until


def test_a_program_that_prints_without_end_costs_no_memory() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    script = "head -c 100000000 /dev/urandom; head -c 100000000 /dev/urandom >&2; exit 3"
    with pytest.raises(Unavailable, match="ended with code 3: ") as told:
        run(["sh", "-c", script], seconds=60, package="dash")
    assert len(told.value.message) < 2000
    assert told.value.message.isprintable()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000


def test_what_a_program_prints_is_given_whole_up_to_a_megabyte() -> None:
    assert run(["sh", "-c", "seq 100000"], seconds=60, package="dash").endswith("\n100000\n")
    assert len(run(["sh", "-c", "head -c 3000000 /dev/zero"], seconds=60, package="d")) == 1 << 20


def test_a_program_whose_child_got_away_with_its_output_is_not_waited_for(tmp_path: Path) -> None:
    note, asleep = tmp_path / "pid", f"exec sleep {PATIENCE:.0f}"
    note.touch()
    script = f"setsid sh -c 'echo $$ > {note}; {asleep}' & {asleep}"

    def away() -> str:
        begun = time.monotonic()
        with pytest.raises(DeadlineExceeded, match=r"did not come to an end within 0\.5 s"):
            run(["sh", "-c", script], seconds=0.5, package="dash")
        assert time.monotonic() - begun < AT_ONCE
        return note.read_text()

    # Again, if the machine stood still for so long that nobody got away.
    os.kill(int(until(away)), signal.SIGKILL)
