"""HTTP dates, input events, tar archives, URLs and EFI load options."""

import base64
import io
import struct
import tarfile

import pytest

from agent import clock, efi, httpclient, power, tarball
from agent.httpclient import HttpError, Url
from agent.partitions import Partition, Table


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784111777),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Thu, 29 Feb 2024 12:00:00 GMT", 1709208000),
        ("Fri, 01 Mar 2024 12:00:00 GMT", 1709294400),
        ("yesterday", None),
        ("Sun, 06 Foo 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 19x4 08:49:37 GMT", None),
    ],
)
def test_http_dates_are_read(text, seconds):
    assert clock.parse_date(text) == seconds


def event(kind, code, value):
    return struct.pack("llHHi", 0, 0, kind, code, value)


def test_a_power_key_going_down_is_a_press():
    assert power.is_power_press(event(0, 0, 0) + event(1, 116, 1))


@pytest.mark.parametrize("data", [b"", event(1, 116, 0), event(1, 30, 1), event(1, 116, 1)[:-1]])
def test_other_events_are_no_press(data):
    assert not power.is_power_press(data)


def test_a_packed_archive_is_a_tar_gz_that_others_read():
    files = {"a.log": b"x" * 1000, "empty": b""}
    data = base64.b64decode(tarball.packed(files))
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        contents = {}
        for member in archive.getmembers():
            extracted = archive.extractfile(member)
            assert extracted is not None
            contents[member.name] = extracted.read()
    assert contents == files


@pytest.mark.parametrize(
    ("text", "host", "port", "target"),
    [
        ("http://h", "h", 80, "/"),
        ("https://h/a?b=c#d", "h", 443, "/a?b=c"),
        ("http://[fd00::1]:8080/x", "fd00::1", 8080, "/x"),
        ("http://user:pw@h:81?q", "h", 81, "/?q"),
    ],
)
def test_urls_are_taken_apart(text, host, port, target):
    url = Url(text)
    assert (url.host, url.port, url.target) == (host, port, target)


@pytest.mark.parametrize(
    "text", ["ftp://h/", "h/x", "http://", "http://h:x/", "http://h:99999/", "http://h/a b"]
)
def test_a_bad_url_is_refused(text):
    with pytest.raises(HttpError):
        Url(text)


def test_credentials_and_queries_are_not_shown():
    shown = httpclient.without_credentials("https://user:pw@h:81/img?sig=secret")
    assert shown == "https://h:81/img"


@pytest.mark.parametrize(
    ("location", "absolute"),
    [
        ("https://other/x", "https://other/x"),
        ("//other/x", "http://other/x"),
        ("/y", "http://h:81/y"),
        ("y", "http://h:81/a/y"),
    ],
)
def test_redirects_may_be_relative(location, absolute):
    assert Url("http://h:81/a/b?c").joined(location) == absolute


def test_a_load_option_names_the_partition_and_the_file():
    part = Partition(1, 1 << 20, 8 << 20, kind="", uuid="11223344-5566-7788-99aa-bbccddeeff00")
    option = efi.load_option(part, Table("gpt", "", []), ["EFI", "BOOT", "BOOTX64.EFI"], 512)
    attributes, path_length = struct.unpack("<IH", option[:6])
    label = "Drophammer\0".encode("utf-16-le")
    assert attributes == 1
    assert option[6 : 6 + len(label)] == label
    path = option[6 + len(label) :]
    assert len(path) == path_length
    # HD(1,GPT,…,0x800,0x4000)
    assert path[:4] == b"\x04\x01\x2a\x00"
    assert struct.unpack("<IQQ", path[4:24]) == (1, 0x800, 0x4000)
    assert path[24:40] == bytes.fromhex("4433221166558877 99aabbccddeeff00")
    assert path[40:42] == b"\x02\x02"
    name = "\\EFI\\BOOT\\BOOTX64.EFI\0".encode("utf-16-le")
    assert path[42:46] == b"\x04\x04" + struct.pack("<H", 4 + len(name))
    assert path[46:-4] == name
    assert path[-4:] == b"\x7f\xff\x04\x00"


def test_a_boot_entry_goes_first_and_is_used_again(tmp_path):
    part = Partition(1, 1 << 20, 8 << 20, kind="", uuid="11223344-5566-7788-99aa-bbccddeeff00")
    table, loader = Table("gpt", "", []), ["EFI", "BOOT", "BOOTX64.EFI"]
    guid = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
    (tmp_path / f"Boot0000-{guid}").write_bytes(b"\7\0\0\0" + b"\1\0\0\0\0\0" + b"o\0")
    (tmp_path / f"BootOrder-{guid}").write_bytes(b"\7\0\0\0" + struct.pack("<H", 0))
    for _ in range(2):
        assert efi.add_boot_entry(part, table, loader, 512, str(tmp_path)) == "Boot0001"
    assert (tmp_path / f"BootOrder-{guid}").read_bytes() == b"\7\0\0\0" + struct.pack("<HH", 1, 0)
