"""The database that all worlds of a test are played in, one after the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.functional.lives.world import Stage


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    stage = Stage(tmp_path_factory.mktemp("lives") / "drophammer.sqlite")
    yield stage
    stage.close()
