"""A real service, a real machine and bad input: the right error, the right state, no standstill.

One lab machine and one service for the whole module, spoken to as an operator (REST),
as a booting machine (TFTP, HTTP) and as a ramdisk (look-up, heartbeat). Each test may
leave the node where it failed: the next one brings it back by the operator's verbs.
At the end the machine shows that it is none the worse for all of it.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import json
import os
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from drophammer import states
from drophammer.errors import DeadlineExceeded
from drophammer.netns import Namespace
from lab import demo, network, serviceconf
from lab.console import SerialLog
from lab.faults import Faults
from lab.lab import Lab, LabMachine, Plan
from lab.life import UP, sidecar
from lab.rest import VERSION, Refused, Rest

# The first test also waits for kernel, ramdisk and image, when there are none yet.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

Json = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
GIB = 1 << 30
DISK_GIB = 5
IMAGE = "good.raw"
HUGE = "huge.raw"
SECRET = "KEEP-THIS-TO-YOURSELF"
TFTP_PORT = 69
RRQ, WRQ, DATA, ERROR = 1, 2, 3, 5
# Limits, not what it takes: a boot takes some ten seconds on a quiet machine without KVM.
BOOT = 100
SOON = 30
BMC_SECONDS = 15
IPMI_SECONDS = 4
ROUNDS = 3
IMPATIENT = f"""\
[ipmi]
command_deadline = {IPMI_SECONDS}

