"""``drophammer demo``: empty virtual machines become running systems, before one's eyes.

Makes what is missing (ramdisk, test image), starts a lab and a service for it,
drives every machine through the public API, and leaves nothing behind but logs.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import fcntl
import functools
import ipaddress
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

import lab.image
import ramdisk.build
from drophammer.errors import DrophammerError, Unavailable
from lab import serviceconf, timeline
from lab.lab import Lab, LabMachine, Plan
from lab.life import Image, Life, Stopped, sidecar
from lab.rest import Rest

IMAGE_NAME = "demo.raw"
SERVICE_START_SECONDS = 20.0
SERVICE_STOP_SECONDS = 8.0
LOCKS = Path("/run/lock")


@dataclass(frozen=True)
class Options:
    """What the command line said."""

    nodes: int
    boot: str
    boot_interface: str
    name: str
    directory: Path
    cache: Path


class Teller:
    """Prints lines with the time since the start, from several threads."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._lock = threading.Lock()

    def __call__(self, who: str, what: str) -> None:
        with self._lock:
            print(f"[{time.monotonic() - self._began:6.1f} s] {who:<12} {what}", flush=True)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began


def main(argv: list[str]) -> int:
    """Run the demo. 0: every machine went all the way; 1: not; 130: interrupted."""
    options = _options(argv)
    if os.geteuid() != 0:
        print(
            "drophammer demo: it makes network namespaces and taps: run it as root",
            file=sys.stderr,
        )
        return 1
    # SIGINT too: a program that a shell started in the background has it ignored.
    wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    previous = {number: signal.signal(number, _interrupt) for number in wanted}
    try:
        return _run(options)
    except KeyboardInterrupt:
        print("Interrupted; nothing was left behind.", file=sys.stderr)
        return 130
    except DrophammerError as error:
        print(f"\ndrophammer demo: {error.message}", file=sys.stderr)
        return 1
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _options(argv: list[str]) -> Options:
    parser = argparse.ArgumentParser(
        prog="drophammer demo",
        description="Turn empty virtual machines into running systems, through the API.",
    )
    parser.add_argument("--nodes", type=int, default=1, help="how many machines (default 1)")
    parser.add_argument("--boot", choices=["bios", "uefi"], default="bios", help="firmware")
    parser.add_argument(
        "--boot-interface",
        choices=["ipxe", "pxe"],
        default="ipxe",
        help="how the ramdisk is loaded: iPXE over HTTP, or pxelinux/GRUB over TFTP",
    )
    parser.add_argument("--name", default="demo", help="name of the lab (default demo)")
    parser.add_argument("--dir", type=Path, default=Path(".state"), help="for logs and state")
    parser.add_argument("--cache-dir", type=Path, default=Path(".cache"), help="what is built once")
    given = parser.parse_args(argv)
    return Options(
        given.nodes,
        given.boot,
        given.boot_interface,
        given.name,
        given.dir.resolve(),
        given.cache_dir.resolve(),
    )


def _run(options: Options) -> int:
    with alone(options.name) as name:
        return _run_alone(dataclasses.replace(options, name=name))


