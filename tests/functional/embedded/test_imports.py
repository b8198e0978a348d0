"""Imports by a running service from a signed mirror that is slow, or somebody's who lies."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import signal
import urllib.request
from collections.abc import Callable
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from embedded.imagescmd import main
from netboot.importing.progress import status
from tests.functional.embedded.forked import Command
from tests.functional.netboot.importing import conftest as importing
from tests.patience import AT_ONCE, PATIENCE, until

XENIAL = "ubuntu/amd64/generic/xenial/daily"
FILES = ("boot-kernel", "boot-initrd", "squashfs")
INDEX = "/streams/v1/index.sjson"
SIZE = 200_000

mirror, signer, key = importing.mirror, importing.signer, importing.key


@pytest.fixture
def config(tmp_path: Path, config: Path, mirror: Any, key: Any) -> Path:
    with config.open("a") as file:
        file.write(
            "[resources]\nimport_interval = 0\n"
            "[import]\nsources = maas\n"
            f"[source:maas]\ntype = simplestreams\nurl = {mirror.url}\nkeyring = {key.keyring}\n"
        )
    return config


class Stream:
    """What the mirror has, as its maker signs it."""

    def __init__(self, mirror: Any, key: Any) -> None:
        self._files = mirror.files
        self._key = key
        self.updated = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=2)

    def publish(self, version: str, *, signed: Callable[[bytes], bytes] | None = None, **more: Any):
        """An image of this version. Returns all documents of the mirror, as they are then."""
        items = {name: self._item(f"/{version}/{name}", version, name) for name in FILES}
        words = {"arch": "amd64", "release": "xenial", "label": "daily"}
        products = {"one": {**words, "versions": {version: {"items": items}}}}
        path = "streams/v1/maas.sjson"
        entry = {"format": "products:1.0", "datatype": "image-downloads", "path": path}
        for name, told in (
            (INDEX, {"format": "index:1.0", "index": {"maas": entry}, **more}),
            (f"/{path}", {"format": "products:1.0", "products": products}),
        ):
            raw = json.dumps({"updated": format_datetime(self.updated), **told}).encode()
            self._files[name] = (signed or self._key.clear)(raw)
        return {name: raw for name, raw in self._files.items() if name.startswith("/streams")}

    def _item(self, path: str, version: str, name: str) -> dict[str, Any]:
        content = f"{version} {name}\n".encode() * (SIZE // 20)
        self._files[path] = content
        digest = hashlib.sha256(content).hexdigest()
        return {"ftype": name, "path": path[1:], "sha256": digest, "size": len(content)}


@pytest.fixture
def stream(mirror: Any, key: Any) -> Stream:
    return Stream(mirror, key)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    return tmp_path / "state" / "boot-resources"


@pytest.fixture
def images(tmp_path: Path, config: Path) -> Callable[[str], int]:
    where = ["--config-file", str(config), "--state-dir", str(tmp_path / "state")]
    return lambda command: main([command, *where])


def ask(service: Any, method: str, path: str) -> dict[str, Any]:
    request = urllib.request.Request(service.url + path, method=method)
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return dict(json.load(answer))


def over(service: Any, asked: int) -> dict[str, Any]:
    """How the import ended, once it has."""

    def told() -> dict[str, Any]:
        return ask(service, "GET", "/v1/images/import")

    return until(lambda: (now := told())["ended"] >= asked and now, told, pause=0.02)


def imported(service: Any) -> dict[str, Any]:
    """Import now, to the end."""
    return over(service, ask(service, "POST", "/v1/images/import")["asked"])


def versions(root: Path) -> set[str]:
    """Of the files that machines get, each of which is whole."""
    contents = [(root / "current" / XENIAL / name).read_bytes() for name in FILES]
    assert all(len(set(content.splitlines())) == 1 for content in contents)
    return {content.decode().partition(" ")[0] for content in contents}


@pytest.mark.seed("s12", "s50")
def test_an_import_that_is_killed_with_its_service_goes_on_with_the_next_one(
    serve: Any, run: Any, root: Path, config: Path, mirror: Any, stream: Stream
) -> None:
    stream.publish("one")
    mirror.faults["/one/squashfs"] = ["stall"]
    first = serve()
    first.until("Ctrl-C stops it.")
    ask(first, "POST", "/v1/images/import")
    assert mirror.stalled.wait(PATIENCE)
    told = ask(first, "GET", "/v1/images/import")
    assert (told["state"], told["file"]) == ("running", f"{XENIAL}/squashfs")
    first.stop(signal.SIGKILL)
    assert status(root)["state"] == "interrupted"
    assert not (root / "current").exists()

    mirror.go_on.set()
    mirror.asked.clear()
    second = serve()
    second.until("Ctrl-C stops it.")
    asked = ask(second, "POST", "/v1/images/import")["asked"]
    where = ["--config-file", str(config), "--state-dir", str(root.parent)]
    assert run("images", "import", *where)[0] == 0
    assert over(second, asked)["state"] == "done"
    # The cache had what was whole, and of two imports at once the later one found nothing new.
    assert [path for path in mirror.paths() if path.startswith("/one/")] == ["/one/squashfs"]
    assert versions(root) == {"one"}
    assert ask(second, "GET", "/v1/images")["snapshot"] == os.readlink(root / "current")
    assert len(list(root.glob("snapshot-*"))) == 1
    assert not list(root.glob("**/.partial-*"))
    assert second.stop(signal.SIGTERM) < AT_ONCE


@pytest.mark.seed("s12")
def test_who_waits_for_an_import_that_is_killed_does_it(
    serve: Any, config: Path, root: Path, mirror: Any, stream: Stream
) -> None:
    stream.publish("one")
    mirror.faults["/one/squashfs"] = ["stall"]
    first = serve()
    first.until("Ctrl-C stops it.")
    ask(first, "POST", "/v1/images/import")
    assert mirror.stalled.wait(PATIENCE)
    where = ["--config-file", str(config), "--state-dir", str(root.parent)]
    waiting = Command("images", "import", *where)
    # It shows the progress of the one that it waits for.
    assert b"squashfs: " in waiting.stdout.readline()
    assert mirror.paths().count("/one/squashfs") == 1
    first.stop(signal.SIGKILL)
    assert b"is current; 1 files fetched" in waiting.communicate()[0]
    assert waiting.wait() == 0
    waiting.close()
    assert mirror.paths().count("/one/boot-kernel") == 1
    assert versions(root) == {"one"}
    assert not list(root.glob("**/.partial-*"))


@pytest.mark.seed("s50")
def test_no_index_that_is_not_to_be_trusted_changes_what_machines_boot(
    serve: Any,
    images: Callable[[str], int],
    root: Path,
    mirror: Any,
    stream: Stream,
    signer: Any,
    capsys: Any,
) -> None:
    old = stream.publish("zero")
    stream.updated += datetime.timedelta(minutes=10)
    good = stream.publish("one")
    service = serve()
    service.until("Ctrl-C stops it.")
    assert imported(service)["state"] == "done"
    before = os.readlink(root / "current")

    stream.updated += datetime.timedelta(minutes=10)
    other, expired = signer(), format_datetime(stream.updated - datetime.timedelta(days=3))
    for word, bad in {
        "was taken before": old,
        "has expired": stream.publish("two", expires=expired),
        "was changed after": {INDEX: good[INDEX].replace(b"maas", b"mAAs", 1)},
        "not one signed document": stream.publish("two", signed=bytes),
        "not in the keyring": stream.publish("two", signed=other.clear),
    }.items():
        mirror.files |= {**good, **bad}
        told = imported(service)
        assert told["state"] == "failed"
        [failure] = told["report"]["failures"]
        assert word in failure["message"]
        assert mirror.url in failure["message"]
        capsys.readouterr()
        assert images("import") == 1
        said = capsys.readouterr().err
        assert f"source maas: {failure['message']}" in said
        assert "Traceback" not in said
        assert os.readlink(root / "current") == before
        assert versions(root) == {"one"}
        found = ask(service, "GET", "/v1/events?stream=false&limit=1000")["events"]
        assert any(failure["message"] in event["message"] for event in found), found
    assert [path for path in mirror.paths() if path.startswith("/two")] == []

    stream.publish("two")
    assert imported(service)["report"]["failures"] == []
    assert versions(root) == {"two"}
    assert "Traceback" not in service.output