[conductor]
check_provision_state_interval = 2
power_state_change_timeout = 15
deploy_callback_timeout = {BOOT}
clean_callback_timeout = {BOOT}
inspect_wait_timeout = {BOOT}
"""


class Site:
    """One machine, the node that stands for it, and the service that looks after both."""

    def __init__(self, lab: Lab, machine: LabMachine, rest: Rest, folder: Path) -> None:
        self.rest = rest
        self.machine = machine
        self.folder = folder
        self.images = folder / "images"
        self.namespace = Namespace(lab.namespace)
        self.address = str(ipaddress.IPv4Interface(network.Addresses().ipv4).ip)
        self.password = machine.bmc_password_file.read_text().strip()
        self.digest = sidecar(self.images / IMAGE)
        # Cleaned once, at the end: each cleaning is one more boot.
        self.node = self.enrol(machine.name, automated_clean=False)
        rest.post("/v1/ports", {"node_uuid": self.node, "address": machine.mac})

    def enrol(self, name: str, *, bmc: Json | None = None, **more: Any) -> str:
        """A new node with the machine's controller, or what ``bmc`` says instead. Its UUID."""
        machine = self.machine
        info = {
            "ipmi_address": machine.bmc_address,
            "ipmi_port": machine.bmc_port,
            "ipmi_username": machine.bmc_username,
            "ipmi_password": self.password,
            **(bmc or {}),
        }
        body = {"name": name, "driver": "ipmi", "boot_interface": "ipxe", "driver_info": info}
        body["properties"] = {"capabilities": f"boot_mode:{machine.firmware}"}
        return str(self.rest.post("/v1/nodes", {**body, **more})["uuid"])

    # As an operator

    def show(self, node: str = "") -> Json:
        found: Json = self.rest.get(f"/v1/nodes/{node or self.node}")
        return found

    def ask(self, verb: str, node: str = "", **more: Any) -> None:
        url = f"/v1/nodes/{node or self.node}/states/provision"
        self.rest.put(url, {"target": verb, **more})

    def change(self, **values: Any) -> None:
        """Set fields of the node, ``instance_info__x`` being the key x in one of them."""
        steps = [
            {"op": "add", "path": "/" + name.replace("__", "/"), "value": value}
            for name, value in values.items()
        ]
        self.rest.patch(f"/v1/nodes/{self.node}", steps)

    def deploy(self, url: str = "", checksum: str = "", **more: Any) -> None:
        self.change(
            instance_info__image_source=url or self.image_url(IMAGE),
            instance_info__image_checksum=checksum or self.digest,
            instance_info__image_disk_format="raw",
        )
        self.ask("active", **more)

    def image_url(self, name: str) -> str:
        return serviceconf.image_url(network.Addresses(), name)

    def operations(self) -> list[Json]:
        found: list[Json] = self.rest.get(f"/v1/nodes/{self.node}/operations?limit=500")[
            "operations"
        ]
        return found

    def events(self, after: int = 0, node: str = "") -> list[Json]:
        """All events behind the one with the id ``after``, oldest first."""
        found: list[Json] = []
        while True:
            url = f"/v1/nodes/{node or self.node}/events?after={after}&limit=500"
            page = self.rest.get(url)
            if not page["events"]:
                return found
            found += page["events"]
            after = page["next_after"]

    def last_event(self) -> int:
        return max((event["id"] for event in self.events()), default=0)

    # Waiting

    def until(
        self, condition: Callable[[Json], object], seconds: float, what: str, node: str = ""
    ) -> Json:
        """The node as soon as ``condition`` holds for it; fails with all that is known."""
        end = time.monotonic() + seconds
        while True:
            now = self.show(node)
            if condition(now):
                return now
            if time.monotonic() > end:
                pytest.fail(f"not within {seconds:g} s: {what}. {self.told(now)}")
            time.sleep(0.05)

    def ends(self, state: str, seconds: float, node: str = "") -> Json:
        """The node when nothing goes on any more; fails unless it is then in ``state``."""
        now = self.until(_is_resting, seconds, f"at rest in '{state}'", node)
        assert now["provision_state"] == state, self.told(now)
        assert now["reservation"] is None, self.told(now)
        return now

    def in_state(self, state: str, seconds: float) -> Json:
        """The node while it passes through ``state``; fails when it rests elsewhere before."""
        now = self.until(
            lambda node: node["provision_state"] == state or _is_resting(node), seconds, state
        )
        assert now["provision_state"] == state, self.told(now)
        return now

    def powers_off(self, seconds: float = SOON) -> None:
        self.until(lambda _: not self.machine.is_on, seconds, "the machine is off")

    def told(self, node: Json) -> str:
        """What a person would want to know of a node that is not where it should be."""
        machine = "on" if self.machine.is_on else "off"
        lines = [
            f"the node is '{node['provision_state']}', power {node['power_state']}",
            f"its machine is {machine}; last_error: {node['last_error']}",
            "last events:",
        ]
        lines += [
            f"  {event['at'][11:23]} {event['source']} {event['kind']}: {event['message']}"
            for event in self.events(node=node["uuid"])[-12:]
        ]
        console = SerialLog(self.machine.serial_log).tail(8).splitlines()
        return "\n".join([*lines, "console:", *(f"  {line[:160]}" for line in console)])

    # Bringing back

    def bring_back(self) -> None:
        """Repair the controller, and take the node to "available" with its machine off."""
        self.machine.break_bmc(Faults())
        for _ in range(8):
            now = self.until(_is_idle, BOOT, "nobody works on it")
            if now["maintenance"]:
                self.rest.delete(f"/v1/nodes/{self.node}/maintenance")
            verb = _way_back(now["provision_state"])
            if verb is None:
                break
            self.ask(verb)
            self.until(_is_resting, BOOT, f"at rest after '{verb}'")
        now = self.show()
        assert now["provision_state"] == states.AVAILABLE, self.told(now)
        if self.machine.is_on:
            self.rest.put(f"/v1/nodes/{self.node}/states/power", {"target": "power off"})
            self.powers_off()
            self.until(lambda node: node["reservation"] is None, SOON, "nobody holds it")
        if "root_device" in now["properties"]:
            self.rest.patch(
                f"/v1/nodes/{self.node}", [{"op": "remove", "path": "/properties/root_device"}]
            )

    # As a machine on the provisioning network

    def talk(self, port: int, request: bytes) -> bytes:
        """Send ``request`` over TCP inside the namespace; all that comes until the end."""
        with self.namespace.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
            sock.settimeout(SOON)
            sock.connect((self.address, port))
            sock.sendall(request)
            answer = b""
            while part := sock.recv(65536):
                answer += part
            return answer

    def ramdisk_api(self, method: str, path: str, body: Json | None = None) -> tuple[int, str]:
        """Status and text of the API on the provisioning network."""
        connection = http.client.HTTPConnection(self.address, serviceconf.RAMDISK_API_PORT)
        connection.sock = self.namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            connection.sock.settimeout(SOON)
            connection.sock.connect((self.address, serviceconf.RAMDISK_API_PORT))
            headers = {"X-OpenStack-Ironic-API-Version": VERSION}
            headers["Content-Type"] = "application/json"
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def tftp(self, name: str, opcode: int = RRQ) -> tuple[int, bytes]:
        """Opcode and rest of the first answer to a TFTP request; a transfer is broken off."""
        with self.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(SOON)
            request = struct.pack("!H", opcode) + name.encode() + b"\0octet\0"
            sock.sendto(request, (self.address, TFTP_PORT))
            answer, sender = sock.recvfrom(65536)
            if answer[:2] == struct.pack("!H", DATA):
                sock.sendto(struct.pack("!HH", ERROR, 0) + b"enough\0", sender)
            return int.from_bytes(answer[:2], "big"), answer[2:]


