"""Images of a simplestreams mirror: a small stream, really signed, over real HTTP."""

from __future__ import annotations

import datetime
import gzip
import hashlib
import io
import json
import re
import tarfile
from collections.abc import Callable
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from drophammer.errors import DrophammerError, ImageError, NotFound, Unavailable
from netboot.importing.fetch import Fetch
from netboot.importing.source import Known
from netboot.importing.sources.simplestreams import SimpleStreams, Wanted

NOW = datetime.datetime(2026, 11, 21, 10, tzinfo=datetime.UTC)
INDEX, PRODUCTS = "/streams/v1/index", "/streams/v1/maas:v3:download"
XENIAL = "ubuntu/amd64/generic/xenial/daily"


class Stream:
    """A mirror's content as its maker has it; ``publish`` signs it and puts it on the mirror."""

    def __init__(self, mirror: Any, key: Any) -> None:
        self.mirror = mirror
        self.key = key
        self.products: dict[str, Any] = {}
        self.updated = NOW - datetime.timedelta(hours=1)
        self.more: dict[str, Any] = {}

    def item(self, path: str, content: bytes, ftype: str) -> dict[str, Any]:
        self.mirror.files[f"/{path}"] = content
        digest = hashlib.sha256(content).hexdigest()
        return {"ftype": ftype, "path": path, "sha256": digest, "size": len(content)}

    def image(self, version: str, *, release: str = "xenial", **words: Any) -> None:
        product = {
            "os": "ubuntu",
            "arch": "amd64",
            "subarch": "ga-16.04",
            "subarches": "generic,hwe-p,ga-16.04",
            "release": release,
            "label": "daily",
            **words,
        }
        name = f"com.ubuntu.maas:v3:boot:{release}:{product['arch']}:{product['subarch']}"
        items = {
            ftype: self.item(
                f"{release}/{product['arch']}/{product['subarch']}/{version}/{ftype}",
                f"{ftype} {version} {release} {product['subarch']}".encode(),
                ftype,
            )
            for ftype in ("boot-kernel", "boot-initrd", "squashfs")
        }
        self.products.setdefault(name, {**product, "versions": {}})
        self.products[name]["versions"][version] = {"items": items}

    def documents(self) -> tuple[bytes, bytes]:
        date = format_datetime(self.updated)
        index = {
            "format": "index:1.0",
            "updated": date,
            "index": {
                "maas": {
                    "datatype": "image-downloads",
                    "format": "products:1.0",
                    "path": "PATH",
                    "products": list(self.products),
                }
            },
            **self.more,
        }
        products = {"format": "products:1.0", "updated": date, "products": self.products}
        return json.dumps(index).encode(), json.dumps(products).encode()

    def publish(self, *, inline: bool = True, key: Any = None, arguments: Any = ()) -> None:
        index, products = self.documents()
        by = key or self.key
        ending = "sjson" if inline else "json"
        index = index.replace(b"PATH", f"{PRODUCTS[1:]}.{ending}".encode())
        for path, raw in ((INDEX, index), (PRODUCTS, products)):
            if inline:
                self.mirror.files[f"{path}.sjson"] = by.clear(raw, *arguments)
            else:
                self.mirror.files[f"{path}.json"] = raw
                self.mirror.files[f"{path}.json.gpg"] = by.detached(raw)


@pytest.fixture
def stream(mirror: Any, key: Any) -> Stream:
    made = Stream(mirror, key)
    made.image("20261101")
    return made


@pytest.fixture
def source(
    mirror: Any, key: Any, fetch: Callable[..., Fetch], tmp_path: Path
) -> Callable[..., SimpleStreams]:
    def make(url: str = "", **settings: Any) -> SimpleStreams:
        values = {
            "keyring": key.keyring,
            "state": tmp_path / "state" / "maas.json",
            "wanted": Wanted(),
            "now": lambda: NOW,
            **settings,
        }
        return SimpleStreams("maas", url or mirror.url, fetch(), **values)

    return make


