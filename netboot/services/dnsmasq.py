"""One dnsmasq as our child: its files, its life, its list of machines.

Knows nothing of what the configuration says. New configuration is tried (``dnsmasq --test``)
before it takes the place of the old. Always a child of this process, with systemd too: what
machines ask is read from its standard error, and its hosts change as nodes do.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from drophammer.errors import DrophammerError, Unavailable
from drophammer.netns import Namespace
from netboot.monitor.service import (
    CHILD,
    DEAD,
    OFF,
    ON,
    RUNNING,
    STARTING,
    UNAVAILABLE,
    Actual,
    Expected,
    Restarted,
)
from netboot.services.dhcp_config import DhcpFiles
from netboot.services.dhcp_log import advertises, file_read
from netboot.services.dhcp_ports import Ports
from netboot.services.dnsmasq_files import Folder
from netboot.services.process import Supervised, nothing

log = logging.getLogger(__name__)

START_SECONDS = 10.0
RELOAD_SECONDS = 5.0


@dataclass(frozen=True)
class Plan:
    """What a dnsmasq is to do. ``reads_hosts`` is false where it has nobody to tell apart."""

    expected: Expected
    config: str
    ports: Ports
    reads_hosts: bool = True


class Dnsmasq(Restarted):
    """A ``Managed`` service (see netboot/monitor). ``heard`` gets each line it says."""

    unit = None
    managed_by = CHILD

    def __init__(
        self,
        name: str,
        plan: Plan,
        *,
        program: str,
        namespace: Namespace,
        folder: Path,
        heard: Callable[[str], None],
        notes: Callable[[], str],
    ) -> None:
        super().__init__()
        self.name = name
        self.loggers = (__name__, "netboot.services.dhcp")
        self.files = DhcpFiles.below(folder)
        self._plan = plan
        self._program = program
        self._namespace = namespace
        self._folder = Folder(folder, program)
        self._tell = heard
        self._notes = notes
        self._changed: Callable[[], None] = nothing
        self._news = threading.Condition()
        self._reads = 0
        self._up = False
        self._failed = False
        # What dnsmasq is to know, and whether it has said that it does.
        self._hosts, self._known = "", False
        self._writing = threading.Lock()
        self._refused = ""
        self._child: Supervised | None = None

    # Managed

    def watch(self, changed: Callable[[], None]) -> None:
        self._changed = changed

    def expected(self) -> Expected:
        return self._plan.expected

    def actual(self) -> Actual:
        child, notes = self._child, self._notes()
        if child is not None and self._up:
            return Actual(RUNNING, notes, child.pid)
        if child is not None:
            pid = child.pid
            return Actual(DEAD if pid is None else STARTING, child.state, pid)
        if self._refused:
            return Actual(UNAVAILABLE if self._folder.missing() else DEAD, self._refused)
        return Actual(OFF, "not started")

    def ensure(self) -> None:
        if self._plan.expected.state != ON:
            self.stop()
        elif self._child is None:
            self.start(self._hosts)

    def stop(self) -> None:
        """End dnsmasq; returns when it is gone. Leases stay on disk."""
        with self._changing:
            child, self._child = self._child, None
            if child is not None:
                child.stop()
            self._up = False

    # Beyond that

    def news(self) -> None:
        """What ``notes`` says has changed."""
        self._changed()

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._child.pid if self._child else None

    @property
    def state(self) -> str:
        """For people: whether it runs, for how many machines, or why not."""
        child = self._child
        if child is None:
            return self._refused or "off"
        if not self._up:
            return child.state
        known = f"{child.state}, knows {self._hosts.count(chr(10))} network cards"
        notes = self._notes()
        return f"{known}; {notes}" if notes else known

    def start(self, hosts: str) -> None:
        """Write the files, try them, run dnsmasq; returns when it answers.

        Does nothing when it is to be off. Raises Invalid for a configuration that dnsmasq
        refuses, Unavailable with dnsmasq's words when it cannot run.
        """
        with self._changing:
            self._hosts, self._known = hosts, False
            if self._plan.expected.state != ON:
                return
            self._refused = ""
            try:
                self._start()
            except DrophammerError as error:
                self._refused = error.message
                raise

    def change(self, plan: Plan) -> None:
        """Go over to another configuration.

        Raises Invalid when dnsmasq refuses it: then all stays as it was, and dnsmasq runs on.
        """
        with self._changing:
            if plan.expected.state == ON:
                self._folder.require()
                self._folder.install(plan.config)
            self._plan = plan
            self.restart()

    def set_hosts(self, text: str) -> None:
        """Make these the known machines; returns when dnsmasq knows them.

        Does nothing when they are known already. Raises Unavailable when dnsmasq is
        down or does not read them in time.
        """
        with self._changing:
            if self._plan.expected.state != ON or not self._plan.reads_hosts:
                self._hosts = text
                return
            with self._news:
                if self._up and self._known and text == self._hosts:
                    return
                before = self._reads
            self._write_hosts(text)
            with self._news:
                # A dnsmasq that is still starting would die of the signal; it reads the
                # new file in any case.
                if self._up and self._child is not None:
                    self._child.signal(signal.SIGHUP)
                if not self._news.wait_for(lambda: self._reads > before, RELOAD_SECONDS):
                    raise Unavailable(
                        f"dnsmasq ({self.name}) did not take the new list of machines: "
                        f"{self.state}."
                    )
                self._known = True

    def _write_hosts(self, text: str) -> None:
        with self._writing:
            self._hosts, self._known = text, False
            self._folder.write_hosts(text)

    def _prepare(self) -> None:
        """See that dnsmasq finds all as it should be: at each start, whoever wants it."""
        self._folder.require()
        with self._writing:
            self._known = self._has_hosts()
        self._folder.install(self._plan.config)
        self._plan.ports.check(self._namespace)

    def _has_hosts(self) -> bool:
        try:
            self._folder.write_hosts(self._hosts)
        except Unavailable as error:
            if not self.files.hosts.exists():
                raise
            # The machines of before boot on; who changes the list tries again, and says so.
            log.warning("%s goes on with its former list of machines: %s", self.name, error.message)
            return False
        return True

    def _start(self) -> None:
        self._prepare()
        self._up = self._failed = False
        argv = [self._program, "--keep-in-foreground", f"-C{self.files.config}"]
        child = Supervised(
            "dnsmasq",
            self._namespace.command(argv),
            heard=self._heard,
            ended=self._ended,
            again=self._prepare,
        )
        child.start()
        with self._news:
            self._news.wait_for(lambda: self._up or self._failed, START_SECONDS)
            up = self._up
        if not up:
            state = child.state
            child.stop()
            raise Unavailable(
                f"DHCP on {self._plan.ports} does not start: dnsmasq {state}. See that the "
                "interface exists and has its address, and that this process may open such ports "
                "(CAP_NET_BIND_SERVICE, CAP_NET_ADMIN and CAP_NET_RAW)."
            )
        self._child = child
        self._changed()

    def _heard(self, line: str) -> None:
        if self._ready(line):
            with self._news:
                self._reads += 1
                self._up = True
                self._news.notify_all()
            self._changed()
        else:
            self._tell(line)

    def _ready(self, line: str) -> bool:
        if self._plan.reads_hosts:
            return file_read(line) == str(self.files.hosts)
        return advertises(line)

    def _ended(self) -> None:
        with self._news:
            self._up = False
            self._failed = True
            self._news.notify_all()
        self._changed()
