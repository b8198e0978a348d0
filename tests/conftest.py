"""What tests of all kinds share: a database, their order, how much the fuzz tests try."""

from __future__ import annotations

import gc
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.databases import cleared, migrated

# As many new things as make a service look for garbage.
GARBAGE = 20_000

_SLOW = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]

# The first two try the same in every run; the last one is for when a release is near.
for name, examples in (("quick", 30), ("full", 100)):
    settings.register_profile(
        name, max_examples=examples, derandomize=True, deadline=None, suppress_health_check=_SLOW
    )
settings.register_profile("long", max_examples=3000, deadline=None, suppress_health_check=_SLOW)
settings.load_profile("quick")


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database to copy."""
    path = tmp_path_factory.mktemp("database") / "empty.sqlite"
    migrated(path)
    return path


@pytest.fixture(autouse=True)
def databases() -> Iterator[None]:
    """Before all others, so that it ends after them."""
    with cleared():
        yield


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected is there until the end: it is not looked through for garbage, neither
    while it grows, which takes a third of the time, nor again and again with each test's.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(GARBAGE)
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What mostly waits comes first."""
    items.sort(key=lambda item: item.get_closest_marker("waits") is None)