def _is_resting(node: Json) -> bool:
    return states.is_resting(node["provision_state"])


def _is_idle(node: Json) -> bool:
    return node["provision_state"] not in states.WORKING


def _way_back(state: str) -> str | None:
    """The verb that brings a node nearer to "available"; None when it is there."""
    if state == states.AVAILABLE:
        return None
    for verb in ("provide", "manage", "deleted", "abort"):
        if states.verb_allowed(verb, state):
            return verb
    raise AssertionError(f"there is no way back from '{state}'")


@pytest.fixture(scope="module")
def whole_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if os.geteuid() != 0 or not network.TUN_DEVICE.exists():
        pytest.skip(f"needs root and {network.TUN_DEVICE}")
    folder = tmp_path_factory.mktemp("bad-input")
    boot_dir, image = demo.prepare(ROOT / ".cache", demo.Teller())
    (folder / "images").mkdir()
    shutil.copy(image, folder / "images" / IMAGE)
    shutil.copy(f"{image}.sha256", folder / "images" / f"{IMAGE}.sha256")
    with (folder / "images" / HUGE).open("wb") as file:
        file.truncate((DISK_GIB + 1) * GIB)
    (folder / "secret.txt").write_text(SECRET)
    (folder / "images" / "leads-out").symlink_to(folder / "secret.txt")
    plan = Plan(nodes=1, firmware="bios", disk=DISK_GIB * 1024)
    with Lab(f"bad-{os.getpid()}", folder / "lab") as lab:
        (machine,) = lab.up(plan)
        with _service(lab, plan, folder, boot_dir) as rest:
            yield Site(lab, machine, rest, folder)


