"""A scripted conductor, an image server that can break, real loop disks, a running agent."""

import contextlib
import hashlib
import json
import os
import queue
import random
import ssl
import subprocess
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from agent import cmdline
from agent.hardware import Machine
from agent.main import Agent
from tests.patience import PATIENCE

TOKEN = "t" * 43
UUID = "5a1b7a9e-0000-4000-8000-000000000001"
MIB = 1 << 20


class QuietHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def reply(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def serving(handler_class, **attributes):
    """A server on a free loopback port; ``attributes`` are set on it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_class)
    server.daemon_threads = True
    server.block_on_close = False
    for name, value in attributes.items():
        setattr(server, name, value)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class ConductorHandler(QuietHandler):
    def do_GET(self):
        script = self.server.script
        script.note(self, None)
        if self.path == "/":
            body = {"default_version": {"version": script.version}}
            status = script.root_statuses.pop(0) if script.root_statuses else 200
            self.reply(status, json.dumps(body).encode())
        else:
            status, body = script.next_lookup()
            self.reply(status, json.dumps(body).encode())

    def do_POST(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        script, body = self.server.script, json.loads(data)
        script.note(self, body)
        if self.path.startswith("/v1/heartbeat/"):
            status = script.heartbeat_statuses.pop(0) if script.heartbeat_statuses else 202
            self.reply(status)
            script.heartbeats.put(body)
        else:
            status = script.inspection_statuses.pop(0) if script.inspection_statuses else 202
            self.reply(status, json.dumps({"uuid": UUID}).encode())
            script.inspections.put(body)


class Script:
    """What the conductor answers, and what it has heard."""

    def __init__(self):
        self.version, self.root_statuses = "1.115", []
        self.config = {"heartbeat_timeout": 300, "agent_token": TOKEN, "tls_min_version": "1.3"}
        self.node = {"uuid": UUID, "properties": {}, "instance_info": {}}
        self.lookups, self.heartbeat_statuses, self.inspection_statuses = [], [], []
        self.heard = []
        self.heartbeats, self.inspections = queue.Queue(), queue.Queue()
        self.url = ""

    def note(self, handler, body):
        version = handler.headers.get("X-OpenStack-Ironic-API-Version")
        self.heard.append((handler.command, handler.path, version, body))

    def next_lookup(self):
        if self.lookups:
            return self.lookups.pop(0)
        return 200, {"node": self.node, "config": self.config}

    def paths(self):
        return [path.partition("?")[0] for _, path, _, _ in self.heard]


@pytest.fixture
def conductor():
    script = Script()
    with serving(ConductorHandler, script=script) as server:
        script.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield script


class ImageHandler(QuietHandler):
    """Serves ``server.image``; what else happens is in ``server.behaviour``."""

    def do_GET(self):
        server = self.server
        wanted = self.headers.get("Range")
        server.requests.append((self.path, wanted, self.headers.get("Authorization")))
        if self.path == "/SUMS":
            digest = hashlib.sha256(server.image).hexdigest()
            self.reply(200, f"{'0' * 64}  other.img\n{digest}  disk.img\n".encode())
            return
        if self.path == "/moved":
            self.reply(302, Location="/disk.img")
            return
        if self.path not in ("/disk.img", "/chunked"):
            self.reply(404)
            return
        start = 0
        if wanted and server.ranges:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        body = server.image[start:]
        self.send_response(206 if start else 200)
        if start:
            end = len(server.image) - 1
            self.send_header("Content-Range", f"bytes {start}-{end}/{len(server.image)}")
        self.send_header("ETag", server.etags.pop(0) if server.etags else '"one"')
        if self.path == "/chunked":
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = server.cuts.pop(0) if server.cuts else len(body)
        self.close_connection = True
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.send(body[:cut])

    def send(self, body):
        if self.path != "/chunked":
            self.wfile.write(body)
            return
        for at in range(0, len(body), 100_000):
            piece = body[at : at + 100_000]
            self.wfile.write(b"%x\r\n" % len(piece) + piece + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")


@pytest.fixture
def image_server():
    """``image`` is what is served, ``cuts`` after how many bytes each connection breaks."""
    with serving(ImageHandler, image=b"", cuts=[], etags=[], ranges=True, requests=[]) as server:
        server.url = f"http://127.0.0.1:{server.server_address[1]}/disk.img"
        yield server


@pytest.fixture(scope="session")
def image():
    """An odd-sized image: data, a long run of zeros, data, and a tail of half a sector."""
    rng = random.Random(1)
    parts = [rng.randbytes(3 * MIB), bytes(5 * MIB), rng.randbytes(2 * MIB), rng.randbytes(768)]
    return b"".join(parts)


def image_info(server, content=None, **more):
    digest = hashlib.sha256(server.image if content is None else content).hexdigest()
    return {"id": "disk.img", "urls": [server.url], "checksum": digest, **more}


@pytest.fixture
def make_info():
    return image_info


@pytest.fixture
def make_loop(tmp_path):
    """Makes loop disks over sparse files filled with a pattern at both ends."""
    made = []

    def make(size=64 * MIB, sector=512, read_only=False):
        path = tmp_path / f"disk{len(made)}"
        with path.open("wb") as file:
            file.write(b"\xa5" * (16 * MIB))
            file.seek(size - 2 * MIB)
            file.write(b"\xa5" * (2 * MIB))
            file.truncate(size)
        command = ["losetup", "--find", "--show", "--sector-size", str(sector), str(path)]
        if read_only:
            command.insert(1, "--read-only")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no loop device can be made: {done.stderr.strip()}")
        device = done.stdout.strip()
        made.append(device)
        return device

    yield make
    for device in made:
        subprocess.run(["losetup", "--detach", device], check=True)


def disk_record(device):
    size = int(subprocess.check_output(["blockdev", "--getsize64", device]))
    return {"name": device, "size": size, "model": "loop", "serial": None, "vendor": None}


@pytest.fixture
def describe():
    return disk_record


class RunningAgent:
    """The real agent in a thread, with the machine's own disks replaced by loop disks."""

    def __init__(self, command_line, disks, sys_root, root="/nowhere"):
        self.off, self.restarted = threading.Event(), threading.Event()
        options = cmdline.Options(cmdline.parse(command_line))
        self.agent = Agent(
            options,
            Machine(str(sys_root), str(sys_root), boot_mac=options.boot_mac),
            off=self.off.set,
            restart=self.restarted.set,
            disks=lambda: disks,
            root=root,
        )
        self.error = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            self.agent.run()
        except Exception as error:
            self.error = error

    def stop(self):
        self.agent.stop()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()


@pytest.fixture
def sys_root(tmp_path):
    """A /sys with one network interface."""
    nic = tmp_path / "sys/class/net/eth0"
    (nic / "device").mkdir(parents=True)
    (nic / "address").write_text("52:54:00:22:00:01\n")
    (nic / "type").write_text("1\n")
    return tmp_path / "sys"


@pytest.fixture
def start_agent(conductor, sys_root):
    """Starts an agent against the scripted conductor; stops it at the end of the test."""
    running = []

    def start(extra="", disks=(), api=True, **more):
        words = f"ipa-api-url={conductor.url} " if api else ""
        words += "ipa-listen-host=127.0.0.1 ipa-listen-port=0 ipa-disk-wait-attempts=1"
        words += " ipa-image-download-connection-retry-interval=0 ipa-lookup-interval=0.01"
        agent = RunningAgent(f"{words} {extra}", list(disks), sys_root, **more)
        running.append(agent)
        return agent

    yield start
    for agent in running:
        agent.stop()


class Client:
    """The conductor's side of the command API, verifying the agent's certificate."""

    def __init__(self, beat, token=TOKEN):
        self.url, self.token = beat["callback_url"], token
        self.context = None
        if "agent_verify_ca" in beat:
            self.context = ssl.create_default_context(cadata=beat["agent_verify_ca"])
            self.context.minimum_version = ssl.TLSVersion.TLSv1_3

    def call(self, method, path, body=None, token=None):
        joint = "&" if "?" in path else "?"
        token = self.token if token is None else token
        url = f"{self.url}{path}{joint}agent_token={token}"
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE, context=self.context) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def command(self, name, wait=True, **params):
        path = f"/v1/commands/?wait={'true' if wait else 'false'}"
        return self.call("POST", path, {"name": name, "params": params})

    def finished(self, name, **params):
        status, result = self.command(name, **params)
        assert status == 200, result
        return result


@pytest.fixture
def make_client():
    return Client


@pytest.fixture
def client(conductor, start_agent, make_client):
    """An agent without disks, found by the conductor, and a client for it."""
    start_agent()
    return make_client(conductor.heartbeats.get(timeout=PATIENCE))


def write_options(**more):
    words = {"image-download-connection-retry-interval": "0", "disk-wait-attempts": "1", **more}
    return cmdline.Options({f"ipa-{name}": value for name, value in words.items()})


@pytest.fixture
def options():
    return write_options


@pytest.fixture
def content_of():
    """The first ``length`` bytes that a disk really holds, past every cache."""

    def read(device, length):
        subprocess.run(["blockdev", "--flushbufs", device], check=True)
        fd = os.open(device, os.O_RDONLY)
        try:
            with os.fdopen(fd, "rb", closefd=False) as file:
                return file.read(length)
        finally:
            os.close(fd)

    return read
