"""Which releases are supported and stable."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from netboot.importing import releases

DATA = """version,codename,series,created,release,eol,eol-server,eol-esm
14.04 LTS,Trusty Tahr,trusty,2013-10-17,2014-04-17,2019-04-25,2019-04-25,2024-04-25
15.10,Wily Werewolf,wily,2015-04-23,2015-10-22,2016-07-22
16.04 LTS,Xenial Xerus,xenial,2015-10-22,2016-04-21,2021-04-21,2021-04-21,2026-04-21
16.10,Yakkety Yak,yakkety,2016-04-21,2016-10-13,2017-07-20
,Sid,sid,1993-08-16
"""


@pytest.mark.seed("s44")
def test_distro_info_counts_when_it_is_there(tmp_path: Path) -> None:
    (tmp_path / "ubuntu.csv").write_text(DATA)
    day = datetime.date(2016, 5, 1)
    assert releases.supported("ubuntu", day, tmp_path) == ["trusty", "wily", "xenial", "yakkety"]
    assert releases.stable("ubuntu", day, tmp_path) == "xenial"
    assert releases.supported("ubuntu", datetime.date(2016, 7, 23), tmp_path) == [
        "trusty",
        "xenial",
        "yakkety",
    ]


@pytest.mark.seed("s44")
@pytest.mark.parametrize("content", [None, "", "version,series\n", "\x00\xff", DATA[:60], "a\nb\n"])
def test_a_table_of_our_own_counts_else(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "ubuntu.csv").write_bytes(content.encode("latin-1"))
    day = datetime.date(2026, 11, 21)
    assert releases.supported("ubuntu", day, tmp_path) == ["jammy", "noble", "resolute"]
    assert releases.stable("ubuntu", day, tmp_path) == "resolute"
    assert releases.stable("debian", day, tmp_path) == "trixie"


@pytest.mark.skipif(not releases.DATA.is_dir(), reason="needs distro-info-data")
@pytest.mark.parametrize("system", ["ubuntu", "debian"])
def test_our_table_says_what_distro_info_says(system: str, tmp_path: Path) -> None:
    day = datetime.date(2026, 8, 1)
    assert releases.stable(system, day) == releases.stable(system, day, tmp_path)