@contextlib.contextmanager
def _service(lab: Lab, plan: Plan, folder: Path, boot_dir: Path) -> Iterator[Rest]:
    """A Drophammer for the lab, as a process of its own, stopped at the end."""
    usual, impatient = folder / "drophammer.conf", folder / "impatient.conf"
    usual.write_text(
        serviceconf.render(
            namespace=lab.namespace,
            addresses=plan.addresses,
            state_dir=folder / "state",
            boot_dir=boot_dir,
            images_dir=folder / "images",
            boot_mode=plan.firmware,
        )
    )
    impatient.write_text(IMPATIENT)
    port, log = demo.free_port(), folder / "drophammer.log"
    command = [sys.executable, "-m", "embedded", "serve", "--listen", f"127.0.0.1:{port}"]
    command += ["--config-file", str(usual), "--config-file", str(impatient)]
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out)
    rest = Rest(f"http://127.0.0.1:{port}")
    try:
        end = time.monotonic() + demo.SERVICE_START_SECONDS
        while not rest.answers():
            if process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"the service did not start: {log.read_text()[-3000:]}")
            time.sleep(0.05)
        yield rest
    finally:
        rest.close()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(demo.SERVICE_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture
def site(whole_site: Site) -> Iterator[Site]:
    """The site, its node "available" and its machine off."""
    whole_site.bring_back()
    yield whole_site
    whole_site.machine.break_bmc(Faults())


# What the power controller will not have


def _back_in_enroll(site: Site, bmc: Json) -> Json:
    """What a node with such a controller is, after "manage", within the time it may take."""
    node = site.enrol("stranger", bmc=bmc)
    try:
        site.ask("manage", node)
        found = site.ends(states.ENROLL, BMC_SECONDS, node)
        assert found["target_provision_state"] is None
        assert site.password not in json.dumps([found, site.events(node=node)])
        return found
    finally:
        site.rest.delete(f"/v1/nodes/{node}")


def test_a_wrong_bmc_password_leaves_the_node_in_enroll(site: Site) -> None:
    wrong = secrets.token_urlsafe(12)
    error = _back_in_enroll(site, {"ipmi_password": wrong})["last_error"]
    machine = site.machine
    assert f"{machine.bmc_address}:{machine.bmc_port}" in error
    assert machine.bmc_username in error
    assert "password" in error
    assert "Check ipmi_username, ipmi_password" in error
    assert wrong not in error


def test_a_bmc_address_where_nobody_listens_leaves_the_node_in_enroll(site: Site) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    error = _back_in_enroll(site, {"ipmi_address": "127.0.0.1", "ipmi_port": port})["last_error"]
    assert f"127.0.0.1:{port}" in error
    assert "Check ipmi_address and ipmi_port" in error


def test_a_bmc_address_that_never_answers_leaves_the_node_in_enroll(site: Site) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        port = deaf.getsockname()[1]
        bmc = {"ipmi_address": "127.0.0.1", "ipmi_port": port}
        error = _back_in_enroll(site, bmc)["last_error"]
    assert f"127.0.0.1:{port}" in error
    assert "Check ipmi_address and ipmi_port" in error


# What the API will not have


def _refused(site: Site, what: Callable[[], object], status: int = 400) -> str:
    """The sentence of a request that must be refused and must change nothing."""
    before = site.show()
    with pytest.raises(Refused) as caught:
        what()
    assert caught.value.status == status, caught.value
    assert site.show() == before
    return str(caught.value)


def test_an_unknown_driver_or_interface_is_refused_by_name(site: Site) -> None:
    url = f"/v1/nodes/{site.node}"
    assert "no-such" in _refused(site, lambda: site.rest.post("/v1/nodes", {"driver": "no-such"}))
    for field in ("driver", "boot_interface", "power_interface"):
        step = {"op": "replace", "path": f"/{field}", "value": "no-such"}
        assert "no-such" in _refused(site, lambda step=step: site.rest.patch(url, [step]))
    _refused(site, lambda: site.rest.get("/v1/drivers/no-such"), 404)


def test_an_unknown_verb_is_refused_with_the_verbs_there_are(site: Site) -> None:
    text = _refused(site, lambda: site.ask("explode"))
    assert "'explode'" in text
    assert all(verb in text for verb in states.VERBS)


def test_a_verb_that_the_state_does_not_have_is_refused_with_what_is_possible(site: Site) -> None:
    text = _refused(site, lambda: site.ask("inspect"))
    assert '"available"' in text
    assert "manage, active" in text


def test_an_unknown_field_is_refused_by_name(site: Site) -> None:
    rest, url = site.rest, f"/v1/nodes/{site.node}"
    step = {"op": "add", "path": "/colour", "value": "red"}
    body = {"driver": "ipmi", "colour": "red"}
    assert "colour" in _refused(site, lambda: rest.post("/v1/nodes", body))
    assert "colour" in _refused(site, lambda: rest.patch(url, [step]))
    assert "colour" in _refused(site, lambda: rest.get(f"{url}?fields=uuid,colour"))
    assert "colour" in _refused(site, lambda: site.ask("active", colour="red"))


def test_a_field_that_only_the_service_sets_is_refused_by_name(site: Site) -> None:
    for field in ("provision_state", "power_state", "last_error", "reservation"):
        text = _refused(site, lambda field=field: site.change(**{field: "active"}))
        assert field in text


def test_a_deployment_in_maintenance_is_refused(site: Site) -> None:
    site.rest.put(f"/v1/nodes/{site.node}/maintenance", {"reason": "a fan is broken"})
    assert "in maintenance" in _refused(site, lambda: site.ask("active"))


@pytest.mark.parametrize("field", ["driver_info", "instance_info"])
@pytest.mark.parametrize(
    "value",
    [
        "console=ttyS0\nboot",
        "console=ttyS0\r\nkernel http://elsewhere/",
        "x={{ node.secret }}",
        "x={% include 'y' %}",
        "x=${net0/mac}",
        "a;b",
    ],
)
def test_kernel_parameters_that_speak_to_the_boot_loader_are_refused(
    site: Site, field: str, value: str
) -> None:
    change = {f"{field}__kernel_append_params": value}
    text = _refused(site, lambda: site.change(**change))
    assert f"{field}/kernel_append_params" in text
    assert "position" in text


# What a machine on the provisioning network may not have


def test_a_look_up_for_a_machine_that_is_not_being_booted_finds_nothing(site: Site) -> None:
    event = site.last_event()
    answers = {
        site.ramdisk_api("GET", f"/v1/lookup?{query}")
        for query in (
            f"addresses={site.machine.mac}",
            f"node_uuid={site.node}",
            "addresses=52:54:00:ff:ff:ff",
        )
    }
    # Who asks learns nothing, not even which of them we know.
    assert {status for status, _ in answers} == {404}
    assert len(answers) == 1
    assert "lookup" not in [one["kind"] for one in site.events(event)]


@pytest.mark.parametrize("path", ["/v1/nodes", "/v1/nodes/detail", "/v1/ports", "/v1/drivers"])
def test_the_provisioning_network_has_no_operator_api(site: Site, path: str) -> None:
    status, text = site.ramdisk_api("GET", path)
    assert status == 404
    assert site.node not in text
    assert site.ramdisk_api("GET", "/v1")[0] == 200


def test_an_operator_verb_from_the_provisioning_network_does_nothing(site: Site) -> None:
    before = site.show()
    url = f"/v1/nodes/{site.node}"
    assert site.ramdisk_api("GET", url)[0] == 404
    assert site.ramdisk_api("DELETE", url)[0] == 404
    verb = {"target": "manage"}
    assert site.ramdisk_api("PUT", f"{url}/states/provision", verb)[0] == 404
    assert site.show() == before


def test_http_hands_out_nothing_from_outside_of_its_folders(site: Site) -> None:
    port = serviceconf.HTTP_PORT
    for path in (
        "/../secret.txt",
        "/images/../secret.txt",
        "/images/./../secret.txt",
        "/images/x/../../secret.txt",
        "/images/%2e%2e/secret.txt",
        "/images/..%2fsecret.txt",
        "/images/%2E%2E%2Fsecret.txt",
        "/images/%252e%252e/secret.txt",
        "/images/..\\secret.txt",
        "/images/..%5csecret.txt",
        "/images/..%00/secret.txt",
        f"/images/{site.folder}/secret.txt",
        f"/images/%2f{str(site.folder)[1:]}/secret.txt",
        "/images/leads-out",
        "/boot/aaaaaaaa/../../secret.txt",
        "//secret.txt",
        "/images/../../../../../../../../etc/hostname",
        f"http://{site.address}/images/../secret.txt",
    ):
        head = f"GET {path} HTTP/1.1\r\nHost: {site.address}\r\nConnection: close\r\n\r\n"
        answer = site.talk(port, head.encode())
        assert answer.split(b" ", 2)[1] in (b"400", b"403", b"404"), (path, answer)
        assert SECRET.encode() not in answer, path
        assert str(site.folder).encode() not in answer, path
    head = f"HEAD /images/{IMAGE} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert site.talk(port, head.encode()).startswith(b"HTTP/1.1 200 ")


def test_tftp_hands_out_nothing_from_outside_of_its_files(site: Site) -> None:
    not_found, access = b"\0\1", b"\0\2"
    for name in (
        "../secret.txt",
        "images/../secret.txt",
        "..\\secret.txt",
        "grub/../../secret.txt",
        "boot/aaaaaaaa/../../secret.txt",
        f"{site.folder}/secret.txt",
        "images/leads-out",
        f"images/{IMAGE}",
        "/etc/hostname",
        "../../../../../../../../etc/hostname",
    ):
        opcode, rest = site.tftp(name)
        assert opcode == ERROR, name
        assert rest[:2] in (not_found, access), (name, rest)
        assert str(site.folder).encode() not in rest, name
    assert site.tftp("undionly.kpxe", WRQ)[0] == ERROR
    opcode, rest = site.tftp("undionly.kpxe")
    assert (opcode, rest[:2], len(rest)) == (DATA, b"\0\1", 2 + 512)


# What cannot be deployed


def _deploy_fails(site: Site, seconds: float) -> str:
    """The last_error of a deployment that fails, leaving the machine off."""
    node = site.ends(states.DEPLOY_FAILED, seconds)
    assert node["target_provision_state"] == states.ACTIVE
    assert node["deploy_step"] == {}
    assert node["maintenance"] is False
    site.powers_off()
    operation = site.operations()[0]
    assert (operation["state"], operation["error"]) == ("failed", node["last_error"])
    return str(node["last_error"])


def _failed_step(site: Site) -> str:
    (step,) = [one for one in site.operations()[0]["steps"] if one["state"] == "failed"]
    return f"{step['interface']}.{step['step']}"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://172.22.0.1:9/good.raw", "Connection refused"),
        ("http://172.22.0.1:8080/images/absent.raw", "HTTP 404"),
        ("http://172.22.0.250/good.raw", "No route to host"),
        ("http://no-such-host.invalid/good.raw", "name"),
    ],
)
def test_an_image_that_cannot_be_reached_fails_before_the_machine_is_touched(
    site: Site, url: str, reason: str
) -> None:
    event = site.last_event()
    site.deploy(url)
    error = _deploy_fails(site, SOON)
    assert url in error
    assert reason.lower() in error.replace(url, "").lower()
    assert "Check the URL" in error
    assert _failed_step(site) == "conductor.check_image"
    told = [(one["kind"], one["message"]) for one in site.events(event)]
    assert ("power", "is on") not in told
    assert "boot" not in dict(told)


