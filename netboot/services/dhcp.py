"""DHCP for known machines: dnsmasq as a child process, given its configuration and hosts.

Decides nothing about leases or loaders: dhcp_config.py writes that down and dnsmasq
does it. Machines that are not in the hosts file get no answer.
"""

from __future__ import annotations

import errno
import grp
import logging
import os
import pwd
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from drophammer.errors import Invalid, Unavailable
from drophammer.netns import Namespace
from netboot.services.dhcp_config import DhcpFiles, render, render_hosts
from netboot.services.dhcp_log import DhcpEvent, DhcpLog, file_read
from netboot.services.process import Supervised
from netboot.settings import DhcpSettings

log = logging.getLogger(__name__)

PORT = 67
START_SECONDS = 10.0
RELOAD_SECONDS = 5.0


class DhcpServer:
    """One dnsmasq. ``seen`` is told of DHCP messages, in a thread of this object."""

    def __init__(
        self,
        settings: DhcpSettings,
        namespace: Namespace,
        *,
        address: str,
        script_url: str,
        folder: Path,
        seen: Callable[[DhcpEvent], None],
    ) -> None:
        self.files = DhcpFiles.below(folder)
        self._settings = settings
        self._namespace = namespace
        self._address = address
        self._script_url = script_url
        self._folder = folder
        self._seen = seen
        self._log = DhcpLog()
        self._changing = threading.Lock()
        self._news = threading.Condition()
        self._reads = 0
        self._up = False
        self._failed = False
        self._hosts = ""
        self._child = Supervised(
            "dnsmasq",
            namespace.command([settings.program, "--keep-in-foreground", f"-C{self.files.config}"]),
            heard=self._heard,
            ended=self._ended,
        )

    @property
    def state(self) -> str:
        """For people: whether it runs, for how many machines, or why not."""
        if not self._up:
            return self._child.state
        return f"{self._child.state}, knows {self._hosts.count(chr(10))} network cards"

    @property
    def pid(self) -> int | None:
        """Process id of dnsmasq while it runs."""
        return self._child.pid

    def start(self, hosts: Iterable[tuple[str, str | None]]) -> None:
        """Write the files, check them, run dnsmasq; returns when it answers.

        Raises Invalid for a configuration that dnsmasq refuses, Unavailable with
        dnsmasq's words when it cannot run.
        """
        self._require(self._settings.program)
        self._write_files(render_hosts(hosts))
        self._check_config()
        self._check_port()
        self._child.start()
        with self._news:
            self._news.wait_for(lambda: self._up or self._failed, START_SECONDS)
            up = self._up
        if not up:
            state = self._child.state
            self.stop()
            raise Unavailable(
                f"DHCP on {self._settings.interface} ({self._address}, UDP port {PORT}) does not "
                f"start: dnsmasq {state}. See that the interface exists and has this address, and "
                "that this process may open port 67 (CAP_NET_BIND_SERVICE, CAP_NET_ADMIN and "
                "CAP_NET_RAW)."
            )

    def stop(self) -> None:
        """End dnsmasq; returns when it is gone. Leases stay on disk."""
        self._child.stop()
        self._up = False

    def set_hosts(self, hosts: Iterable[tuple[str, str | None]]) -> None:
        """Make these the known machines; returns when dnsmasq knows them.

        Does nothing when they are known already. Raises Unavailable when dnsmasq is
        down or does not read them in time.
        """
        text = render_hosts(hosts)
        with self._changing:
            with self._news:
                if self._up and text == self._hosts:
                    return
                before = self._reads
            _replace(self.files.hosts, text, 0o600)
            with self._news:
                # A dnsmasq that is still starting would die of the signal; it reads the
                # new file in any case.
                if self._up:
                    self._child.signal(signal.SIGHUP)
                if not self._news.wait_for(lambda: self._reads > before, RELOAD_SECONDS):
                    raise Unavailable(
                        f"dnsmasq did not take the new list of machines: {self._child.state}."
                    )
                self._hosts = text

    def _heard(self, line: str) -> None:
        if file_read(line) == str(self.files.hosts):
            with self._news:
                self._reads += 1
                self._up = True
                self._news.notify_all()
            return
        event = self._log.read(line)
        if event is not None:
            self._seen(event)
        elif not line.startswith("dnsmasq-dhcp"):
            log.info("%s", line)

    def _ended(self) -> None:
        with self._news:
            self._up = False
            self._failed = True
            self._news.notify_all()

    def _write_files(self, hosts: str) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _replace(self.files.hosts, hosts, 0o600)
            _replace(self.files.config, self._config(), 0o600)
        except OSError as error:
            raise Unavailable(
                f"The DHCP configuration cannot be written to {self._folder}: {error.strerror}. "
                "Make [netboot]state_dir a folder that this process may write to."
            ) from error
        self._hosts = hosts

    def _config(self) -> str:
        return render(
            self._settings,
            address=self._address,
            script_url=self._script_url,
            files=self.files,
            user=_name(lambda: pwd.getpwuid(os.geteuid()).pw_name, "user", os.geteuid()),
            group=_name(lambda: grp.getgrgid(os.getegid()).gr_name, "group", os.getegid()),
        )

    def _check_config(self) -> None:
        argv = [self._settings.program, "--test", f"-C{self.files.config}"]
        try:
            done = subprocess.run(
                argv, capture_output=True, timeout=10, stdin=subprocess.DEVNULL, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable(f"dnsmasq could not check its configuration: {error}") from error
        if done.returncode:
            words = " ".join(done.stderr.decode("utf-8", "replace").split())
            raise Invalid(
                f"dnsmasq refuses the configuration made from [netboot]: {words}. Is its version "
                "2.86 or later?"
            )

    def _check_port(self) -> None:
        """dnsmasq shares port 67 without a word, and two servers on one network fight."""
        try:
            self._namespace.call(self._try_port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                reason = "another program has it; stop that program, or set dhcp_enabled = false"
            elif error.errno == errno.ENODEV:
                reason = "there is no such interface; correct [netboot]interface"
            elif error.errno in (errno.EPERM, errno.EACCES):
                reason = "this process may not; run it as root or with CAP_NET_BIND_SERVICE"
            else:
                reason = f"{error.strerror}; correct [netboot]network_namespace and interface"
            raise Unavailable(
                f"DHCP cannot listen on UDP port {PORT} of {self._settings.interface}: {reason}."
            ) from error

    def _try_port(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            device = self._settings.interface.encode()
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device)
            probe.bind(("", PORT))

    def _require(self, program: str) -> None:
        if shutil.which(program) is None:
            raise Unavailable(
                f"DHCP needs the program {program!r}, which is not installed here: install the "
                "package dnsmasq-base, correct [netboot]dnsmasq, or set dhcp_enabled = false."
            )


def _name(ask: Callable[[], str], kind: str, number: int) -> str:
    try:
        return ask()
    except KeyError:
        raise Invalid(
            f"This process runs with the {kind} id {number}, which has no name here; dnsmasq "
            "needs one."
        ) from None


def _replace(path: Path, text: str, mode: int) -> None:
    """Write a file so that a reader sees either the old or the new one, whole."""
    fresh = path.with_name(path.name + ".new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(fd, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
