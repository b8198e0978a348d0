"""``python -m cluster``: a whole data centre on loopback, to try and to test.

``up`` starts it and returns, ``down`` ends it and removes its folder, ``status`` tells
what runs. ``with ENGINE ... -- COMMAND`` lends engines to a command.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from cluster import lending
from cluster.topology import FIRST_PORT, Cluster, Plan
from drophammer.errors import DrophammerError, Invalid
from lab import processes

FOLDER = Path("/var/lib/drophammer-cluster")
MARK = "cluster.port"


def main(argv: list[str]) -> int:
    """Run one command; what goes wrong is one sentence on standard error."""
    ours, command = _split(argv)
    options = _parser().parse_args(ours)
    options.command = command
    try:
        return int(options.run(options) or 0)
    except DrophammerError as error:
        print(f"cluster: {error.message}", file=sys.stderr)
    except OSError as error:
        print(f"cluster: {error}", file=sys.stderr)
    return 1


def _split(argv: list[str]) -> tuple[list[str], list[str]]:
    """What is for us, and the command behind the first ``--``."""
    place = argv.index("--") if "--" in argv else len(argv)
    return argv[:place], argv[place + 1 :]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m cluster", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run in (("up", up), ("down", down), ("status", status)):
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        command.add_argument("--folder", type=Path, default=FOLDER, help="all data (%(default)s)")
        if name == "up":
            command.add_argument("--port", type=int, default=FIRST_PORT, help="of the balancer")
            command.add_argument("--apis", type=int, default=2)
            command.add_argument("--conductors", type=int, default=3)
            command.add_argument("--database", choices=["postgresql", "mariadb"],
                                 default="postgresql")  # fmt: skip
    lent = commands.add_parser("with", usage="python -m cluster with ENGINE ... -- COMMAND")
    lent.set_defaults(run=lambda options: lending.run(options.engines, options.command))
    lent.add_argument("engines", nargs="+", choices=lending.NAMES)
    return parser


def up(options: argparse.Namespace) -> None:
    """Start all, print where it is."""
    folder = options.folder.resolve()
    if any(process.alive for _, process in _recorded(folder)):
        raise Invalid(f"A cluster runs in {folder} already; `make cluster-down` ends it.")
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise Invalid(f"{folder} holds something that is no cluster; choose another folder.")
    plan = Plan(folder, options.port, options.apis, options.conductors, options.database)
    cluster = Cluster(plan)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).write_text(f"{options.port}\n")
    print("Starting the cluster ...", flush=True)
    cluster.start()
    for member in cluster.members():
        print(f"  {member.name:<14}{_without_password(member.url):<52}pid {member.pid}")
    print(f"The API is at {cluster.url}; everything is in {folder}.")
    print("`make cluster-down` ends it and removes that folder.")


def down(options: argparse.Namespace) -> None:
    """End all, remove the folder."""
    folder = options.folder.resolve()
    if not folder.exists():
        print(f"There is no cluster in {folder}.")
        return
    if not (folder / MARK).exists():
        raise Invalid(f"{folder} holds something that is no cluster; it is left alone.")
    for name, process in sorted(_recorded(folder), key=lambda item: _turn(item[0])):
        process.end(20.0)
        print(f"  {name} has ended")
    Cluster(Plan(folder, int((folder / MARK).read_text()))).broker.after_end()
    shutil.rmtree(folder)
    print(f"{folder} is gone.")


def status(options: argparse.Namespace) -> int:
    """What runs; 1 when something that was started does not."""
    found = _recorded(options.folder.resolve())
    for name, process in found:
        print(f"  {name:<14}{'runs' if process.alive else 'has ended'} (pid {process.pid})")
    if not found:
        print(f"There is no cluster in {options.folder}.")
    return 0 if found and all(process.alive for _, process in found) else 1


def _turn(name: str) -> int:
    """When somebody's turn to end is: the door first, then who works, then what they need."""
    return {"haproxy": 0, "postgresql": 2, "mariadb": 2, "rabbitmq": 2}.get(name, 1)


def _recorded(folder: Path) -> list[tuple[str, processes.Process]]:
    found = []
    for path in sorted(folder.glob("*/process.json")):
        process = processes.recorded(path)
        if process is not None:
            found.append((path.parent.name, process))
    return found


def _without_password(url: str) -> str:
    head, at, tail = url.rpartition("@")
    return f"{head.rpartition(':')[0]}:***@{tail}" if at else url


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
