"""The settings of import-netboot: who counts before whom, and what is no settings file."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drophammer.errors import Invalid
from netboot.importing import releases, settingsfile


@pytest.mark.seed("s46", "s47")
def test_defaults_are_those_of_the_user(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    found = settingsfile.read({}, empty)
    assert found.arches == ("amd64", "i386")
    assert found.tftproot == Path("/var/lib/tftpboot")
    assert found.archive == "http://archive.ubuntu.com/ubuntu/dists/"
    assert found.releases == tuple(releases.supported("ubuntu"))
    assert found.current_release == releases.stable("ubuntu")
    assert found.download == ()


@pytest.mark.seed("s46", "s47")
def test_environment_counts_before_the_file_and_that_before_defaults(tmp_path: Path) -> None:
    file = tmp_path / "settings"
    file.write_text(
        "# comment\n\nexport ARCHES='arm64 ppc64el'\nRELEASES=\"xenial trusty\"\n"
        "CURRENT_RELEASE=xenial # the last\nDOWNLOAD='curl --fail -O'\n"
    )
    found = settingsfile.read({"ARCHES": "i386", "RELEASES": "", "HOME": "/x"}, file)
    assert found.arches == ("i386",)
    assert found.releases == ("xenial", "trusty")
    assert found.current_release == "xenial"
    assert found.download == ("curl", "--fail", "-O")


@pytest.mark.seed("s46")
@pytest.mark.parametrize(
    "line",
    [
        "ARCHES=$(touch /tmp/x)",
        "ARCHES=`id`",
        'ARCHIVE="${ARCHIVE:-http://x}"',
        "touch /tmp/x",
        "ARCHES=amd64; touch /tmp/x",
        "ARCHES=amd64 && id",
        "PATH=/tmp",
        "ARCHES=amd64 i386",
        "ARCHES='amd64",
        "source other",
        "arches=amd64",
        "ARCHES=a\\\nb",
    ],
)
def test_a_line_for_a_shell_is_refused_with_its_number(line: str) -> None:
    with pytest.raises(Invalid, match="settings, line 2"):
        settingsfile.parse(f"TFTPROOT=/srv/tftp\n{line}\n", "settings")


def test_files_that_are_none_are_told(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="does not exist"):
        settingsfile.read({}, tmp_path / "none")
    with pytest.raises(Invalid, match="cannot be read"):
        settingsfile.read({}, tmp_path)
    file = tmp_path / "file"
    file.write_bytes(b"ARCHES=\xff")
    with pytest.raises(Invalid, match="UTF-8"):
        settingsfile.read({}, file)
    file.write_bytes(b"#" * 70_000)
    with pytest.raises(Invalid, match="more than 65536"):
        settingsfile.read({}, file)
    with pytest.raises(Invalid, match="absolute"):
        settingsfile.read({"TFTPROOT": "tftp"}, None)
    with pytest.raises(Invalid, match="quotes"):
        settingsfile.read({"DOWNLOAD": "curl 'x"}, None)


@given(st.text(max_size=200))
def test_no_text_crashes_the_parser(text: str) -> None:
    for given_text in (text, f"ARCHES={text}"):
        with contextlib.suppress(Invalid):
            for value in settingsfile.parse(given_text, "settings").values():
                assert not set("$`;&|<>()\\\n") & set(value)
