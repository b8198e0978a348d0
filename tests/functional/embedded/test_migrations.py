"""Changes of the schema: cut off anywhere, two at once, and only such as older code can bear."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sqlalchemy import Connection, MetaData, Table, select, text

from drophammer import engines, schema
from drophammer.errors import Invalid
from embedded.dbcmd import main
from tests import databases
from tests.functional.embedded.migrating import (
    Migration,
    Shape,
    migrate_to,
    narrowed,
    revisions,
    shape,
    statements,
)

# Those before it were made when nobody ran two versions beside each other.
FIRST_EXPANDING = "0005"
# What a revision takes away on purpose: no code uses it since the schema that its name tells.
TAKEN_AWAY: dict[str, list[str]] = {}
NOW = "2026-01-01 00:00:00"
# By the kind of a column.
FILLING = {
    **dict.fromkeys(("INTEGER", "BIGINT", "TINYINT", "DOUBLE", "FLOAT"), 0),
    **dict.fromkeys(("DATETIME", "TIMESTAMP"), NOW),
    **dict.fromkeys(("JSON", "LONGTEXT", "TEXT", "VARCHAR"), "{}"),
    "BOOLEAN": False,
}


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A database without anything in it."""
    databases.made(tmp_path / "new.sqlite")
    return databases.url_of(tmp_path / "new.sqlite")


@pytest.fixture(scope="session")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Shape]:
    """How many statements make a database, and how it looks then."""
    path = tmp_path_factory.mktemp("wanted") / "whole.sqlite"
    databases.made(path)
    return statements(databases.url_of(path)), shape(databases.url_of(path))


def test_a_migration_killed_between_any_two_statements_is_run_again_and_ends_right(
    url: str, wanted: tuple[int, Shape]
) -> None:
    count, whole = wanted
    for at in [*range(1, count, 9), count]:
        assert Migration(url, at).end() in (-9, 0), at
    assert Migration(url).end() == 0
    assert shape(url) == whole


# A process for each statement: minutes where the machine has much else to do.
@pytest.mark.timeout(600)
def test_rows_outlive_a_migration_that_is_killed_at_every_statement(
    url: str, wanted: tuple[int, Shape]
) -> None:
    migrate_to(url, "0002")
    before = rows(url)
    killed, at = -9, 0
    while killed == -9:
        at += 1
        killed = Migration(url, at).end()
    assert killed == 0
    assert at > 10
    assert Migration(url).end() == 0
    assert shape(url) == wanted[1]
    assert rows(url, fill=False) == before


def rows(url: str, *, fill: bool = True) -> list[object]:
    """What there is of nodes and events in a database of any revision."""
    engine = engines.engine(url)
    known = MetaData()
    nodes = Table("nodes", known, autoload_with=engine)
    events = Table("events", known, autoload_with=engine)
    with engine.connect() as connection, connection.begin():
        for number in (1, 2, 3) if fill else ():
            put(connection, nodes, uuid=f"u-{number}", name=f"Räck {number}")
            put(connection, events, node_id=number, message="what happened")
        found: list[object] = [
            *connection.execute(select(nodes.c.id, nodes.c.uuid, nodes.c.name)),
            *connection.execute(select(events.c.id, events.c.node_id, events.c.message)),
        ]
    engine.dispose()
    return sorted(found, key=str)


def put(connection: Connection, table: Table, **values: object) -> None:
    """A row with these values, and with something in every other column that needs it."""
    for column in table.columns:
        needs = not column.nullable and column.server_default is None
        if needs and not column.primary_key and column.name not in values:
            values[column.name] = FILLING[column.type.__class__.__name__.rpartition("_")[2]]
    names, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
    connection.execute(text(f"INSERT INTO {table.name} ({names}) VALUES ({marks})"), values)


def test_of_two_that_migrate_at_once_one_waits_for_the_other(
    url: str, wanted: tuple[int, Shape]
) -> None:
    first = Migration(url, 12, stops=True)
    first.stopped()
    second = Migration(url)
    assert second.still_runs_after(1.0)
    first.go_on()
    assert (first.end(), second.end()) == (0, 0)
    assert shape(url) == wanted[1]


