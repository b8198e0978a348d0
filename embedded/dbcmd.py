"""``drophammer db``: the schema, and moving from one database to another."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import make_url

from drophammer import engines, schema, transfer
from drophammer.errors import DrophammerError
from embedded import beside
from embedded.options import add_arguments
from embedded.statedir import LOCK, database_url, lock_state_dir


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    made = argparse.ArgumentParser(prog="drophammer db", description=__doc__)
    commands = made.add_subparsers(required=True, metavar="COMMAND")
    for name, run, what in (
        ("upgrade", upgrade, "bring the schema to this version's"),
        (
            "version",
            version,
            "tell the schema's version and this one's; 1 when an upgrade is needed",
        ),
    ):
        command = commands.add_parser(name, help=what, description=what.capitalize())
        add_arguments(command)
        command.set_defaults(run=run)
    copy = commands.add_parser(
        "copy",
        help="copy everything into an empty database, of another kind for instance",
        description="Copy all rows of one database into another one, which must be empty. "
        "Nothing may run on either of them meanwhile.",
    )
    copy.add_argument("--from", dest="source", required=True, metavar="URL")
    copy.add_argument("--to", dest="target", required=True, metavar="URL")
    copy.set_defaults(run=_copy)
    return made


def main(argv: Sequence[str]) -> int:
    """Run one command; what goes wrong is one sentence on standard error."""
    options = parser().parse_args(argv)
    try:
        return int(options.run(options) or 0)
    except DrophammerError as error:
        print(f"drophammer db: {error.message}", file=sys.stderr)
        return 1


def upgrade(options: argparse.Namespace) -> None:
    """Bring the schema to this version's."""
    changed = schema.migrate(_url(options))
    found, ours = _versions(options)
    if found != ours:
        print(f"The schema is {found}, newer than this version's {ours}, which works with it.")
    else:
        print("The schema has been upgraded." if changed else "The schema is up to date.")


def version(options: argparse.Namespace) -> int:
    """Tell both versions."""
    found, ours = _versions(options)
    print(f"schema of the database: {found or 'none'}\nschema of this version: {ours}")
    return int(not schema.serves(found, ours))


def _versions(options: argparse.Namespace) -> tuple[str | None, str]:
    engine = engines.engine(_url(options))
    try:
        with schema.connected(engine) as connection:
            return schema.versions(connection)
    finally:
        engine.dispose()


def _copy(options: argparse.Namespace) -> None:
    with _at_rest(options.source):
        count = transfer.copy(
            options.source, options.target, tell=lambda line: print(line, flush=True)
        )
    print(f"{count} rows have been copied and counted. Start the service on the new database.")


@contextmanager
def _at_rest(url: str) -> Iterator[None]:
    """Keep a service from working on a sqlite file of its state folder meanwhile.

    Raises Invalid with the process that does. Of servers it is not known who uses them.
    """
    parsed = make_url(url)
    folder = Path(parsed.database or "").parent
    if parsed.get_backend_name() != "sqlite" or not (folder / LOCK).exists():
        yield
        return
    with lock_state_dir(folder):
        yield


def _url(options: argparse.Namespace) -> str:
    return database_url(beside.configured(options))