def test_an_image_with_a_wrong_checksum_fails_after_the_write_and_boots_nothing(site: Site) -> None:
    wrong = "0" * 64
    site.deploy(checksum=wrong)
    error = _deploy_fails(site, BOOT)
    assert _failed_step(site) == "deploy.write_image"
    assert wrong in error
    assert site.digest in error
    with site.machine.disk.open("rb") as disk:
        assert disk.read(1 << 20) == bytes(1 << 20)


_MARKS = (0, GIB, DISK_GIB * GIB - 512)


def _mark_disk(site: Site) -> bytes:
    mark = secrets.token_bytes(512)
    with site.machine.disk.open("r+b") as disk:
        for offset in _MARKS:
            disk.seek(offset)
            disk.write(mark)
    return mark


def _assert_untouched(site: Site, mark: bytes) -> None:
    with site.machine.disk.open("rb") as disk:
        for offset in _MARKS:
            disk.seek(offset)
            assert disk.read(512) == mark, f"the disk was written at byte {offset}"


def test_an_image_that_is_larger_than_the_disk_is_refused_before_anything_is_written(
    site: Site,
) -> None:
    mark = _mark_disk(site)
    site.deploy(site.image_url(HUGE), "0" * 64)
    error = _deploy_fails(site, BOOT)
    assert f"{(DISK_GIB + 1) * GIB} bytes" in error
    assert "does not fit /dev/vda" in error
    assert f"{DISK_GIB * GIB} bytes" in error
    _assert_untouched(site, mark)


