"""From a configuration file to a snapshot: the importer with the sources of operators."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from embedded.options import load
from netboot.importing import uploads
from netboot.importing.configured import sources_from
from netboot.importing.run import Importer
from netboot.resources.tree import Resources

XENIAL = "ubuntu/amd64/generic/xenial/daily"
MINE = "ubuntu/amd64/generic/noble/custom"


def _item(mirror: Any, path: str, content: bytes, ftype: str) -> dict[str, Any]:
    mirror.files[f"/images/{path}"] = content
    digest = hashlib.sha256(content).hexdigest()
    return {"ftype": ftype, "path": path, "sha256": digest, "size": len(content)}


def _publish(mirror: Any, key: Any, word: str) -> None:
    names = ("boot-kernel", "boot-initrd", "squashfs")
    items = {
        name: _item(mirror, f"xenial/{name}-{word}", f"{name} {word}".encode(), name)
        for name in names
    }
    product = {"arch": "amd64", "release": "xenial", "label": "daily", "versions": {}}
    product["versions"] = {"20261101": {"items": items}}  # type: ignore[assignment]
    path = "streams/v1/maas.sjson"
    entry = {"format": "products:1.0", "datatype": "image-downloads", "path": path}
    date = formatdate(usegmt=True)
    documents = {
        "streams/v1/index.sjson": {"format": "index:1.0", "index": {"maas": entry}},
        path: {"format": "products:1.0", "products": {"xenial": product}},
    }
    for name, content in documents.items():
        raw = json.dumps({"updated": date, **content}).encode()
        mirror.files[f"/images/{name}"] = key.clear(raw)


def _shim() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name in ("shim/shimx64", "grub/x86_64-efi-signed/grubnetx64"):
            info = tarfile.TarInfo(f"./usr/lib/{name}.efi.signed")
            info.size = len(name)
            archive.addfile(info, io.BytesIO(name.encode()))
    return out.getvalue()


@pytest.fixture
def importer(mirror: Any, key: Any, tmp_path: Path) -> Callable[[], Importer]:
    conf = tmp_path / "drophammer.conf"
    conf.write_text(
        f"""
[import]
sources = maas, loaders
state_dir = {tmp_path}/state
uploads_dir = {tmp_path}/uploads
[source:maas]
type = simplestreams
url = {mirror.url}/images
keyring = {key.keyring}
[source:loaders]
type = packages
packages = {mirror.url}/shim.deb
"""
    )

    def make() -> Importer:
        loaded = load([conf])
        return Importer(
            Resources(tmp_path / "resources"), lambda: sources_from(loaded), used=lambda: ()
        )

    return make


def test_what_the_configuration_names_becomes_a_snapshot(
    mirror: Any, key: Any, importer: Callable[[], Importer], tmp_path: Path
) -> None:
    _publish(mirror, key, "one")
    mirror.files["/shim.deb"] = _shim()
    kernel = tmp_path / "vmlinuz"
    kernel.write_bytes(b"my kernel")
    uploads.add(tmp_path / "uploads", MINE, kernel=kernel)
    assert importer().run().failures == []
    current = tmp_path / "resources/current"
    assert (current / XENIAL / "boot-kernel").read_bytes() == b"boot-kernel one"
    assert (current / XENIAL / "squashfs").read_bytes() == b"squashfs one"
    assert (current / MINE / "boot-kernel").read_bytes() == b"my kernel"
    assert (current / "bootx64.efi").read_bytes() == b"shim/shimx64"
    assert (current / "grubx64.efi").read_bytes() == b"grub/x86_64-efi-signed/grubnetx64"

    snapshot = current.resolve()
    mirror.asked.clear()
    assert importer().run().failures == []
    assert current.resolve() == snapshot
    assert {path.rpartition("/")[2] for path in mirror.paths("GET")} == {
        "index.sjson",
        "maas.sjson",
    }


def test_a_source_that_is_refused_leaves_what_it_gave_before(
    mirror: Any,
    key: Any,
    signer: Callable[..., Any],
    importer: Callable[[], Importer],
    tmp_path: Path,
) -> None:
    _publish(mirror, key, "one")
    mirror.files["/shim.deb"] = _shim()
    importer().run()
    _publish(mirror, signer(), "evil")
    del mirror.files["/shim.deb"]
    told = [failure.message for failure in importer().run().failures]
    assert len(told) == 2
    assert "not in the keyring" in told[0]
    assert "shim.deb could not be fetched" in told[1]
    current = tmp_path / "resources/current"
    assert (current / XENIAL / "boot-kernel").read_bytes() == b"boot-kernel one"
    assert (current / "bootx64.efi").read_bytes() == b"shim/shimx64"
