"""The wheel, installed alone into a fresh virtualenv, has everything and serves."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import tarfile
import time
import venv
import zipfile
from pathlib import Path

import pytest

from tests.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with wheel and sdist, built from what git has (or would have)."""
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(out), str(ROOT)],
        check=True,
        capture_output=True,
        timeout=300,
    )
    return out


def packaged(names: list[str]) -> set[str]:
    return {name for name in names if not name.endswith(".pyc")}


@pytest.mark.timeout(400)
def test_wheel_and_sdist_hold_every_file_of_every_package(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    (sdist,) = built.glob("*.tar.gz")
    inside = packaged(zipfile.ZipFile(wheel).namelist())
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    for package in (
        "drophammer",
        "api",
        "conductor",
        "agent",
        "netboot",
        "ramdisk",
        "embedded",
        "lab",
    ):
        files = [
            str(path.relative_to(ROOT))
            for path in (ROOT / package).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        ]
        assert [name for name in files if name not in inside] == []
        assert [name for name in files if name not in in_sdist] == []
    top = {name.partition("/")[0] for name in inside}
    assert "tests" not in top


@pytest.mark.timeout(600)
def test_the_wheel_installs_and_serves(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=True)
    subprocess.run(
        [environment / "bin/python", "-m", "pip", "install", "--quiet", str(wheel)],
        check=True,
        timeout=400,
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [
            environment / "bin/drophammer",
            "serve",
            "--no-netboot",
            "--state-dir",
            tmp_path / "state",
            "--listen",
            f"127.0.0.1:{port}",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "LANG": "C"},
    )
    assert process.stdout is not None
    output = b""
    end = time.monotonic() + PATIENCE
    while b"Ctrl-C stops it." not in output and time.monotonic() < end:
        if select.select([process.stdout], [], [], 0.5)[0]:
            chunk = os.read(process.stdout.fileno(), 65536)
            if not chunk:
                break
            output += chunk
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=PATIENCE)
    assert b"Ctrl-C stops it." in output, output.decode()
    assert process.returncode == 0, (output + rest).decode()
