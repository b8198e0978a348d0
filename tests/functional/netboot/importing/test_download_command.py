"""DOWNLOAD: the operator's own command, without a shell."""

from __future__ import annotations

import contextlib
import io
import os
import select
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drophammer.errors import DeadlineExceeded, ImageError, Invalid, NotFound, Unavailable
from tests.patience import AT_ONCE, PATIENCE, until

CONTENT = b"kernel" * 10_000


def _get(fetch: Any, url: str, most: int | None = None) -> bytes:
    out = io.BytesIO()
    fetch.fetch(url, out, most)
    return out.getvalue()


def _python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


@pytest.mark.seed("s43")
@pytest.mark.parametrize(
    "command",
    [
        "curl --fail --silent -O",
        "curl -sfO",
        "curl --fail --silent --output {output} {url}",
        "wget --no-verbose",
        "wget -q -O {output} {url}",
    ],
)
def test_curl_and_wget_fetch_from_a_mirror(
    mirror: Any, fetch: Callable[..., Any], command: str
) -> None:
    if not shutil.which(command.split()[0]):
        pytest.skip(f"{command.split()[0]} is not installed")
    mirror.files["/images/linux"] = CONTENT
    made = fetch(download=tuple(command.split()))
    assert _get(made, f"{mirror.url}/images/linux") == CONTENT
    with pytest.raises(NotFound, match="/images/nothing was not found"):
        _get(made, f"{mirror.url}/images/nothing")
    assert made.tag(f"{mirror.url}/images/linux") is None


@pytest.mark.seed("s43")
def test_file_urls_are_held_to_the_allowed_folders_with_a_command_too(
    fetch: Callable[..., Any], tmp_path: Path
) -> None:
    curl = ("curl", "-O", "--silent")
    (tmp_path / "linux").write_bytes(CONTENT)
    assert _get(fetch(download=curl, file_roots=(tmp_path,)), f"file://{tmp_path}/linux") == CONTENT
    with pytest.raises(Invalid, match="allowed only"):
        _get(fetch(download=curl), f"file://{tmp_path}/linux")
    with pytest.raises(NotFound):
        _get(fetch(download=curl, file_roots=(tmp_path,)), f"file://{tmp_path}/nothing")


def test_curl_that_would_keep_an_error_page_is_refused(
    mirror: Any, fetch: Callable[..., Any]
) -> None:
    with pytest.raises(Invalid, match="Add --fail"):
        _get(fetch(download=("curl", "-O", "--silent")), f"{mirror.url}/linux")
    assert mirror.asked == []


def test_no_shell_reads_the_url(fetch: Callable[..., Any], tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    told = "import os, sys; open(os.path.basename(sys.argv[1]), 'w').write(sys.argv[1])"
    url = f"http://host.example/$(touch${{IFS}}{witness});`id`;/linux"
    assert _get(fetch(download=_python(told)), url) == url.encode()
    assert not witness.exists()


@pytest.mark.seed("s45")
@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("import sys; sys.exit('the disk is full')", "exit code 1: the disk is full"),
        ("pass", "left no file 'linux'"),
        ("import os; os.mkdir('linux')", "left no plain file"),
        ("import os; os.symlink('/etc/passwd', 'linux')", "left no plain file"),
        ("import os; os.kill(os.getpid(), 9)", "signal 9"),
        ("open('linux', 'wb').write(b'x' * 200_000)", "more than 100000 bytes|exit code"),
    ],
)
def test_a_command_that_fails_is_named_with_the_file(
    fetch: Callable[..., Any], code: str, sentence: str
) -> None:
    with pytest.raises(ImageError, match=sentence) as caught:
        _get(fetch(download=_python(code)), "http://host.example/linux", 100_000)
    assert "http://host.example/linux" in caught.value.message


def test_a_command_that_hangs_is_ended_with_its_children(
    fetch: Callable[..., Any], tmp_path: Path
) -> None:
    note = tmp_path / "pid"
    code = (
        "import subprocess, time; child = subprocess.Popen(['sleep', '120']); "
        f"open({str(note)!r}, 'w').write(str(child.pid)); time.sleep(120)"
    )
    note.touch()

    def ended() -> str:
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded, match=r"had not ended after 0\.5 s"):
            _get(fetch(download=_python(code), command_timeout=0.5), "http://host.example/linux")
        assert time.monotonic() - began < AT_ONCE
        return note.read_text()

    # Again, if the machine stood still for so long that it had no child yet.
    pid = int(until(ended))
    with contextlib.suppress(ProcessLookupError):
        child = os.pidfd_open(pid)
        assert select.select([child], [], [], PATIENCE)[0], "its child still runs"
        os.close(child)


def test_a_command_that_is_not_there_is_a_sentence(fetch: Callable[..., Any]) -> None:
    with pytest.raises(Unavailable, match="'no-such-program' could not be started"):
        _get(fetch(download=("no-such-program",)), "http://host.example/linux")


def test_nothing_is_left_of_a_download(
    fetch: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(ImageError):
        _get(fetch(download=_python("import sys; sys.exit(1)")), "http://host.example/linux")
    assert os.listdir(tmp_path) == []
