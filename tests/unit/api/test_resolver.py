"""Names to addresses: never longer than the budget, whatever the resolver does."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from api.resolver import Resolver
from tests.patience import AT_ONCE, PATIENCE, until


class Names:
    """Stands for the system's resolver. Names that begin with "slow" wait to be let go."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.go_on = threading.Event()

    def __call__(self, name: str, port: None) -> list[tuple[Any, ...]]:
        self.asked.append(name)
        if name.startswith("slow"):
            self.go_on.wait(PATIENCE)
        if name.endswith("none"):
            raise socket.gaierror
        return [(None, None, None, "", ("192.0.2.1", 0))]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    made = Names()
    monkeypatch.setattr(socket, "getaddrinfo", made)
    yield made
    made.go_on.set()


def test_names_are_resolved_and_remembered(names: Names) -> None:
    resolver = Resolver(seconds=PATIENCE)
    expected = {"a": frozenset({"192.0.2.1"}), "none": frozenset()}
    assert resolver.addresses({"a", "none"}) == expected
    assert resolver.addresses({"a", "none"}) == expected
    assert sorted(names.asked) == ["a", "none"]


def test_an_answer_gets_old(names: Names) -> None:
    resolver = Resolver(seconds=0.1, seconds_kept=0)
    for _ in range(2):
        resolver.addresses({"a"})
    assert names.asked.count("a") >= 2


def test_all_names_together_take_no_longer_than_the_budget(names: Names) -> None:
    resolver = Resolver(seconds=0.2, lookups=3)
    started = time.monotonic()
    found = resolver.addresses({"a", *(f"slow-{number}" for number in range(9))})
    assert time.monotonic() - started < AT_ONCE
    assert set(found) <= {"a"}
    until(lambda: resolver.addresses({"a"}) == {"a": frozenset({"192.0.2.1"})})
    assert len(names.asked) <= 4
    names.go_on.set()
    # What was asked for in vain is there for the next one who asks.
    until(lambda: "slow-0" in resolver.addresses({"slow-0"}))
    assert names.asked.count("slow-0") == 1


def test_only_so_many_wait(names: Names) -> None:
    resolver = Resolver(seconds=PATIENCE, waiting=1)
    waiting = threading.Thread(target=resolver.addresses, args=({"slow"},))
    waiting.start()
    until(lambda: names.asked == ["slow"])
    started = time.monotonic()
    assert resolver.addresses({"a"}) == {}
    assert time.monotonic() - started < AT_ONCE
    names.go_on.set()
    waiting.join(PATIENCE)
    assert "slow" in resolver.addresses({"slow"})