def _contents(version: str) -> dict[str, bytes]:
    return {
        f"ubuntu/amd64/{subarch}/xenial/daily/{name}": f"{name} {version} xenial ga-16.04".encode()
        for subarch in ("ga-16.04", "generic")
        for name in ("boot-kernel", "boot-initrd", "squashfs")
    }


@pytest.mark.parametrize("inline", [True, False])
def test_the_newest_version_of_a_signed_stream_is_imported(
    stream: Stream, source: Any, imported: Any, inline: bool
) -> None:
    stream.image("20261120")
    stream.publish(inline=inline)
    assert imported(source(), {}) == _contents("20261120")


def test_an_index_can_be_named(stream: Stream, source: Any, imported: Any) -> None:
    stream.publish()
    assert imported(source(f"{stream.mirror.url}{INDEX}.sjson"), {}) == _contents("20261101")


def test_nothing_new_fetches_the_documents_only(stream: Stream, source: Any, imported: Any) -> None:
    stream.publish()
    known: dict[str, Known] = {}
    imported(source(), known)
    stream.mirror.asked.clear()
    assert imported(source(), known) == {}
    assert stream.mirror.paths() == [f"{INDEX}.sjson", f"{PRODUCTS}.sjson"]


def test_a_version_that_is_not_whole_yet_is_passed_by(
    stream: Stream, source: Any, imported: Any
) -> None:
    stream.image("20261120")
    (product,) = stream.products.values()
    del product["versions"]["20261120"]["items"]["boot-initrd"]
    stream.publish()
    assert imported(source(), {}) == _contents("20261101")


@pytest.mark.seed("s41")
def test_a_minimal_set_is_kernel_and_initrd_of_one_release(
    stream: Stream, source: Any, imported: Any
) -> None:
    stream.image("20261101", release="trusty")
    stream.image("20261101", arch="arm64")
    stream.publish()
    wanted = Wanted(
        arches=("amd64",),
        subarches=("generic",),
        releases=("xenial",),
        files=("boot-kernel", "boot-initrd"),
    )
    found = imported(source(wanted=wanted), {})
    assert sorted(found) == [f"{XENIAL}/boot-initrd", f"{XENIAL}/boot-kernel"]
    assert not [path for path in stream.mirror.paths() if "squashfs" in path or "trusty" in path]


def test_a_compressed_root_image_is_unpacked_and_known_again(
    stream: Stream, source: Any, imported: Any
) -> None:
    (product,) = stream.products.values()
    items = product["versions"]["20261101"]["items"]
    del items["squashfs"]
    content = bytes(3_000_000)
    items["root-image.gz"] = stream.item("root.gz", gzip.compress(content), "root-image.gz")
    stream.publish()
    known: dict[str, Known] = {}
    assert imported(source(), known)[f"{XENIAL}/root-image"] == content
    assert imported(source(), known) == {}


def test_boot_loaders_come_out_of_their_archive(stream: Stream, source: Any, imported: Any) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:xz") as archive:
        for name in ("pxelinux.0", "chain.c32"):
            info = tarfile.TarInfo(name)
            info.size = len(name)
            archive.addfile(info, io.BytesIO(name.encode()))
    item = stream.item("bootloaders/pxe/i386/1/syslinux.tar.xz", out.getvalue(), "archive.tar.xz")
    stream.products["com.ubuntu.maas:stable:1:pxelinux:pxe:i386"] = {
        "os": "pxelinux",
        "arch": "i386",
        "label": "stable",
        "bootloader-type": "pxe",
        "versions": {"20261101.0": {"items": {"syslinux": item}}},
    }
    stream.publish()
    known: dict[str, Known] = {}
    found = imported(source(), known)
    assert found["bootloader/pxe/i386/pxelinux.0"] == b"pxelinux.0"
    assert found["bootloader/pxe/i386/chain.c32"] == b"chain.c32"
    stream.mirror.asked.clear()
    assert imported(source(), known) == {}
    assert f"/{item['path']}" not in stream.mirror.paths()
    # What the cache has lost can be had again, one by one.
    lost = next(e for e in source().entries(known) if e.path.endswith("chain.c32"))
    again = io.BytesIO()
    lost.fetch(again)
    assert again.getvalue() == b"chain.c32"


