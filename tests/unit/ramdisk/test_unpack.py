"""Ramdisks as folders and back: round trips, and archives that are meant to do harm."""

import io
import os
import shutil
import stat
import subprocess
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drophammer.errors import Conflict, DrophammerError, Forbidden, Invalid, NotFound, Unsupported
from ramdisk import archives, cli, newc, packing
from ramdisk.archives import Limits
from ramdisk.repack import repack
from ramdisk.unpack import unpack
from tests.unit.ramdisk.samples import (
    FILE,
    FOLDER,
    LINK,
    MICROCODE,
    PACK,
    SMALL,
    archive,
    member,
    written,
)

needs_cpio = pytest.mark.skipif(not shutil.which("cpio"), reason="the cpio program is the judge")
LIMITS = Limits(1 << 20, 100)


def tree(root: Path) -> dict[str, tuple]:
    """All that counts below ``root``: type, mode, time, content, and which names are one file."""
    found, inodes = {}, {}
    for path in sorted([root, *root.rglob("*")]):
        here = path.lstat()
        what = ""
        if path.is_symlink():
            what = os.readlink(path)
        elif path.is_file():
            what = path.read_bytes()
        one = inodes.setdefault(here.st_ino, str(path.relative_to(root)))
        found[str(path.relative_to(root))] = (oct(here.st_mode), int(here.st_mtime), what, one)
    return found


def as_cpio_keeps_it(found: dict[str, tuple]) -> dict[str, tuple]:
    """Without what that program loses: the times of folders and links."""
    return {
        name: (mode, time if isinstance(what, bytes) else None, what, one)
        for name, (mode, time, what, one) in found.items()
    }


def by_cpio(data: bytes, folder: Path) -> dict[str, tuple]:
    folder.mkdir()
    command = ["cpio", "-idm", "--quiet"]
    folder.chmod(0o755)
    subprocess.run(command, input=data, cwd=folder, check=True, capture_output=True, umask=0o022)
    return as_cpio_keeps_it(tree(folder))


def refused(tmp_path: Path, *parts: bytes, error: type = Invalid, **how) -> str:
    """What is said of such a ramdisk; nothing may be left of it."""
    file = written(tmp_path / "evil", *parts)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(error) as caught:
        unpack(file, tmp_path / "out", limits=LIMITS, **how)
    assert sorted(tmp_path.rglob("*")) == before
    return str(caught.value)


@needs_cpio
@pytest.mark.seed("s62")
@pytest.mark.parametrize("kind", PACK)
def test_an_unpacked_ramdisk_is_what_cpio_makes_of_it_and_so_is_the_repacked_one(tmp_path, kind):
    plain = archive(SMALL)
    file = written(tmp_path / "initrd", PACK[kind](plain))
    unpack(file, tmp_path / "out")
    expected = by_cpio(plain, tmp_path / "cpio")
    made = tree(tmp_path / "out/root")
    assert as_cpio_keeps_it(made) == expected
    assert [made[name][1] for name in (".", "bin", "etc/resolv.conf")] == [5, 7, 17]
    again = tmp_path / "again"
    repack(tmp_path / "out", again)
    with again.open("rb") as file:
        assert packing.kind_at(file, 0) == kind
        (found,) = archives.scan(file, LIMITS)
        content = b"".join(packing.Packed(file, 0, kind).pieces())
    assert by_cpio(content, tmp_path / "cpio-again") == expected
    assert found.members == len(SMALL)


@pytest.mark.seed("s62")
@pytest.mark.parametrize("kind", PACK)
def test_microcode_in_front_is_kept_byte_by_byte(tmp_path, kind):
    file = written(tmp_path / "initrd", MICROCODE, PACK[kind](archive(SMALL)))
    found = unpack(file, tmp_path / "out")
    assert [one.kind for one in found] == ["none", kind]
    (tmp_path / "out/root/added").write_bytes(b"new")
    repack(tmp_path / "out", tmp_path / "again")
    assert (tmp_path / "again").read_bytes().startswith(MICROCODE)
    unpack(tmp_path / "again", tmp_path / "once-more")
    assert tree(tmp_path / "once-more/root") == tree(tmp_path / "out/root")


