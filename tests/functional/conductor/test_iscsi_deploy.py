"""Deploy interface ``iscsi``: what the agent is asked, what qemu-img is told, how it fails."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from conductor.drivers.fake import FakePower
from drophammer.errors import Invalid
from drophammer.model import Node

FILES = {"deploy_kernel": "http://127.0.0.1/k", "deploy_ramdisk": "http://127.0.0.1/r"}
CONTENT = b"an image" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def image() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            self.wfile.write(CONTENT)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/image.raw"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def qemu_img(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for the program, and with it for the machine's disk; the folder tells of its calls.

    It ends with the number in the file "status" and keeps what it was given to write.
    """
    folder = tmp_path / "programs"
    folder.mkdir()
    (folder / "status").write_text("0")
    (folder / "qemu-img").write_text(
        f'#!/bin/sh\ncd {folder}\necho "$@" >>calls\nfor last; do before=$image image=$last; done\n'
        'cp "$before" written\necho "its disk is broken" >&2\nexit $(cat status)\n'
    )
    (folder / "qemu-img").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/sbin:/usr/bin:/sbin:/bin")
    return folder


def machine(scene: Any, **info: Any) -> int:
    node_id = int(scene.machine("available", instance_info=info))
    with scene.store.write() as session:
        session.get_one(Node, node_id).deploy_interface = "iscsi"
    return node_id


def deploy(scene: Any, agent: Any, source: str, **more: Any) -> int:
    scene.start(**FILES)
    info = {"image_source": source, "image_checksum": DIGEST, **more}
    node_id = machine(scene, **info)
    scene.provision(node_id, "active")
    scene.until_state(node_id, "wait call-back")
    power = scene.process.box.drivers.make(scene.process.box, FakePower)
    agent.on_power_off = lambda: power.send(scene.get(node_id), "off")
    scene.call_back(node_id, agent)
    return node_id


def test_the_image_is_checked_pushed_and_the_config_drive_put_on_the_disk(
    scene: Any, agent: Any, image: str, qemu_img: Path
) -> None:
    node_id = deploy(scene, agent, image, configdrive="aGk=")
    node = scene.until_state(node_id, "active")
    asked = dict(agent.received)
    iqn = asked["iscsi.start_iscsi_target"]["iqn"]
    assert iqn.startswith(f"iqn.2026-01.org.drophammer:{node.uuid}:")
    assert asked["iscsi.start_iscsi_target"]["portal_port"] == 3260
    assert asked["iscsi.stop_iscsi_target"] == {"configdrive": "aGk="}
    names = agent.names()
    assert names.index("iscsi.start_iscsi_target") < names.index("iscsi.stop_iscsi_target")
    assert "deploy.execute_deploy_step" not in names
    (call,) = (qemu_img / "calls").read_text().splitlines()
    assert call.startswith("convert -p -n -W -m 8 -f raw -O raw /")
    assert call.endswith(f" iscsi://127.0.0.1:3260/{iqn}/0")
    assert (qemu_img / "written").read_bytes() == CONTENT
    assert not Path(call.split()[-2]).exists()


def test_an_image_with_another_digest_reaches_no_disk(
    scene: Any, agent: Any, image: str, qemu_img: Path
) -> None:
    node_id = deploy(scene, agent, image, image_checksum="0" * 64)
    node = scene.until_state(node_id, "deploy failed")
    assert f"{DIGEST} and not 0000" in node.last_error
    assert not (qemu_img / "calls").exists()
    assert "iscsi.start_iscsi_target" not in agent.names()


def test_a_push_that_fails_ends_the_deployment_with_what_qemu_img_said(
    scene: Any, agent: Any, image: str, qemu_img: Path
) -> None:
    (qemu_img / "status").write_text("3")
    node_id = deploy(scene, agent, image)
    node = scene.until_state(node_id, "deploy failed")
    assert "ended with 3: its disk is broken" in node.last_error
    assert node.power_state == "power off"


def test_each_push_is_to_a_name_that_nobody_else_knows(
    scene: Any, agent: Any, image: str, qemu_img: Path
) -> None:
    node_id = deploy(scene, agent, image)
    scene.until_state(node_id, "active")
    scene.provision(node_id, "rebuild")
    scene.until_state(node_id, "wait call-back")
    scene.call_back(node_id, agent)
    scene.until_state(node_id, "active")
    names = [params["iqn"] for name, params in agent.received if name.startswith("iscsi.start")]
    assert len(set(names)) == 2


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"image_disk_format": "vmdk"}, "not one of raw, qcow2"),
        ({"image_checksum": "http://127.0.0.1/sums"}, "takes a digest"),
        ({"image_source": "file:///etc/passwd"}, "not an http"),
    ],
)
def test_what_it_cannot_do_is_said_before_anything_is_begun(
    scene: Any, more: dict[str, str], said: str
) -> None:
    scene.start(**FILES)
    info = {"image_source": "http://127.0.0.1/image", "image_checksum": DIGEST, **more}
    node_id = machine(scene, **info)
    with pytest.raises(Invalid, match=said):
        scene.provision(node_id, "active")


def test_direct_stays_what_a_node_gets_that_asks_for_nothing(scene: Any) -> None:
    process = scene.start(**FILES)
    for name in ("ipmi", "fake-hardware"):
        assert "iscsi" in process.box.drivers.types[name].interfaces["deploy"]
    choices = list(process.box.drivers.types["ipmi"].interfaces["deploy"])
    assert choices.index("direct") < choices.index("iscsi")