def test_content_that_is_not_what_the_stream_says_is_refused(
    stream: Stream, source: Any, imported: Any
) -> None:
    stream.publish()
    path = next(path for path in stream.mirror.files if path.endswith("boot-kernel"))
    stream.mirror.files[path] = stream.mirror.files[path].upper()
    with pytest.raises(ImageError, match=r"boot-kernel was fetched with SHA-256 .* should have"):
        imported(source(), {})


@pytest.mark.parametrize("inline", [True, False])
def test_an_index_of_another_key_is_refused(
    stream: Stream, source: Any, imported: Any, signer: Any, inline: bool
) -> None:
    stream.publish(inline=inline, key=signer())
    with pytest.raises(ImageError, match=r"signed with the key [0-9A-F]+, which is not in the"):
        imported(source(), {})


@pytest.mark.parametrize("inline", [True, False])
def test_an_index_that_was_changed_is_refused(
    stream: Stream, source: Any, imported: Any, inline: bool
) -> None:
    stream.publish(inline=inline)
    path = f"{INDEX}.{'sjson' if inline else 'json'}"
    stream.mirror.files[path] = (
        stream.mirror.files[path]
        .replace(b"daily", b"weekly")
        .replace(b"maas:v3:download", b"maas:v2:download")
    )
    with pytest.raises(ImageError, match="was changed after the key"):
        imported(source(), {})


def test_text_around_the_signed_part_counts_for_nothing(
    stream: Stream, source: Any, imported: Any
) -> None:
    stream.publish()
    path = f"{INDEX}.sjson"
    signed = stream.mirror.files[path]
    stream.mirror.files[path] = signed + b"\n{}\n"
    assert imported(source(), {}) == _contents("20261101")
    for evil in (b'{"format": "index:1.0"}\n' + signed, signed + signed, b"{}", b"", b"\0" * 99):
        stream.mirror.files[path] = evil
        with pytest.raises(ImageError, match="was not taken"):
            imported(source(), {})


def test_an_index_that_nobody_signed_is_taken_only_when_that_was_said(
    stream: Stream, source: Any, imported: Any
) -> None:
    stream.publish(inline=False)
    for path in (INDEX, PRODUCTS):
        del stream.mirror.files[f"{path}.json.gpg"]
    with pytest.raises(ImageError, match="nobody signed it"):
        imported(source(), {})
    assert imported(source(keyring=None), {}) == _contents("20261101")


def test_an_older_index_is_a_replay(stream: Stream, source: Any, imported: Any) -> None:
    stream.publish()
    old = dict(stream.mirror.files)
    stream.updated += datetime.timedelta(minutes=30)
    stream.image("20261120")
    stream.publish()
    known: dict[str, Known] = {}
    imported(source(), known)
    for path in (f"{INDEX}.sjson", f"{PRODUCTS}.sjson"):
        new = stream.mirror.files[path]
        stream.mirror.files[path] = old[path]
        with pytest.raises(ImageError, match=r"is of .* and one of .* was taken before"):
            imported(source(), known)
        stream.mirror.files[path] = new
    assert imported(source(), known) == {}


@pytest.mark.parametrize("inline", [True, False])
def test_an_older_index_is_a_replay_signed_in_the_other_manner_too(
    stream: Stream, source: Any, imported: Any, inline: bool
) -> None:
    """Who stands between us and the mirror hides the one and has kept the other of last year."""
    stream.publish(inline=not inline)
    old = dict(stream.mirror.files)
    stream.mirror.files.clear()
    stream.updated += datetime.timedelta(minutes=30)
    stream.image("20261120")
    stream.publish(inline=inline)
    known: dict[str, Known] = {}
    imported(source(), known)
    stream.mirror.files.clear()
    stream.mirror.files |= old
    with pytest.raises(ImageError, match="was taken before"):
        imported(source(), known)


