"""The databases that tests get: one is nothing to another."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from tests.databases import copied, only_sqlite


@only_sqlite
def test_a_store_that_connects_leaves_the_files_of_other_stores_alone(
    tmp_path: Path, empty_database: Path
) -> None:
    gone = tmp_path / "gone.sqlite"
    copied(empty_database, gone).close()
    gone.unlink()
    with closing(copied(empty_database, tmp_path / "here.sqlite")) as store, store.ask():
        assert not gone.exists()
