"""The short chaos: a minute of it, on real engines. The long one is `make chaos`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(
    not shutil.which("rabbitmqctl") and not Path("/usr/lib/rabbitmq").exists(),
    reason="Debian's rabbitmq-server is not installed; `make test` does that",
)
@pytest.mark.skipif(os.geteuid() != 0, reason="a network of one's own takes root")
def test_nothing_fails_sticks_or_is_lost_or_done_twice_in_a_minute_of_chaos() -> None:
    command = [sys.executable, "-m", "tests.chaos", "--minutes", "1", "--jobs", "10"]
    command += ["--fake", "12", "--machines", "6", "--lab", "0"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "failed 0, stuck 0, lost 0, double 0" in done.stdout
