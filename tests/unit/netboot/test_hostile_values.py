"""Values that look harmless to one reader and are not to the next."""

from __future__ import annotations

import os
import stat
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from drophammer import engines, schema
from drophammer.errors import Invalid
from drophammer.model import VolumeTarget
from drophammer.netns import Namespace
from drophammer.volumes import _volume
from netboot.dhcp import describe
from netboot.dhcp.packet import Option, Packet, parse
from netboot.dhcp.sightings import Sighting
from netboot.dhcp.watch import Watch
from netboot.services.program_settings import _network
from netboot.settings import _address
from netboot.subnet_values import prefix6


@pytest.mark.parametrize(
    "changes",
    [
        {"target_lun": "1" * 5000},
        {"target_lun": "\u0663"},
        {"target_iqn": "iqn.\u0662\u0660\u0660\u0664-05.com.example:disk"},
        {"target_portal": "172.22.0.9:\u0663\u0662\u0666\u0660"},
        {"auth_method": "CHAP", "auth_username": "\ud800", "auth_password": "secret"},
        {"auth_method": "CHAP", "auth_username": "user", "auth_password": "a\ud800"},
    ],
)
def test_a_volume_takes_plain_digits_and_whole_characters_only(changes: dict[str, Any]) -> None:
    properties = {"target_portal": "172.22.0.9:3260", "target_iqn": "iqn.2004-05.com.example:d"}
    target = VolumeTarget(
        uuid="u", volume_type="iscsi", boot_index=0, properties={**properties, **changes}
    )
    with pytest.raises(Invalid):
        _volume(target)


def test_the_zone_of_an_address_is_any_text_and_refused_before_it_reaches_a_file() -> None:
    with pytest.raises(Invalid, match="zone"):
        _address("address", "fe80::1%a\nport=53")
    with pytest.raises(Invalid, match="zone"):
        prefix6("[netboot]ipv6_prefix", "fd00::%a\nport=53/64")
    with pytest.raises(Invalid, match="network"):
        _network("fe80::%a\nport 1/64")


def test_an_option_of_thousands_of_bytes_is_described() -> None:
    options = (Option(53, b"\1"), Option(57, b"\xff" * 3001))
    packet = Packet(op=1, xid=1, mac=b"\x52\x54\0\0\0\1", options=options)
    lines = describe.message(parse(packet.pack()), "52:54:00:00:00:01")
    assert any("57" in line and "broken" in line for line in lines)


def test_a_database_of_sqlite_is_for_nobody_else_to_read(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        schema.migrate(f"sqlite:///{tmp_path}/db.sqlite")
        engine = engines.engine(f"sqlite:///{tmp_path}/db.sqlite")
        with engine.connect() as connection:
            connection.exec_driver_sql("CREATE TABLE more (x)")
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
        engine.dispose()
    finally:
        os.umask(before)
    assert modes["db.sqlite"] == 0o600
    assert set(modes.values()) == {0o600}


def test_forged_answers_of_a_thousand_servers_are_few_words() -> None:
    told: list[Sighting] = []
    watch = Watch((), Namespace(""), ours=(), probe_seconds=0, told=told.append)
    for number in range(2500):
        card = f"52:54:00:22:00:{number % 40:02x}"
        watch._note(Sighting(IPv4Address(0x0A000000 + number), None, card, "answered"))
    assert len(told) == 100
    assert max(sum(one.client == card for one in told) for card in {t.client for t in told}) == 3
    assert len(watch.sentences()) == 4
    assert watch.sentences()[-1] == "997 more DHCP servers were seen."
    watch.stop()
