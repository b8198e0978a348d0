"""Archives made to do harm, damaged or cut off: one kind of error, and nothing is written."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import tarfile
from collections.abc import Callable
from typing import Any

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from netboot.archives import package
from netboot.archives.inflate import Inflated
from netboot.archives.member import BadArchive, Kind, Limits, Member, guarded
from netboot.archives.reading import drained

PACKERS = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "bzip2": bz2.compress,
    "zstd": zstd.compress,
    "none": bytes,
}
SMALL = Limits(packed=1 << 20, unpacked=4 << 20, ratio=100, members=50)


def _read(raw: bytes, limits: Limits = SMALL) -> dict[str, bytes]:
    return package.files(io.BytesIO(raw), lambda _: True, limits)


@pytest.fixture
def wraps(write: Any) -> dict[str, Callable[[Any, Any], bytes]]:
    """The same evil member as a tar in a .deb, and as a cpio in an RPM."""
    return {
        "deb": lambda infos, _: write.deb(write.tar(*infos)),
        "rpm": lambda _, members: write.rpm(write.cpio(*members)),
    }


EVIL = {
    "absolute": ("/etc/cron.d/x", None),
    "above": ("../../etc/x", None),
    "inside": ("usr/../../etc/x", None),
    "device": ("dev/sda", "device"),
    "unprintable": ("usr/\x1b[2J", None),
    "newline": ("usr/a\nb", None),
    "below a link": ("usr/link/x", "link first"),
}


@pytest.mark.seed("s65")
@pytest.mark.parametrize("kind", ["deb", "rpm"])
@pytest.mark.parametrize("case", EVIL)
def test_evil_members_are_refused(write: Any, wraps: Any, kind: str, case: str) -> None:
    name, how = EVIL[case]
    infos, members = [write.info(name)], [write.Made(name, b"x")]
    if how == "device":
        infos = [write.info(name, tarfile.BLKTYPE)]
        members = [write.Made(name, mode=write.DEVICE)]
    if how == "link first":
        infos.insert(0, write.info("usr/link", tarfile.SYMTYPE, "/etc"))
        members.insert(0, write.Made("usr/link", b"/etc", write.LINK))
    with pytest.raises(BadArchive):
        _read(wraps[kind](infos, members))


@pytest.mark.parametrize("target", ["/etc/passwd", "../../etc/passwd", "a/../../x"])
def test_a_hard_link_to_the_outside_is_refused(write: Any, target: str) -> None:
    link = write.info("usr/x", tarfile.LNKTYPE, target)
    with pytest.raises(BadArchive):
        _read(write.deb(write.tar(link)))


@pytest.mark.parametrize("packer", [name for name in PACKERS if name != "none"])
def test_bombs_are_noticed_while_they_go_off(write: Any, packer: str) -> None:
    bomb = PACKERS[packer](write.tar(write.info("x"), content=bytes(32 << 20)))
    with pytest.raises(BadArchive, match="unpacks to more than"):
        _read(write.deb(bomb))
    with pytest.raises(BadArchive, match="unpacks to more than 4194304 bytes"):
        _read(write.deb(bomb), Limits(unpacked=4 << 20, ratio=1 << 30))


def test_too_many_members_are_refused(write: Any) -> None:
    many = [write.Made(f"f{number}") for number in range(51)]
    with pytest.raises(BadArchive, match="more than 50 members"):
        _read(write.rpm(write.cpio(*many)))


def test_too_large_a_package_is_refused(write: Any) -> None:
    with pytest.raises(BadArchive, match="larger than 1048576"):
        _read(write.deb(random.Random(1).randbytes(2 << 20)))


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("kind", ["deb", "rpm", "tar"])
def test_an_archive_cut_off_at_any_byte_is_refused(write: Any, packer: str, kind: str) -> None:
    pack = PACKERS[packer]
    noise = random.Random(2).randbytes(40)
    tar = write.tar(write.info("usr/x"), content=noise)[: 512 * 4]
    whole = {
        "deb": lambda: write.deb(pack(tar)),
        "rpm": lambda: write.rpm(pack(write.cpio(write.Made("usr/x", noise)))),
        "tar": lambda: pack(tar),
    }[kind]()
    assert _read(whole) == {"usr/x": noise}
    end = len(whole) if kind != "tar" or packer != "none" else 512 * 2 + 1
    for length in range(end):
        # An ar archive pads an odd member with a byte that says nothing.
        if whole[length:] == b"\n":
            continue
        with pytest.raises(BadArchive):
            _read(whole[:length])


def test_damage_in_an_rpm_is_noticed_by_its_digests(write: Any) -> None:
    payload = write.cpio(write.Made("x", b"content"))
    for wrong in (b"0" * 64, b""):
        raw = write.rpm(payload, digest=wrong)
        if wrong:
            with pytest.raises(BadArchive, match="payload is not the one"):
                _read(raw)
    whole = write.rpm(payload)
    place = whole.index(b"cpio\0")
    with pytest.raises(BadArchive, match="header is not the one"):
        _read(whole[:place] + b"CPIO" + whole[place + 4 :])
    with pytest.raises(BadArchive, match="not cpio"):
        _read(write.rpm(payload, format=b"drpm"))


def test_a_long_extended_header_is_not_read_into_memory(write: Any) -> None:
    info = write.info("x")
    info.pax_headers = {"comment": "c" * 100_000}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info)
    with pytest.raises(BadArchive, match="is extended by"):
        _read(out.getvalue())


def _header(kind: bytes, body: bytes = b"", size: int | None = None) -> bytes:
    """A tar header of any kind, with what belongs to it."""
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, len(body) if size is None else size
    return info.tobuf(tarfile.GNU_FORMAT) + body + bytes(-len(body) % tarfile.BLOCKSIZE)


_FILE = _header(tarfile.REGTYPE)
_ALL_IN_HOLES = b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (_header(tarfile.GNUTYPE_SPARSE), "with holes"),
        (
            _header(tarfile.XHDTYPE, _ALL_IN_HOLES) + _header(b"0", b"9999999\n1\n", 1 << 33),
            "with holes",
        ),
        (_header(tarfile.XHDTYPE) * 2000 + _FILE, "extended more than 8 times"),
        (_header(tarfile.GNUTYPE_LONGNAME, b"name\0") * 2000 + _FILE, "extended more than 8 times"),
        # tarfile searches this for a second and more, and lets no other thread run meanwhile.
        (_header(tarfile.XHDTYPE, b"1" * 40_000) + _FILE, "is extended by 40000 bytes"),
        (
            b"".join(
                tarfile.TarInfo.create_pax_global_header({f"word{n}": "v" * 7000}) + _FILE
                for n in range(700)
            ),
            "all by 4",
        ),
    ],
    ids=["holes", "pax holes", "pax in a row", "names in a row", "digits", "kept by tarfile"],
)
def test_what_extends_a_tar_header_cannot_fill_memory_or_time(raw: bytes, why: str) -> None:
    with pytest.raises(BadArchive, match=why):
        _read(raw + bytes(1024), Limits())


@pytest.mark.parametrize("kind", [Kind.FILE, Kind.SYMLINK])
def test_names_cannot_fill_memory(kind: Kind) -> None:
    long = "a" * 4000
    name, target = ("link", long) if kind is Kind.SYMLINK else (long, "")
    many = ((Member(f"{n}{name}", kind, target=target), io.BytesIO()) for n in range(4300))
    with pytest.raises(BadArchive, match="names of more than 16777216 characters"):
        for _ in guarded(many, Limits()):
            pass


@pytest.mark.parametrize("packer", ["gzip", "xz", "bzip2", "zstd"])
def test_streams_in_a_row_are_one(packer: str) -> None:
    pack = PACKERS[packer]
    for packed in (pack(b"one") + pack(b"two"), pack(b"one") + pack(b"two") + bytes(8)):
        found = Inflated(io.BytesIO(packed), SMALL)
        assert found.read(3) + found.read(100) + found.read(100) == b"onetwo"
    with pytest.raises(BadArchive):
        drained(Inflated(io.BytesIO(pack(b"one") + b"junk"), SMALL))


class _Samples:
    """Whole archives to damage; made once."""

    def __init__(self, write: Any) -> None:
        tar = write.tar(write.info("usr/x"), write.info("usr/l", tarfile.SYMTYPE, "x"))
        cpio = write.cpio(write.Made("a", b"content"), write.Made("b", b"a", write.LINK))
        self.all = [
            *(write.deb(PACKERS[packer](tar)) for packer in PACKERS),
            *(write.rpm(PACKERS[packer](cpio), digest=b"") for packer in PACKERS),
            write.rpm(cpio),
            tar,
        ]


@pytest.fixture(scope="session")
def samples(write: Any) -> list[bytes]:
    return _Samples(write).all


def test_damaged_archives_never_crash_a_reader(samples: list[bytes]) -> None:
    @settings(max_examples=400, deadline=None)
    @given(
        st.sampled_from(range(len(samples))),
        st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=12)), max_size=4),
    )
    def check(which: int, changes: list[tuple[float, bytes]]) -> None:
        raw = bytearray(samples[which])
        for place, new in changes:
            at = int(place * (len(raw) - 1))
            raw[at : at + len(new)] = new
        try:
            found = _read(bytes(raw))
        except BadArchive:
            return
        assert all(not name.startswith("/") and ".." not in name.split("/") for name in found)

    check()


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([b"", b"!<arch>\n", b"\xed\xab\xee\xdb" + bytes(92), b"070701", b"\x1f\x8b"]),
    st.binary(max_size=600),
)
def test_noise_never_crashes_a_reader(begin: bytes, noise: bytes) -> None:
    try:
        _read(begin + noise)
    except BadArchive:
        return
