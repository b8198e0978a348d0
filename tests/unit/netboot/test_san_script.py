"""The script of a machine that boots from a volume."""

from __future__ import annotations

import pytest

from drophammer.errors import Invalid
from drophammer.secret import Secret
from drophammer.volumes import Chap, Volume, Volumes
from netboot.boot import san

NODE = "5d2b8f0a-7f5e-4c9d-9a53-2f1f9d6a7c11"


def volume(index: int = 0, chap: Chap | None = None, lun: int = 1) -> Volume:
    return Volume(
        uuid=f"00000000-0000-4000-8000-00000000000{index}",
        index=index,
        host="172.22.0.9",
        port=3260,
        lun=lun,
        name=f"iqn.2004-05.com.example:disk{index}",
        chap=chap,
    )


def script(*volumes: Volume, chap_allowed: bool = False) -> list[str]:
    found = Volumes("iqn.2026-11.org.drophammer:x", volumes)
    return san.boot(NODE, found, chap_allowed=chap_allowed).splitlines()


def test_the_machine_names_itself_and_boots_its_volume() -> None:
    lines = script(volume())
    assert lines[0] == "#!ipxe"
    assert "set initiator-iqn iqn.2026-11.org.drophammer:x" in lines
    boots = [line for line in lines if line.startswith("sanboot")]
    assert boots == [
        "sanboot --drive 0x80 iscsi:172.22.0.9::3260:1:iqn.2004-05.com.example:disk0 || goto failed"
    ]


def test_a_lun_is_written_in_hexadecimal() -> None:
    assert ":1f:iqn" in volume(lun=31).uri


def test_other_volumes_are_hooked_before_the_first_is_booted() -> None:
    lines = script(volume(0), volume(1), volume(5))
    hooks = [n for n, line in enumerate(lines) if line.startswith("sanhook")]
    assert [lines[n].split()[2] for n in hooks] == ["0x81", "0x85"]
    assert max(hooks) < next(n for n, line in enumerate(lines) if line.startswith("sanboot"))


def test_chap_is_refused_unless_it_was_allowed() -> None:
    secret = Chap("user", Secret("a secret of chap"))
    with pytest.raises(Invalid, match=r"asks for CHAP.*chap_in_boot_scripts") as refused:
        script(volume(chap=secret))
    assert "a secret" not in str(refused.value)


def test_chap_of_one_volume_is_not_used_for_another() -> None:
    secret = Chap("us${er}", Secret("a\nb"))
    lines = script(volume(0), volume(1, secret), chap_allowed=True)
    assert "set password:hex 61:0a:62" in lines
    assert f"set username:hex {b'us${er}'.hex(':')}" in lines
    cleared = len(lines) - 1 - lines[::-1].index("clear password")
    assert lines.index("set password:hex 61:0a:62") < cleared
    assert lines[cleared + 1].startswith("sanboot")
