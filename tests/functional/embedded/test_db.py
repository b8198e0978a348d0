"""``drophammer db``: bringing a schema up to date, refusing a newer one, moving house."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import select, text

from drophammer import schema
from drophammer.errors import Invalid
from drophammer.model import Agent, Base, BiosSetting, Event, Node, Port, new_uuid
from drophammer.store import Store
from embedded.dbcmd import main
from tests import databases
from tests.patience import PATIENCE


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Store]:
    """A laboratory's database in a file, with something in it."""
    store = Store(f"sqlite:///{tmp_path}/drophammer.sqlite")
    store.migrate()
    now = store.clock.now()
    with store.write() as session:
        nodes = [
            Node(
                uuid=new_uuid(),
                name=f"Rack {number} é",
                driver="ipmi",
                provision_state="active",
                driver_info={"ipmi_password": "hunter2", "deep": [None, 1.5, "\u2603"]},
                lease_owner="somebody",
                lease_expires=now,
                created_at=now,
            )
            for number in range(700)
        ]
        session.add_all(nodes)
        session.flush()
        for node in nodes[:3]:
            port = {"uuid": new_uuid(), "address": f"52:54:00:00:00:{node.id:02x}"}
            session.add(Port(node_id=node.id, created_at=now, **port))
            session.add(Agent(node_id=node.id, token="t" * 43, beats=7))
            session.add(BiosSetting(node_id=node.id, name="Boot", value="x", created_at=now))
        event = {"source": "api", "kind": "state", "message": "m" * 100_000}
        session.add_all(Event(node_id=nodes[0].id, at=now, **event) for _ in range(3))
    with store.write() as session:
        session.execute(text("DELETE FROM events WHERE id = 3"))
    yield store
    store.close()


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Store]:
    path = tmp_path / "new"
    databases.made(path)
    store = databases.opened(path)
    yield store
    store.close()


def everything(store: Store) -> dict[str, list[tuple[object, ...]]]:
    with store.read() as session:
        return {
            table.name: [
                tuple(row) for row in session.execute(select(table).order_by(*table.primary_key))
            ]
            for table in Base.metadata.sorted_tables
        }


def copy(lab: Store, tmp_path: Path) -> int:
    source = lab.engine.url.render_as_string(hide_password=False)
    return main(["copy", "--from", source, "--to", databases.url_of(tmp_path / "new")])


def test_a_copy_has_all_rows_and_goes_on_with_the_next_ids(
    lab: Store, target: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert copy(lab, tmp_path) == 0
    told = capsys.readouterr().out
    assert "nodes               700" in told
    assert everything(target) == everything(lab)
    with target.write() as session:
        now = target.clock.now()
        node = Node(uuid=new_uuid(), driver="x", provision_state="enroll", created_at=now)
        late = Event(node_id=1, at=now, source="api", kind="state", message="next")
        session.add_all([node, late])
        session.flush()
        # The third one has been deleted, and streams may have seen it.
        assert (node.id, late.id) == (701, 4)
        unset = "SELECT count(*) FROM bios_settings WHERE allowable_values IS NULL"
        assert session.execute(text(unset)).scalar() == 3


def test_a_target_with_something_in_it_is_left_alone(
    lab: Store, target: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert copy(lab, tmp_path) == 0
    before = everything(target)
    assert copy(lab, tmp_path) == 1
    assert "The target is not empty: there are rows in" in capsys.readouterr().err
    assert everything(target) == before


def test_a_source_of_another_version_is_not_copied(
    lab: Store, target: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with lab.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0002'"))
    assert copy(lab, tmp_path) == 1
    assert "`drophammer db upgrade`" in capsys.readouterr().err


def test_a_database_that_is_not_there_is_told_without_its_password(
    lab: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    source = lab.engine.url.render_as_string()
    away = "postgresql+psycopg://drophammer:hunter2@127.0.0.1:1/x"
    assert main(["copy", "--from", source, "--to", away]) == 1
    told = capsys.readouterr().err
    assert "cannot be reached" in told
    assert "hunter2" not in told
    assert "Traceback" not in told


def test_the_schema_is_brought_up_to_date_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--state-dir", str(tmp_path)]
    assert main(["version", *where]) == 1
    assert main(["upgrade", *where]) == 0
    assert main(["upgrade", *where]) == 0
    assert main(["version", *where]) == 0
    told = capsys.readouterr().out
    assert "has been upgraded" in told
    assert "is up to date" in told


def test_a_database_of_a_newer_version_is_refused_in_one_sentence(target: Store) -> None:
    target.migrate()
    with target.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Invalid, match="schema 9999, which is newer than this version"):
        target.migrate()


@pytest.mark.parametrize("revision", ["0001", "0002", "0003", "0004"])
def test_a_change_of_the_schema_that_was_cut_off_can_be_made_again(
    target: Store, revision: str
) -> None:
    # As MariaDB leaves it: what was changed stays, and which revision it was is not noted.
    target.migrate()
    if target.engine.dialect.name != "mariadb":
        pytest.skip("a change of the schema is undone here when it is cut off")
    with target.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = :v"), {"v": revision})
    target.migrate()
    with target.engine.connect() as connection:
        found, ours = schema.versions(connection)
    assert found == ours


def test_revisions_are_read_as_alembic_reads_them() -> None:
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)
    known = {one.revision: one.down_revision for one in scripts.walk_revisions()}
    assert schema._revisions() == known
    assert schema._head(known) == scripts.get_current_head()


def test_a_database_that_is_up_to_date_is_started_on_without_alembic(empty_database: Path) -> None:
    script = (
        "import sys\nfrom drophammer import schema\n"
        f"assert schema.migrate({databases.url_of(empty_database)!r}) is False\n"
        "assert 'alembic' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=PATIENCE)