@pytest.mark.seed("s62")
def test_three_archives_packed_in_three_ways_are_all_found_and_any_can_be_changed(tmp_path):
    other = archive([member("other", data=b"o")])
    file = written(tmp_path / "initrd", MICROCODE, PACK["gzip"](other), PACK["xz"](archive(SMALL)))
    assert [one.kind for one in unpack(file, tmp_path / "a")] == ["none", "gzip", "xz"]
    unpack(file, tmp_path / "b", archive=2)
    (tmp_path / "b/root/other").write_bytes(b"changed")
    repack(tmp_path / "b", tmp_path / "again", compression="none")
    found = unpack(tmp_path / "again", tmp_path / "c")
    assert [one.kind for one in found] == ["none", "none", "xz"]
    assert all(one.start % 4 == 0 for one in found)
    assert tree(tmp_path / "c/root") == tree(tmp_path / "a/root")
    with pytest.raises(NotFound, match="archives 1 to 3, and no 4"):
        unpack(file, tmp_path / "d", archive=4)


@pytest.mark.seed("s62")
@pytest.mark.parametrize("kind", PACK)
def test_repacking_is_reproducible_and_numbers_files_from_one(tmp_path, kind):
    unpack(written(tmp_path / "initrd", archive(SMALL)), tmp_path / "out")
    made = []
    for name in ("first", "second"):
        copy = tmp_path / name
        shutil.copytree(tmp_path / "out", copy, symlinks=True, ignore=lambda *_: ["pipe", "two"])
        os.link(copy / "root/bin/one", copy / "root/bin/two")
        repack(copy, tmp_path / f"{name}.img", compression=kind, mtime=1234)
        made.append((tmp_path / f"{name}.img").read_bytes())
    assert made[0] == made[1]
    file = io.BytesIO(made[0])
    (found,) = archives.scan(file, LIMITS)
    members = [one for one, _ in archives.members(file, found)]
    assert {one.mtime for one in members} == {1234}
    assert sorted({one.ino for one in members}) == list(range(1, len(members)))
    names = [one.name for one in members]
    assert names[0] == b"."
    assert names == sorted(names)


@pytest.mark.seed("s62")
@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([member("../out")], "'..'"),
        ([member("a/../../out")], "'..'"),
        ([member("/etc/passwd")], "absolute"),
        ([member("a\0b")], "zero byte"),
        ([member("n" * 300)], "longer than any file system"),
        ([member("link", LINK, b"../../etc/passwd")], "leads out of the archive"),
        ([member("a", FOLDER), member("a/b", LINK, b"x/../../../c")], "leads out of the archive"),
        ([member("link", LINK, b"")], "no proper target"),
        ([member("out", LINK, b"/etc"), member("out/passwd", data=b"x")], "which is a link"),
        ([member("out", LINK, b"bin"), member("out/x", FOLDER)], "which is a link"),
        ([member("file"), member("file/below", data=b"x")], "a link or a file"),
        ([member("a", FOLDER), member("a", data=b"x")], "a folder first"),
        ([member("socket", stat.S_IFSOCK | 0o600)], "no ramdisk can hold"),
        ([member(".", FILE)], "something else than a folder"),
        ([member("a", FOLDER, b"content")], "is not a file"),
        (
            [
                member("a", data=b"1", ino=4, nlink=2),
                member("a", LINK, b"/etc/passwd"),
                member("b", data=b"2", ino=4, nlink=2),
            ],
            "something else has replaced",
        ),
        ([b"070701" + b"0000 001" * 13 + b"a\0"], "not the head"),
    ],
)
def test_an_evil_archive_is_refused_and_leaves_nothing(tmp_path, members, said):
    assert said in refused(tmp_path, archive(members))


@pytest.mark.seed("s62")
def test_device_nodes_are_refused_unless_allowed(tmp_path):
    node = member("dev/sda", stat.S_IFBLK | 0o600, rdev=(8, 0))
    said = refused(tmp_path, archive([node]), error=Forbidden)
    assert "--allow-devices" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes device nodes")
def test_root_may_unpack_and_repack_device_nodes(tmp_path):
    plain = archive([member("dev/null", stat.S_IFCHR | 0o666, rdev=(1, 3))])
    unpack(written(tmp_path / "initrd", plain), tmp_path / "out", devices=True)
    made = (tmp_path / "out/root/dev/null").lstat()
    assert (stat.S_ISCHR(made.st_mode), made.st_rdev) == (True, os.makedev(1, 3))
    repack(tmp_path / "out", tmp_path / "again")
    assert b"dev/null" in (tmp_path / "again").read_bytes()