def test_root_device_hints_that_fit_no_disk_are_refused_with_the_disks_there_are(
    site: Site,
) -> None:
    mark = _mark_disk(site)
    site.change(properties__root_device={"serial": "no-such-disk"})
    # It would look for half a minute, as disks may come late.
    site.change(instance_info__kernel_append_params="%default% ipa-disk-wait-attempts=1")
    site.deploy()
    error = _deploy_fails(site, BOOT)
    assert "no disk fits the root device hints" in error
    assert "no-such-disk" in error
    assert "/dev/vda (5.0 GiB" in error
    assert "lab-disk-0" in error
    _assert_untouched(site, mark)


def test_of_two_deployments_at_once_exactly_one_is_taken(site: Site) -> None:
    site.deploy()
    site.in_state(states.WAIT_CALL_BACK, SOON)
    for _ in range(ROUNDS):
        site.ask("abort")
        site.ends(states.DEPLOY_FAILED, SOON)
        before = len(site.operations())
        answers = _both(site, lambda: site.ask("active"))
        taken = [one for one in answers if one is None]
        refused = [one for one in answers if one is not None]
        assert len(taken) == 1, answers
        (other,) = refused
        assert other.status in (400, 409), other
        named = "locked by host" if other.status == 409 else '"active"'
        assert named in str(other)
        assert other.status == 400 or "held for: active" in str(other)
        site.in_state(states.WAIT_CALL_BACK, SOON)
        assert len(site.operations()) == before + 1


def _both(site: Site, what: Callable[[], None]) -> list[Refused | None]:
    """Call ``what`` from two threads in the same instant; None for what was not refused."""
    barrier = threading.Barrier(2, timeout=SOON)
    answers: list[Refused | None] = []

    def one() -> None:
        barrier.wait()
        try:
            what()
            answers.append(None)
        except Refused as refused:
            answers.append(refused)

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    assert len(answers) == 2, f"a request was not answered; {site.told(site.show())}"
    return answers


