"""The systemd units in etc/: systemd takes them, and they start what there is to start."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from embedded.serve import parser

UNITS = sorted((Path(__file__).parents[3] / "etc/systemd").glob("*.service"))
INSTALLED = "/opt/drophammer/bin/drophammer"
# systemd's own measure, 0 to 100: 96 is a service without any fence.
EXPOSURE = 30


def service(unit: Path) -> configparser.SectionProxy:
    read = configparser.RawConfigParser(strict=True)
    read.optionxform = str  # type: ignore[assignment, method-assign]
    read.read(unit)
    return read["Service"]


def test_there_is_a_unit_for_each_role_and_one_for_all() -> None:
    roles = ("", "-api", "-conductor", "-netboot")
    assert {unit.stem for unit in UNITS} == {f"drophammer{role}" for role in roles}


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_starts_its_role_with_options_that_exist(unit: Path) -> None:
    program, command, *arguments = service(unit)["ExecStart"].split()
    assert (program, command) == (INSTALLED, "serve")
    options = parser().parse_args(arguments)
    _, _, role = unit.stem.partition("-")
    assert options.role == ((role,) if role else None)
    assert options.config_file[0] == Path("/etc/drophammer/drophammer.conf")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_gives_no_more_rights_than_its_role_needs(unit: Path) -> None:
    said = service(unit)
    assert said["User"] == "drophammer"
    assert said["NoNewPrivileges"] == "yes"
    assert said["ProtectSystem"] == "strict"
    boots = unit.stem in ("drophammer", "drophammer-netboot")
    assert bool(said["CapabilityBoundingSet"]) == boots
    assert said["AmbientCapabilities"] == said["CapabilityBoundingSet"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_takes_the_units_and_finds_them_well_fenced(tmp_path: Path) -> None:
    for unit in UNITS:
        # It wants the program to be there.
        text = unit.read_text().replace(INSTALLED, sys.executable)
        (tmp_path / unit.name).write_text(text)
    units = [str(tmp_path / unit.name) for unit in UNITS]
    verified = analyze("verify", "--man=no", *units)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    fenced = analyze("security", "--offline=true", f"--threshold={EXPOSURE}", *units)
    assert fenced.returncode == 0, fenced.stdout[-2000:]


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", "--no-pager", *arguments], capture_output=True, text=True, check=False
    )