@contextlib.contextmanager
def alone(name: str) -> Iterator[str]:
    """A lab name of our own: ``name``, or with a number behind it while others use that.

    The lock goes with the process, so a demo that was killed does not keep its name,
    and the next one cleans up after it.
    """
    LOCKS.mkdir(parents=True, exist_ok=True)
    for candidate in (name, *(f"{name}-{number}" for number in range(2, 100))):
        with (LOCKS / f"drophammer-demo-{candidate}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield candidate
            return
    raise Unavailable(f"A hundred demos called {name!r} are running; choose another --name.")


def _run_alone(options: Options) -> int:
    tell = Teller()
    boot_dir, image = prepare(options.cache, tell)
    directory = options.directory / options.name
    options = dataclasses.replace(options, directory=directory)
    shutil.rmtree(options.directory, ignore_errors=True)
    options.directory.mkdir(parents=True)
    tell = Teller()
    machines: list[LabMachine] = []
    # Where all labs are, and not beside the logs: their sockets must have short paths.
    with Lab(options.name) as made:
        made.down()
        plan = Plan(nodes=options.nodes, firmware=options.boot)
        try:
            machines = made.up(plan)
            tell("lab", f"{len(machines)} machine(s), off, disks empty, in {made.namespace}")
            with _service(options, made, plan, boot_dir, image.parent, tell) as rest:
                return _drive(options, plan, machines, rest, image, tell)
        finally:
            _keep_logs(machines, options.directory)
            made.down()
            tell("lab", f"gone: no process, namespace or tap is left; logs: {options.directory}")


def prepare(cache: Path, tell: Teller) -> tuple[Path, Path]:
    """Ramdisk and test image, made unless they are there. (boot folder, image file)."""
    boot_dir = cache / "boot"
    ramdisk.build.build(boot_dir, cache_dir=cache, log=functools.partial(tell, "ramdisk"))
    image = cache / "served" / IMAGE_NAME
    image.parent.mkdir(parents=True, exist_ok=True)
    lab.image.build(image, cache, log=functools.partial(tell, "image"))
    return boot_dir, image


def _drive(
    options: Options,
    plan: Plan,
    machines: list[LabMachine],
    rest: Rest,
    image: Path,
    tell: Teller,
) -> int:
    stopping = threading.Event()
    key = ssh_key()
    target = Image(
        serviceconf.image_url(plan.addresses, IMAGE_NAME), sidecar(image), image.stat().st_size
    )
    lives = [
        Life(
            rest=rest,
            machine=machine,
            hostname=f"hammer-{number}",
            image=target,
            ssh_key=key,
            tell=functools.partial(tell, machine.name),
            stopping=stopping,
            boot_interface=options.boot_interface,
        )
        for number, machine in enumerate(machines, 1)
    ]
    try:
        failures = _together(lives, Life.run)
        up_after = tell.seconds
        for life in lives:
            if life.up_at:
                print(f"\nDeployment of {life.machine.name}:")
                print("\n".join(timeline.table(timeline.deployment(life.events(), life.up_at))))
        print(flush=True)
        if not failures:
            tell("all", f"{len(lives)} system(s) running {up_after:.1f} s after the start")
            failures = _together(lives, Life.take_back)
    except BaseException:
        stopping.set()
        raise
    for text in failures:
        print(f"\n{text}\nLogs: {options.directory}", file=sys.stderr)
    if not failures:
        tell("all", f"taken back and cleaned after {tell.seconds:.1f} s")
    return 1 if failures else 0


def _together(lives: list[Life], work: Callable[[Life], None]) -> list[str]:
    """Run ``work`` on every life at once; the texts of those that failed."""
    failures: list[str] = []

    def one(life: Life) -> None:
        try:
            work(life)
        except Stopped:
            pass
        except DrophammerError as error:
            failures.append(error.message)

    threads = [threading.Thread(target=one, args=(life,), daemon=True) for life in lives]
    for thread in threads:
        thread.start()
    for thread in threads:
        # join() without a timeout could not be interrupted by Ctrl-C everywhere.
        while thread.is_alive():
            thread.join(0.5)
    return failures


@contextlib.contextmanager
def _service(
    options: Options, made: Lab, plan: Plan, boot_dir: Path, images: Path, tell: Teller
) -> Iterator[Rest]:
    """A Drophammer for the lab, as a process of its own, stopped at the end."""
    config = options.directory / "drophammer.conf"
    config.write_text(
        serviceconf.render(
            namespace=made.namespace,
            addresses=plan.addresses,
            state_dir=options.directory / "state",
            boot_dir=boot_dir,
            images_dir=images,
            boot_mode=options.boot,
        )
    )
    port = free_port()
    log = options.directory / "drophammer.log"
    # Should we be killed, the service stops too; the next demo takes down the lab.
    command = ["setpriv", "--pdeathsig", "TERM", "--"]
    command += [sys.executable, "-m", "embedded", "serve", "--config-file", str(config)]
    command += ["--listen", f"127.0.0.1:{port}", "--log-file", str(log)]
    with (options.directory / "serve.out").open("w") as out:
        # A session of its own: Ctrl-C is for us, and we stop it in order.
        process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
    rest = Rest(f"http://127.0.0.1:{port}")
    try:
        _await_service(process, rest, options.directory)
        address = ipaddress.IPv4Interface(plan.addresses.ipv4).ip
        tell("drophammer", f"API on 127.0.0.1:{port}, boot side on {address} ({made.namespace})")
        yield rest
    finally:
        rest.close()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(SERVICE_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        tell("drophammer", f"stopped (exit {process.returncode})")


def _await_service(process: subprocess.Popen[bytes], rest: Rest, directory: Path) -> None:
    end = time.monotonic() + SERVICE_START_SECONDS
    while not rest.answers():
        if process.poll() is not None or time.monotonic() > end:
            said = (directory / "serve.out").read_text().strip()
            raise Unavailable(
                f"The service did not start: {said or 'it said nothing'}. Its log: "
                f"{directory / 'drophammer.log'}"
            )
        time.sleep(0.05)


def _keep_logs(machines: list[LabMachine], directory: Path) -> None:
    """The lab's own folder goes with the lab; what its machines said stays."""
    for machine in machines:
        if machine.serial_log.exists():
            shutil.copy(machine.serial_log, directory / f"{machine.name}.serial.log")


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ssh_key() -> str:
    """A fresh public SSH key; its private half is thrown away, the demo only shows it arrive."""
    public = ed25519.Ed25519PrivateKey.generate().public_key()
    encoded = public.public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return f"{encoded.decode()} demo"


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
