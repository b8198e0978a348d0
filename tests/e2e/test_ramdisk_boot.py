"""The built ramdisk on a virtual machine: inspection, and a whole clean and deploy dialogue.

The conductor is scripted here; the machine, its kernel, network and disk are
QEMU's. Needs no root: user-mode networking, with the agent's port forwarded.
"""

import hashlib
import http.client
import json
import os
import queue
import random
import re
import shutil
import socket
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ramdisk.build import build

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(400),
    pytest.mark.skipif(not shutil.which("qemu-system-x86_64"), reason="needs QEMU"),
]

MIB = 1 << 20
TOKEN = "e" * 43
UUID = "0c7e6c2e-0000-4000-8000-0000000000e2"
MAC = "52:54:00:22:00:07"
GUEST = "10.0.2.15"
HOST = "10.0.2.2"
CACHE = Path(__file__).parents[2] / ".cache"


@pytest.fixture(scope="session")
def ramdisk():
    return build(CACHE / "ramdisk/e2e", cache_dir=CACHE)


@pytest.fixture(scope="session")
def image(tmp_path_factory):
    """A partitioned image with data, zeros and data."""
    path = tmp_path_factory.mktemp("image") / "image.raw"
    with path.open("wb") as file:
        file.truncate(24 * MIB)
    script = "label: gpt\nstart=1M, size=16M\n"
    subprocess.run(["sfdisk", "-q", path], input=script, text=True, check=True)
    rng = random.Random(3)
    with path.open("r+b") as file:
        for offset in (1, 3, 15):
            file.seek(offset * MIB)
            file.write(rng.randbytes(MIB))
    return path.read_bytes()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def reply(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/image.raw":
            self.reply(200, self.server.image)
        elif self.path.startswith("/v1/lookup"):
            config = {"heartbeat_timeout": 300, "agent_token": TOKEN, "tls_min_version": "1.3"}
            self.reply(200, json.dumps({"node": {"uuid": UUID}, "config": config}).encode())
        else:
            self.reply(200, json.dumps({"default_version": {"version": "1.115"}}).encode())

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.reply(202, json.dumps({"uuid": UUID}).encode())
        kind = "heartbeats" if "heartbeat" in self.path else "inspections"
        getattr(self.server, kind).put(body)


@pytest.fixture
def conductor(image):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.image, server.heartbeats, server.inspections = image, queue.Queue(), queue.Queue()
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


class Machine:
    """One QEMU machine with a disk of 5 GiB that has old content."""

    def __init__(self, folder, ramdisk, port, arguments):
        self.disk, self.serial, self.qmp = folder / "disk", folder / "serial", folder / "qmp"
        with self.disk.open("wb") as file:
            file.truncate(5 << 30)
        old = "label: gpt\nsize=100M\nsize=100M\n"
        subprocess.run(["sfdisk", "-q", self.disk], input=old, text=True, check=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.agent_port = probe.getsockname()[1]
        accel = "kvm" if _kvm_works() else "tcg,thread=multi"
        kernel_line = (
            "console=ttyS0 no_timer_check panic=10 quiet"
            f" BOOTIF=01-{MAC.replace(':', '-')} {arguments.format(base=f'http://{HOST}:{port}')}"
        )
        network = f"user,id=n0,hostfwd=tcp:127.0.0.1:{self.agent_port}-:9999"
        self.process = subprocess.Popen(
            [
                *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none"),
                *("-vga", "none", "-M", "pc,graphics=off", "-accel", accel, "-cpu", "max"),
                *("-smp", "1", "-m", "192", "-kernel", ramdisk.kernel, "-initrd", ramdisk.initrd),
                *("-append", kernel_line, "-netdev", network),
                *("-device", f"virtio-net-pci,netdev=n0,mac={MAC}"),
                *("-drive", f"if=none,id=d0,file={self.disk},format=raw,cache=unsafe"),
                *("-device", "virtio-blk-pci,drive=d0,serial=LAB-7"),
                *("-serial", f"file:{self.serial}"),
                *("-qmp", f"unix:{self.qmp},server=on,wait=off"),
            ]
        )

    def console(self):
        return self.serial.read_text(errors="replace") if self.serial.exists() else ""

    def press_power_button(self):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self.qmp))
            with sock.makefile("rw") as monitor:
                monitor.readline()
                for command in ("qmp_capabilities", "system_powerdown"):
                    monitor.write(json.dumps({"execute": command}) + "\n")
                    monitor.flush()
                    monitor.readline()

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def _kvm_works():
    flags = Path("/proc/cpuinfo").read_text()
    return os.access("/dev/kvm", os.W_OK) and re.search(r"\b(vmx|svm)\b", flags) is not None


@pytest.fixture
def boot(tmp_path, ramdisk, conductor):
    machines = []

    def start(arguments):
        machines.append(Machine(tmp_path, ramdisk, conductor.server_address[1], arguments))
        return machines[-1]

    yield start
    for machine in machines:
        machine.stop()