@pytest.mark.seed("s62")
@pytest.mark.parametrize("kind", ["gzip", "xz", "zstd"])
def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, kind):
    said = refused(tmp_path, PACK[kind](archive([member("zeros", data=bytes(8 << 20))])))
    assert "larger than the limit" in said
    said = refused(tmp_path, PACK[kind](archive([]) + bytes(8 << 20)))
    assert "larger than the limit" in said


@pytest.mark.seed("s62")
def test_a_size_that_is_only_promised_and_too_many_files_are_refused(tmp_path):
    promise = newc.head(newc.Member(b"a", FILE, size=newc.LARGEST))
    assert "larger than the limit" in refused(tmp_path, promise)
    many = [member(f"f{number}") for number in range(101)]
    assert "more files than the limit" in refused(tmp_path, archive(many))


@pytest.mark.parametrize(
    ("begin", "said"),
    [
        (b"070707000000", "cpio -H newc"),
        (b"BZh91AY", "bzip2"),
        (b"\x02\x21\x4c\x18 ", "lz4"),
        (b"\x5d\0\0\x80\0\0", "lzma"),
    ],
)
def test_what_is_packed_otherwise_is_named(tmp_path, begin, said):
    assert said in refused(tmp_path, begin + bytes(500), error=Unsupported)


def test_junk_behind_an_archive_is_told_with_its_place(tmp_path):
    plain = archive(SMALL)
    assert f"At byte {len(plain)} there is neither" in refused(tmp_path, plain, b"junk!")
    assert "is empty" in refused(tmp_path, b"")


def test_a_content_with_another_sum_than_its_head_says_is_refused(tmp_path):
    good = member("a", data=b"abc")
    summed = b"070702" + good[6:102] + b"%08X" % sum(b"abc") + good[110:]
    unpack(written(tmp_path / "good", archive([summed])), tmp_path / "good-out")
    assert "another sum" in refused(tmp_path, archive([summed.replace(b"abc", b"abd")]))


@pytest.mark.seed("s62")
@pytest.mark.parametrize("kind", PACK)
def test_a_ramdisk_that_ends_too_early_is_a_named_error_at_every_byte(kind):
    plain = archive(
        [member("a", FOLDER), member("a/b", data=b"content"), member("a/c", LINK, b"b")]
    )
    whole = PACK[kind](plain)
    # What follows an uncompressed archive's trailer is nothing but zeros.
    end = len(plain.rstrip(b"\0")) + 1 if kind == "none" else len(whole)
    for length in range(end):
        with pytest.raises((Invalid, Unsupported)) as caught:
            archives.scan(io.BytesIO(whole[:length]), LIMITS)
        assert caught.value.message.endswith(".")
    assert len(archives.scan(io.BytesIO(whole), LIMITS)) == 1


@pytest.mark.parametrize("long", [27, 28])
def test_a_zstd_window_beyond_the_kernels_is_refused(tmp_path, long):
    # A frame by hand (RFC 8878): window descriptor, then one raw block, the last.
    plain = archive([])
    block = ((len(plain) << 3) | 1).to_bytes(3, "little")
    frame = b"\x28\xb5\x2f\xfd" + bytes([0, (long - 10) << 3]) + block + plain
    file = io.BytesIO(frame)
    if long <= 27:
        assert archives.scan(file, LIMITS)[0].end == len(frame)
    else:
        with pytest.raises(Invalid, match="damaged"):
            archives.scan(file, LIMITS)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data(), kind=st.sampled_from(sorted(PACK)))
def test_damage_anywhere_is_a_named_error_or_harmless(tmp_path, data, kind):
    whole = bytearray(PACK[kind](archive(SMALL)))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(whole) - 1))
        whole[place] = data.draw(st.integers(0, 255))
    outside = tmp_path / "outside"
    outside.mkdir(exist_ok=True)
    written(tmp_path / "initrd", whole)
    said, left = str(tmp_path / "initrd"), ["out"]
    try:
        unpack(tmp_path / "initrd", outside / "out", limits=LIMITS)
    except DrophammerError as error:
        said, left = str(error), []
    assert str(tmp_path / "initrd") in said
    assert [path.name for path in outside.iterdir()] == left
    shutil.rmtree(outside)