def test_an_index_with_a_bad_signature_does_not_count_as_seen(
    stream: Stream, source: Any, imported: Any, signer: Any
) -> None:
    stream.updated += datetime.timedelta(minutes=50)
    stream.publish(key=signer())
    with pytest.raises(ImageError):
        imported(source(), {})
    stream.updated -= datetime.timedelta(minutes=50)
    stream.publish()
    assert imported(source(), {}) == _contents("20261101")


def test_an_expired_index_is_refused(stream: Stream, source: Any, imported: Any) -> None:
    stream.more["expires"] = format_datetime(NOW - datetime.timedelta(days=1))
    stream.publish()
    with pytest.raises(ImageError, match="has expired at 2026-11-20"):
        imported(source(), {})


def test_an_index_older_than_allowed_is_refused(stream: Stream, source: Any, imported: Any) -> None:
    stream.updated = NOW - datetime.timedelta(days=40)
    stream.publish()
    with pytest.raises(ImageError, match="more than 30 days ago"):
        imported(source(max_age=datetime.timedelta(days=30)), {})


def test_an_index_from_the_future_would_lock_us_out(
    stream: Stream, source: Any, imported: Any
) -> None:
    stream.updated = NOW + datetime.timedelta(days=400)
    stream.publish()
    with pytest.raises(ImageError, match="yet to come"):
        imported(source(), {})
    stream.updated = NOW
    stream.publish()
    assert imported(source(), {}) == _contents("20261101")


def test_an_expired_key_is_refused(stream: Stream, source: Any, imported: Any, signer: Any) -> None:
    faked = ("--faked-system-time", "20200101T000000")
    old = signer(*faked, expires="1d")
    stream.publish(key=old, arguments=("--faked-system-time", "20200101T000001"))
    with pytest.raises(ImageError, match=r"key [0-9A-F]+ that signed it has expired"):
        imported(source(keyring=old.keyring), {})


def test_keyrings_that_cannot_be_used_are_told(
    stream: Stream, source: Any, imported: Any, key: Any, tmp_path: Path
) -> None:
    stream.publish()
    armoured = tmp_path / "keys.asc"
    armoured.write_bytes(key.gpg("--armor", "--export"))
    with pytest.raises(ImageError, match="gpg --dearmor"):
        imported(source(keyring=armoured), {})
    with pytest.raises(ImageError, match="cannot be read"):
        imported(source(keyring=tmp_path / "none"), {})
    junk = tmp_path / "junk.gpg"
    junk.write_bytes(b"\x99\x01junk")
    with pytest.raises(ImageError, match="was not taken"):
        imported(source(keyring=junk), {})


def test_without_gpgv_nothing_signed_is_taken(
    stream: Stream, source: Any, imported: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stream.publish()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="Install the package gpgv"):
        imported(source(), {})


def test_a_mirror_without_a_stream_is_named(source: Any, imported: Any) -> None:
    with pytest.raises(NotFound, match=r"streams/v1/index\.json could not be fetched"):
        imported(source(), {})


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"release": "../../etc"}, "etc"),
        ({"release": 'x">'}, "cannot stand"),
        ({"os": "a/b"}, "five"),
        ({"arch": 7}, "'arch' is missing, or not a short text"),
        ({"label": "x\ny"}, "cannot stand"),
        ({"subarch": ""}, "empty"),
    ],
)
def test_words_that_would_lead_elsewhere_are_refused(
    stream: Stream, source: Any, imported: Any, words: dict[str, Any], sentence: str
) -> None:
    (product,) = stream.products.values()
    product.update(words)
    stream.publish()
    with pytest.raises(DrophammerError, match=re.escape(sentence)):
        imported(source(), {})
