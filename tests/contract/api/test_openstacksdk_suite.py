"""openstacksdk's own functional suite against our API: each of its tests, by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.api.service import Service
from tests.contract.api.suite import Suite, names

NAMES = names()
# The first test asked for waits for the whole run.
pytestmark = [pytest.mark.timeout(300), pytest.mark.waits]


@pytest.fixture(scope="module")
def run(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    started = Suite(service, tmp_path_factory.mktemp("suite") / "run", plugins=["hasty"])
    yield started
    started.stop()


def test_the_suite_is_the_one_that_clients_rely_on() -> None:
    assert len(NAMES) >= 96


@pytest.mark.parametrize("name", NAMES)
def test_functional(run: Suite, name: str) -> None:
    outcome = run.outcome(name)
    if outcome.kind == "skipped":
        pytest.skip(outcome.text)
    assert outcome.kind == "passed", outcome.text


@pytest.mark.slow
def test_at_the_pace_that_the_clients_have_by_themselves(start, tmp_path: Path) -> None:
    run = Suite(start("noauth"), tmp_path / "patient", plugins=[])
    try:
        outcomes = {name: run.outcome(name) for name in NAMES}
    finally:
        run.stop()
    assert {name: one for name, one in outcomes.items() if one.kind != "passed"} == {}
