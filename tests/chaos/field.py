"""The field of chaos: a cluster and machines in a network where cables can be pulled.

Each process of Drophammer's finds database and broker under an address that is its alone. To
cut it off is to send that address into a device that nobody reads: what is under way gets no
answer, not even a refusal, and goes on when the cable is back.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

from cluster.engine import Engine
from cluster.role import Role
from cluster.topology import Cluster, Options, Plan
from drophammer.netns import Namespace
from tests.chaos.hall import Hall, Host
from tests.chaos.machines import IMAGE_PATH

LEASE_SECONDS = 10
MACHINES = "10.99.1.1"
FIRST_CONTROLLER = 30001
PORT = 27000
_NOWHERE = "nowhere0"
_APART_SECONDS = 600
_FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
_KINDS = ("power", "boot", "deploy", "inspect", "storage")
ROOT = Path(__file__).parents[2]

ROLES = ("api-1", "api-2", "netboot", "conductor-1", "conductor-2", "conductor-3")


def inside() -> bool:
    """Whether this process has a network of its own already."""
    return "CHAOS_INSIDE" in os.environ


def enter(argv: list[str]) -> None:
    """Go on in a network namespace of this process' own. Does not return the first time."""
    if inside():
        return
    command = ["unshare", "--net", "--", sys.executable, "-m", "tests.chaos", *argv]
    os.execvpe(command[0], command, {**os.environ, "CHAOS_INSIDE": "1"})


class Field:
    """Everything that runs. ``down`` is who shall not be started again for now."""

    def __init__(self, folder: Path, *, database: str, machines: int, lab: int = 0) -> None:
        self.folder, self._count = folder, machines
        self._hall = Hall(folder, lab, apis=2) if lab else None
        self.addresses = {name: f"10.99.0.{n}" for n, name in enumerate(ROLES, 1)}
        self.notes = folder / "machines.notes"
        self.cluster = Cluster(self._plan(database))
        self.down: set[str] = set()
        self.lock = threading.RLock()
        self._over = threading.Event()
        self._machines: subprocess.Popen[str] | None = None
        self._keeper = threading.Thread(target=self._keep, daemon=True)

    @property
    def hosts(self) -> list[Host]:
        """The real machines."""
        return self._hall.hosts if self._hall else []

    @property
    def netboot_url(self) -> str:
        if self._hall:
            return self._hall.netboot_url
        return f"http://127.0.0.1:{PORT + 41}"

    @property
    def image(self) -> dict[str, str]:
        """What is deployed on machines that have no disk."""
        return {
            "image_source": f"http://{MACHINES}:{FIRST_CONTROLLER - 1}{IMAGE_PATH}",
            "image_checksum": "0" * 64,
            "image_disk_format": "raw",
        }

    @property
    def lab_image(self) -> dict[str, str]:
        """And on those that have one."""
        return self._hall.instance_info if self._hall else {}

    def start(self) -> None:
        for command in (
            "link set lo up",
            f"tuntap add dev {_NOWHERE} mode tun",
            f"link set {_NOWHERE} up",
            f"addr add 10.99.9.9/32 dev {_NOWHERE}",
            *(f"addr add {address}/32 dev lo" for address in self.addresses.values()),
        ):
            _ip(command)
        if self._hall:
            self._hall.start(MACHINES)
        else:
            _ip(f"addr add {MACHINES}/32 dev lo")
        self.cluster.start()
        if self._hall:
            self._hall.open()
        machines = [
            *(sys.executable, "-m", "tests.chaos.machines", MACHINES, str(self._count)),
            *(str(FIRST_CONTROLLER), self.netboot_url, str(self.notes)),
        ]
        self._machines = subprocess.Popen(
            (self._hall.namespace if self._hall else Namespace()).command(machines),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=(self.folder / "machines.log").open("w"),
            text=True,
        )
        assert self._machines.stdout is not None
        assert self._machines.stdout.readline() == "up\n"
        threading.Thread(target=self._drain, args=(self._machines.stdout,), daemon=True).start()
        self._keeper.start()

    def stop(self) -> None:
        self._over.set()
        if self._keeper.ident is not None:
            self._keeper.join()
        if self._machines is not None:
            self._machines.kill()
            self._machines.wait()
        try:
            self.cluster.stop()
        finally:
            if self._hall:
                self._hall.stop()

    def role(self, name: str) -> Role:
        return next(one for one in self.cluster.roles if one.name == name)

    def engines(self) -> list[Engine]:
        return [self.cluster.database, self.cluster.broker]

    def cut(self, name: str) -> None:
        """Pull a process' cable to database and broker."""
        _ip(f"addr del {self.addresses[name]}/32 dev lo")
        _ip(f"route add {self.addresses[name]}/32 dev {_NOWHERE}")

    def mend(self, name: str) -> None:
        """Put it back."""
        _ip(f"route del {self.addresses[name]}/32 dev {_NOWHERE}")
        _ip(f"addr add {self.addresses[name]}/32 dev lo")

    def _plan(self, database: str) -> Plan:
        plan = Plan(
            self.folder,
            PORT,
            database=database,
            listen="0.0.0.0",
            seen_at=self.addresses,
            together=1,
        )
        delays: dict[str, object] = {f"{kind}_delay": "0.5, 4" for kind in _KINDS}
        plan.options.update(
            {
                "conductor": {
                    "heartbeat_interval": 2,
                    "heartbeat_timeout": LEASE_SECONDS,
                    "sync_power_state_interval": 15,
                },
                "agent": {"require_tls": "false"},
                "api": {"ramdisk_heartbeat_timeout": 30},
                "fake": delays,
            }
        )
        if self._hall:
            _add(plan.options, self._hall.options())
            plan.more.update({name: self._hall.options_of(name) for name in ROLES})
        else:
            files = f"http://{MACHINES}"
            kernel: dict[str, object] = {
                "deploy_kernel": f"{files}/kernel",
                "deploy_ramdisk": f"{files}/ramdisk",
            }
            _add(plan.options, {"conductor": kernel})
        # One host's clock is ten minutes ahead, and two hosts have the same name.
        if _FAKETIME.exists():
            plan.variables["conductor-2"] = {
                "LD_PRELOAD": str(_FAKETIME),
                "FAKETIME": f"+{_APART_SECONDS}s",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "DONT_FAKE_MONOTONIC": "1",
            }
        _add(plan.more.setdefault("conductor-3", {}), {"DEFAULT": {"host": "conductor-2"}})
        return plan

    def _keep(self) -> None:
        """What ends is started again, as a service manager would."""
        while not self._over.wait(0.5):
            with self.lock:
                for role in self.cluster.roles:
                    if not role.running and role.name not in self.down:
                        role.launch()

    def _drain(self, output: object) -> None:
        with (self.folder / "machines.out").open("w") as file:
            file.writelines(output)  # type: ignore[arg-type]


def _add(options: Options, more: Options) -> None:
    for group, values in more.items():
        options[group] = {**options.get(group, {}), **values}


def _ip(command: str) -> None:
    subprocess.run(["ip", *command.split()], check=True)