def heard(inbox, machine):
    try:
        return inbox.get(timeout=120)
    except queue.Empty:
        pytest.fail(f"nothing came from the agent; its console:\n{machine.console()[-4000:]}")


class AgentConnection(http.client.HTTPSConnection):
    """TLS to the forwarded port, verified against the agent's own certificate and address."""

    def __init__(self, machine, certificate):
        context = ssl.create_default_context(cadata=certificate)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        super().__init__("127.0.0.1", machine.agent_port, timeout=120, context=context)

    def connect(self):
        plain = socket.create_connection((self.host, self.port), self.timeout)
        self.sock = self._context.wrap_socket(plain, server_hostname=GUEST)


class Client:
    def __init__(self, machine, beat):
        assert beat["callback_url"] == f"https://{GUEST}:9999"
        self.machine, self.certificate = machine, beat["agent_verify_ca"]

    def call(self, method, path, body=None):
        connection = AgentConnection(self.machine, self.certificate)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, f"{path}agent_token={TOKEN}", data)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def command(self, name, wait, **params):
        path = f"/v1/commands/?wait={'true' if wait else 'false'}&"
        status, result = self.call("POST", path, {"name": name, "params": params})
        assert status == 200, result
        return result

    def last(self):
        return self.call("GET", "/v1/commands/?")[1]["commands"][-1]


def test_the_inventory_of_the_machine_arrives(boot, conductor):
    machine = boot("ipa-inspection-callback-url={base}/v1/continue_inspection")
    body = heard(conductor.inspections, machine)
    inventory = body["inventory"]
    (nic,) = inventory["interfaces"]
    assert (nic["mac_address"], nic["ipv4_address"], nic["has_carrier"]) == (MAC, GUEST, True)
    assert nic["driver"] == "virtio_net"
    (disk,) = inventory["disks"]
    assert (disk["name"], disk["size"], disk["serial"]) == ("/dev/vda", 5 << 30, "LAB-7")
    assert body["root_disk"]["name"] == "/dev/vda"
    assert inventory["cpu"]["count"] == 1
    assert inventory["cpu"]["architecture"] == "x86_64"
    assert inventory["memory"]["physical_mb"] == 192
    assert inventory["system_vendor"]["manufacturer"] == "QEMU"
    assert inventory["boot"] == {"current_boot_mode": "bios", "pxe_interface": MAC}
    assert body["error"] is None
    assert inventory["bmc_address"] is None
    # Quiet afterwards, and still awake: the power button turns it off.
    machine.press_power_button()
    assert machine.process.wait(60) == 0
    assert conductor.heartbeats.empty()


def test_a_disk_is_cleaned_and_written_and_the_machine_turns_itself_off(boot, conductor, image):
    machine = boot("ipa-api-url={base}")
    client = Client(machine, heard(conductor.heartbeats, machine))
    node = {"uuid": UUID, "properties": {}, "instance_info": {}, "driver_internal_info": {}}

    offered = client.command("clean.get_clean_steps", True, node=node, ports=[])["command_result"]
    (steps,) = offered["clean_steps"].values()
    step = next(step for step in steps if step["step"] == "erase_devices_metadata")
    version = offered["hardware_manager_version"]
    client.command(
        "clean.execute_clean_step", False, step=step, node=node, ports=[], clean_version=version
    )
    heard(conductor.heartbeats, machine)
    last = client.last()
    assert last["command_status"] == "SUCCEEDED", last
    assert last["command_result"]["clean_step"] == step
    with machine.disk.open("rb") as disk:
        assert disk.read(4 * MIB) == bytes(4 * MIB)
        disk.seek(-MIB, os.SEEK_END)
        assert disk.read() == bytes(MIB)

    offered = client.command("deploy.get_deploy_steps", True, node=node, ports=[])["command_result"]
    info = {
        "id": "image",
        "urls": [f"http://{HOST}:{conductor.server_address[1]}/image.raw"],
        "os_hash_algo": "sha256",
        "os_hash_value": hashlib.sha256(image).hexdigest(),
        "disk_format": "raw",
        "stream_raw_images": True,
    }
    step = {"step": "write_image", "interface": "deploy", "args": {"image_info": info}}
    client.command(
        "deploy.execute_deploy_step",
        False,
        step=step,
        node=node,
        ports=[],
        deploy_version=offered["hardware_manager_version"],
    )
    heard(conductor.heartbeats, machine)
    last = client.last()
    assert last["command_status"] == "SUCCEEDED", last
    uuids = client.command("standby.get_partition_uuids", True)["command_result"]
    assert re.fullmatch(r"[0-9a-f-]{36}", uuids["root uuid"])

    assert client.command("standby.power_off", False)["command_error"] is None
    assert machine.process.wait(60) == 0
    with machine.disk.open("rb") as disk:
        assert disk.read(len(image)) == image