def test_code_knows_which_newer_schemas_it_works_with() -> None:
    assert schema.serves("0005", "0005")
    assert schema.serves("0006_since_0005", "0005")
    assert schema.serves("0009_since_0005", "0007_since_0005")
    assert not schema.serves(None, "0005")
    assert not schema.serves("0004", "0005")
    assert not schema.serves("0006", "0005")
    assert not schema.serves("0007_since_0006", "0005")
    assert not schema.serves("0006_since_0005", "0007_since_0005")
    assert not schema.serves("x", "0005")


def test_a_schema_that_is_newer_by_additions_only_is_worked_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--state-dir", str(tmp_path)]
    url = f"sqlite:///{tmp_path}/drophammer.sqlite"
    schema.migrate(url)
    marked(url, "9999_since_0001")
    assert main(["upgrade", *where]) == 0
    assert "The schema is 9999_since_0001, newer than this version's" in capsys.readouterr().out
    assert main(["version", *where]) == 0
    assert not schema.migrate(url)
    marked(url, "9999_since_9998")
    assert main(["version", *where]) == 1
    assert main(["upgrade", *where]) == 1
    assert "there is no way back but a backup" in capsys.readouterr().err
    with pytest.raises(Invalid, match="newer than this version"):
        schema.migrate(url)


def marked(url: str, revision: str) -> None:
    engine = engines.engine(url)
    with engine.connect() as connection, connection.begin():
        connection.execute(text("UPDATE alembic_version SET version_num = :r"), {"r": revision})
    engine.dispose()


def test_every_change_of_the_schema_says_since_when_code_works_with_it_and_keeps_to_it(
    url: str,
) -> None:
    since, before = "0000", None
    for revision in revisions():
        migrate_to(url, revision)
        _, _, named = revision.partition("_since_")
        assert len(revision) <= 32
        assert named < revision
        assert named >= since or revision <= FIRST_EXPANDING, "what was taken away stays away"
        if named:
            assert before is not None
            assert narrowed(before, shape(url)) == TAKEN_AWAY.get(revision, []), revision
        since, before = named or revision, shape(url)


ADDING = """
    op.create_table("racks", sa.Column("id", sa.Integer, primary_key=True))
    op.add_column("nodes", sa.Column("rack", sa.String(32), nullable=True))
    op.add_column("nodes", sa.Column("unit", sa.Integer, server_default="0", nullable=False))
    op.create_index("ix_nodes_rack", "nodes", ["rack"])
"""


RENAMING = """
    with op.batch_alter_table("nodes") as nodes:
        nodes.alter_column("name", new_column_name="label")
"""
INSISTING = """
    with op.batch_alter_table("nodes") as nodes:
        nodes.create_unique_constraint("u", ["instance_name"])
"""
FORBIDDING = """
    with op.batch_alter_table("nodes") as nodes:
        nodes.alter_column("name", existing_type=sa.String(255), nullable=False)
"""


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (ADDING, None),
        ('op.drop_table("inventories")', "inventories is gone"),
        ('op.drop_column("inventories", "plugin_data")', "inventories: plugin_data is gone"),
        ('op.add_column("nodes", sa.Column("r", sa.Integer, nullable=False))', "must be given"),
        (RENAMING, "nodes: name is gone"),
        (INSISTING, "unique"),
        (FORBIDDING, "nodes: name is gone or not what it was"),
    ],
)
@databases.only_sqlite
def test_a_change_that_takes_something_away_is_found_out(
    url: str, tmp_path: Path, change: str, why: str | None
) -> None:
    scripts = tmp_path / "migrations"
    shutil.copytree(schema.MIGRATIONS, scripts)
    added(scripts, change)
    migrate_to(url, revisions()[-1])
    before = shape(url)
    migrate_to(url, "head", scripts)
    complaints = narrowed(before, shape(url))
    assert (complaints == []) if why is None else (why in str(complaints))


def added(scripts: Path, change: str) -> None:
    """One more revision in a folder of them."""
    (scripts / "versions" / "9999_next.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        f'revision = "9999_since_0005"\ndown_revision = "{revisions()[-1]}"\n'
        f"def upgrade():\n    {change.strip()}\n"
    )