_NAMES = st.lists(st.sampled_from(["a", "b", "..", ".", "", "c"]), min_size=1, max_size=3)
_TARGETS = st.sampled_from([b"a", b"/", b"/tmp", b"..", b"../..", b"a/../../x", b"b/c"])
_MEMBERS = st.builds(
    lambda parts, what, target, ino: member(
        "/".join(parts) or ".", what, target if what != FOLDER else b"", ino=ino, nlink=2
    ),
    _NAMES,
    st.sampled_from([FILE, FOLDER, LINK]),
    _TARGETS,
    st.integers(1, 3),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(members=st.lists(_MEMBERS, max_size=6))
def test_whatever_members_say_nothing_is_written_outside(tmp_path, members):
    shutil.rmtree(tmp_path / "in", ignore_errors=True)
    (tmp_path / "in").mkdir()
    file = written(tmp_path / "in/initrd", archive(members))
    try:
        unpack(file, tmp_path / "in/out", limits=LIMITS)
    except DrophammerError:
        assert {path.name for path in (tmp_path / "in").iterdir()} == {"initrd"}
    assert {path.name for path in tmp_path.iterdir()} <= {"in"}


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    file = written(tmp_path / "initrd", archive(SMALL))
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_text("mine")
    with pytest.raises(Conflict, match="there already"):
        unpack(file, tmp_path / "out")
    assert (tmp_path / "out/mine").read_text() == "mine"


def test_repacking_something_else_says_what_is_missing(tmp_path):
    with pytest.raises(NotFound, match=r"no ramdisk\.json"):
        repack(tmp_path, tmp_path / "again")
    (tmp_path / "ramdisk.json").write_text('{"compression": "gzip"}')
    with pytest.raises(NotFound, match="before is missing"):
        repack(tmp_path, tmp_path / "again")
    (tmp_path / "ramdisk.json").write_text("[]")
    with pytest.raises(Invalid, match="not as"):
        repack(tmp_path, tmp_path / "again")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ramdisk.json"]


def test_the_commands_unpack_and_repack_and_say_what_they_did(tmp_path, capsys):
    file = written(tmp_path / "initrd", MICROCODE, PACK["gzip"](archive(SMALL)))
    assert cli.main(["unpack", str(file), str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("archive 1: 3 files")
    assert f"bytes {len(MICROCODE)} to {file.stat().st_size}" in said[1]
    again = tmp_path / "again"
    assert cli.main(["repack", str(tmp_path / "out"), str(again), "--compress", "zstd"]) == 0
    assert capsys.readouterr().out == f"{again}: {again.stat().st_size} bytes\n"
    assert cli.main(["unpack", str(file), str(tmp_path / "out")]) == 1
    assert "there already" in capsys.readouterr().err
    assert cli.main(["unpack", str(tmp_path / "absent"), str(tmp_path / "new")]) == 1
    assert "is no file" in capsys.readouterr().err


def test_gzip_data_say_nothing_of_when_they_were_packed(tmp_path):
    out = io.BytesIO()
    packer = packing.Packer(out, "gzip")
    packer.write(b"x" * 100)
    packer.finish()
    assert out.getvalue()[4:8] == bytes(4)
    assert zlib.decompress(out.getvalue(), 31) == b"x" * 100


class Trickle(io.BytesIO):
    """A file that gives one byte at a time, as slow storage may."""

    def read(self, size=-1):
        return super().read(min(size, 1) if size > 0 else size)


@pytest.mark.parametrize("kind", ["gzip", "xz", "zstd"])
@pytest.mark.parametrize("more", [-1, 0, 1])
def test_what_ends_where_a_piece_ends_is_whole(kind, more):
    size = (1 << 20) + more
    data = PACK[kind](bytes(size))
    packed = packing.Packed(Trickle(data + b"behind"), 0, kind)
    assert sum(map(len, packed.pieces())) == size
    assert packed.end == len(data)
    for cut in range(1, len(data), 7):
        with pytest.raises(Invalid, match="cut off"):
            list(packing.Packed(Trickle(data[:cut]), 0, kind).pieces())
