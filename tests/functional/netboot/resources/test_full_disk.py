"""A disk that is really full, at whatever step of an import: a sentence, and nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.functional.netboot.resources import full_disk

ROOT = Path(__file__).resolve().parents[4]
_MOUNT = 'mount -t tmpfs -o size=8m,nr_inodes=3000 tmpfs "$1" && shift && exec "$@"'


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small disk")
@pytest.mark.seed("s50")
@pytest.mark.parametrize("lacking", ["blocks", "inodes"])
def test_a_disk_with_less_room_than_an_import_needs_changes_nothing(
    tmp_path: Path, lacking: str
) -> None:
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _MOUNT, "sh"]
    command += [str(tmp_path), sys.executable, full_disk.__file__, str(tmp_path), lacking]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no mount here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    failed_at = {line.partition("/")[0] for line in done.stdout.splitlines()}
    assert failed_at >= {"writing ubuntu", "writing bootloader", "building a snapshot"}
