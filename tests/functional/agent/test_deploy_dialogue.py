"""The dialogue of a deploy over the wire, with a slow image server for what runs long."""

import hashlib
import subprocess
import threading

import pytest

from tests.patience import PATIENCE

GIB = 1 << 30
MIB = 1 << 20


class Gate:
    """Holds back the image after its first bytes until the test opens it."""

    def __init__(self, server):
        self.opened = threading.Event()
        self.begun = threading.Event()
        original = server.RequestHandlerClass.send

        def held_back(handler, body):
            handler.wfile.write(body[:MIB])
            handler.wfile.flush()
            self.begun.set()
            assert self.opened.wait(PATIENCE)
            original(handler, body[MIB:])

        server.RequestHandlerClass = type(
            "Held", (server.RequestHandlerClass,), {"send": held_back}
        )


class Deploy:
    def __init__(self, client, info, device):
        self.client = client
        self.step = {"step": "write_image", "interface": "deploy", "args": {"image_info": info}}
        self.node = {"properties": {"root_device": {"name": device}}, "instance_info": {}}

    def start(self):
        status, result = self.client.command(
            "deploy.execute_deploy_step",
            wait=False,
            step=self.step,
            node=self.node,
            ports=[],
            deploy_version={"drophammer_agent": "1"},
        )
        assert (status, result["command_status"]) == (200, "RUNNING")
        return result["id"]


@pytest.fixture
def deploy(
    conductor, start_agent, make_client, make_loop, describe, image_server, image, make_info
):
    """A found agent with one disk, ready to write; ``conductor.config`` may be set before."""

    def begin():
        image_server.image = image
        device = make_loop()
        start_agent(disks=[describe(device)])
        client = make_client(conductor.heartbeats.get(timeout=PATIENCE))
        return Deploy(client, make_info(image_server), device), device

    return begin


def test_write_image_is_followed_by_a_heartbeat_at_once(deploy, conductor, content_of, image):
    run, device = deploy()
    job = run.start()
    conductor.heartbeats.get(timeout=PATIENCE)
    status, listed = run.client.call("GET", "/v1/commands/")
    last = listed["commands"][-1]
    assert (status, last["id"], last["command_status"]) == (200, job, "SUCCEEDED")
    assert last["command_name"] == "execute_deploy_step"
    assert last["command_result"]["deploy_step"] == run.step
    assert "verified" in last["command_result"]["deploy_result"]
    assert content_of(device, len(image)) == image


def test_a_failed_write_is_a_failed_command_with_its_reason(deploy, conductor):
    run, _ = deploy()
    run.step["args"]["image_info"]["checksum"] = "0" * 64
    run.start()
    conductor.heartbeats.get(timeout=PATIENCE)
    last = run.client.call("GET", "/v1/commands/")[1]["commands"][-1]
    assert last["command_status"] == "FAILED"
    assert last["command_error"]["type"] == "ImageChecksumMismatch"
    assert last["command_result"] is None


def test_a_second_command_is_busy_while_the_image_is_written(deploy, conductor, image_server):
    gate = Gate(image_server)
    run, _ = deploy()
    run.start()
    assert gate.begun.wait(PATIENCE)
    status, answer = run.client.command("standby.sync")
    assert status == 409
    assert answer["faultstring"].startswith("Agent is busy")
    assert run.client.call("GET", "/v1/commands/")[1]["commands"][0]["command_status"] == "RUNNING"
    gate.opened.set()
    conductor.heartbeats.get(timeout=PATIENCE)
    assert run.client.command("standby.sync")[0] == 200


def test_waiting_for_a_command_returns_when_it_ends(deploy, image_server):
    gate = Gate(image_server)
    run, _ = deploy()
    job = run.start()
    assert gate.begun.wait(PATIENCE)
    answers = []
    waiter = threading.Thread(
        target=lambda: answers.append(run.client.call("GET", f"/v1/commands/{job}?wait=true"))
    )
    waiter.start()
    gate.opened.set()
    waiter.join(PATIENCE)
    assert answers[0][1]["command_status"] == "SUCCEEDED"


def test_progress_is_reported_when_the_conductor_asks_for_it(deploy, conductor, image_server):
    conductor.config["drophammer"] = {"progress_interval": 0.05}
    gate = Gate(image_server)
    run, _ = deploy()
    run.start()
    assert gate.begun.wait(PATIENCE)
    reports = []
    while not any(report and report["done"] >= MIB for report in reports):
        reports.append(conductor.heartbeats.get(timeout=PATIENCE).get("agent_progress"))
    gate.opened.set()
    last = reports[-1]
    assert last["command"] == "execute_deploy_step"
    assert last["step"] == "write_image"
    assert last["total"] == len(image_server.image)
    assert set(last) == {"command", "step", "done", "total", "message"}


def test_without_being_asked_no_progress_is_reported(deploy, conductor):
    run, _ = deploy()
    run.start()
    assert "agent_progress" not in conductor.heartbeats.get(timeout=PATIENCE)


def test_the_written_disks_ids_are_told(deploy, conductor, image_server, image, tmp_path):
    run, _ = deploy()
    image_server.image = mbr_image(tmp_path)
    run.step["args"]["image_info"]["checksum"] = sha256(image_server.image)
    run.start()
    conductor.heartbeats.get(timeout=PATIENCE)
    result = run.client.finished("standby.get_partition_uuids")["command_result"]
    assert result == {"root uuid": "0x12345678", "efi system partition uuid": None}
    loader = run.client.finished("image.install_bootloader", target_boot_mode="bios")
    assert loader["command_status"] == "SUCCEEDED"


def test_a_disk_that_cannot_boot_by_uefi_is_a_failure_unless_ignored(
    deploy, conductor, image_server, tmp_path
):
    run, _ = deploy()
    image_server.image = mbr_image(tmp_path)
    run.step["args"]["image_info"]["checksum"] = sha256(image_server.image)
    run.start()
    conductor.heartbeats.get(timeout=PATIENCE)
    failed = run.client.finished("image.install_bootloader", target_boot_mode="uefi")
    assert failed["command_status"] == "FAILED"
    assert "no EFI system partition" in failed["command_error"]["message"]
    ignored = run.client.finished(
        "image.install_bootloader", target_boot_mode="uefi", ignore_bootloader_failure=True
    )
    assert ignored["command_status"] == "SUCCEEDED"


def mbr_image(tmp_path):
    path = tmp_path / "mbr.img"
    path.write_bytes(bytes(4 * MIB))
    script = "label: dos\nlabel-id: 0x12345678\nsize=1M\n"
    subprocess.run(["sfdisk", "-q", path], input=script, text=True, check=True)
    return path.read_bytes()


def sha256(data):
    return hashlib.sha256(data).hexdigest()
