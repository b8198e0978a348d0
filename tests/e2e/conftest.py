"""What tests that boot machines from a NetbootServer share."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest

from tests.e2e import chains


@pytest.fixture(scope="module")
def chain_dir(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return chains.boot_dir(tmp_path_factory.mktemp("boot"))


@pytest.fixture(scope="module")
def chain_namespace(chain_dir: pathlib.Path) -> Iterator[str]:
    with chains.namespace() as name:
        yield name


@pytest.fixture
def bench(
    tmp_path: pathlib.Path, chain_namespace: str, chain_dir: pathlib.Path
) -> Iterator[chains.Bench]:
    bench = chains.Bench(tmp_path, chain_namespace, chain_dir)
    try:
        yield bench
    finally:
        bench.server.stop()
        bench.store.close()