def test_a_deployment_is_aborted_while_it_waits_for_the_ramdisk(site: Site) -> None:
    site.deploy()
    site.in_state(states.WAIT_CALL_BACK, SOON)
    site.until(lambda _: site.machine.is_on, SOON, "the machine is on")
    site.ask("abort")
    node = site.ends(states.DEPLOY_FAILED, SOON)
    assert node["last_error"].startswith("Aborted by the operator's request")
    assert node["target_provision_state"] == states.ACTIVE
    site.powers_off()
    assert site.operations()[0]["state"] == "aborted"
    # A ramdisk that was under way is not let in any more.
    assert site.ramdisk_api("GET", f"/v1/lookup?addresses={site.machine.mac}")[0] == 404
    assert "Possible from there" in _refused(site, lambda: site.ask("abort"))


# What breaks on the way


def test_a_bmc_that_dies_during_an_inspection_ends_it_with_a_clear_error(site: Site) -> None:
    machine = site.machine
    site.ask("manage")
    site.ends(states.MANAGEABLE, SOON)
    event = site.last_event()
    site.ask("inspect")
    site.in_state(states.INSPECT_WAIT, SOON)
    site.until(lambda _: machine.is_on, SOON, "the machine is on")
    machine.break_bmc(Faults(silent=True))
    error = site.ends(states.INSPECT_FAILED, BOOT)["last_error"]
    assert f"{machine.bmc_address}:{machine.bmc_port}" in error
    assert error.startswith("IPMI ")
    assert "Check" in error
    # The facts had come; it is the way out of the ramdisk that failed, clean-up included.
    errors = [one["message"] for one in site.events(event) if one["kind"] == "error"]
    assert errors[-1] == error
    assert any(text.startswith("Clean-up after the failure: IPMI") for text in errors)


def test_after_all_this_the_machine_is_cleaned_and_deployed_whatever_a_stranger_says(
    site: Site,
) -> None:
    site.ask("manage")
    site.ends(states.MANAGEABLE, SOON)
    site.change(automated_clean=True)
    site.ask("provide")
    site.ends(states.AVAILABLE, BOOT)
    site.change(automated_clean=False)

    event = site.last_event()
    console = SerialLog(site.machine.serial_log).size()
    drive = {"meta_data": {"hostname": "none-the-worse"}}
    site.deploy(configdrive=drive)
    site.in_state(states.WAIT_CALL_BACK, SOON)
    _speak_as_a_stranger(site)
    site.until(
        lambda _: [one for one in site.events(event) if one["kind"] == "heartbeat"],
        BOOT,
        "the ramdisk has called back",
    )
    ours = site.show()["driver_internal_info"]["agent_url"]
    _speak_as_a_stranger(site)
    assert site.show()["driver_internal_info"].get("agent_url") in (ours, None)

    assert site.ends(states.ACTIVE, BOOT)["last_error"] is None
    try:
        found = SerialLog(site.machine.serial_log).wait(UP, BOOT, console)
    except DeadlineExceeded as error:
        pytest.fail(f"{error.message}\n{site.told(site.show())}")
    assert found.match.group(1) == "none-the-worse"
    assert site.machine.is_on


def test_a_rebuild_whose_image_cannot_be_reached_leaves_the_running_system_alone(
    whole_site: Site,
) -> None:
    site = whole_site
    if site.show()["provision_state"] != states.ACTIVE:
        site.bring_back()
        site.deploy()
        site.ends(states.ACTIVE, BOOT)
    event = site.last_event()
    site.change(instance_info__image_source="http://172.22.0.1:9/good.raw")
    site.ask("rebuild")
    error = site.ends(states.DEPLOY_FAILED, SOON)["last_error"]
    assert "Connection refused" in error
    assert _failed_step(site) == "conductor.check_image"
    assert "power" not in [one["kind"] for one in site.events(event)]
    assert site.machine.is_on


def _speak_as_a_stranger(site: Site) -> None:
    """Beats that do not come from the node's agent are refused, each for its reason."""
    url = f"/v1/heartbeat/{site.node}"
    beat = {"callback_url": "https://172.22.0.66:9999", "agent_version": "1.0"}
    status, text = site.ramdisk_api("POST", url, beat)
    assert (status, "agent_token" in text) == (400, True), text
    status, text = site.ramdisk_api("POST", url, {**beat, "agent_token": "x" * 43})
    assert (status, "agent_token" in text) == (400, True), text
    assert site.ramdisk_api("POST", url, {**beat, "agent_token": ""})[0] == 400
