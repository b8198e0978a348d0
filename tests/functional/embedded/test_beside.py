"""Commands that operators run beside the service: whose configuration, and as which user."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from embedded import beside

NOBODY = 65534


def test_the_files_of_the_service_on_this_host_are_read_when_none_is_named(tmp_path: Path) -> None:
    for name in ("netboot.conf", "drophammer.conf", "else.conf"):
        (tmp_path / name).touch()
    found = beside.files([], folder=tmp_path)
    assert [path.name for path in found] == ["drophammer.conf", "netboot.conf"]
    assert beside.files([Path("mine")], folder=tmp_path) == [Path("mine")]
    assert beside.files([], tmp_path / "other", folder=tmp_path) == []
    assert beside.files([], folder=tmp_path / "absent") == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_goes_on_as_the_user_whose_folder_it_is(tmp_path: Path) -> None:
    os.chown(tmp_path, NOBODY, NOBODY)
    program = (
        "import os, sys; from pathlib import Path; from embedded import beside\n"
        "beside.become_owner(Path(sys.argv[1]))\n"
        "print(os.getresuid(), os.getresgid(), os.getgroups())"
    )

    def who(path: Path) -> str:
        return subprocess.run(
            [sys.executable, "-c", program, path], capture_output=True, text=True, check=True
        ).stdout.strip()

    ids = f"({NOBODY}, {NOBODY}, {NOBODY})"
    assert who(tmp_path / "not" / "there yet") == f"{ids} {ids} [{NOBODY}]"
    assert who(Path("/etc")).startswith("(0, 0, 0)")
