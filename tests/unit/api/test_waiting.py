"""The queue for a node that is held: who comes first is served first, and nobody waits long."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import pytest

from api.waiting import WaitingRoom
from drophammer.errors import Conflict, NodeLocked
from tests.patience import AT_ONCE, PATIENCE, until


@dataclass
class Held:
    """A node that somebody holds until ``free`` is set, and who has had it since."""

    room: WaitingRoom
    free: threading.Event = field(default_factory=threading.Event)
    tries: list[str] = field(default_factory=list)
    served: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    node: str = "node"

    def attempt(self, name: str) -> None:
        self.room.check_turn(self.node)
        self.tries.append(name)
        if not self.free.is_set():
            raise NodeLocked(f"held, says try {len(self.tries)}")
        self.served.append(name)

    def ask(self, name: str) -> None:
        try:
            self.room.when_free(lambda: self.node, lambda: self.attempt(name))
        except NodeLocked as error:
            self.refused.append(error.message)

    def line_up(self, *names: str) -> list[threading.Thread]:
        """Threads that ask one behind the other."""
        threads = []
        for name in names:
            before = self.room.waiting(self.node)
            threads.append(threading.Thread(target=self.ask, args=(name,)))
            threads[-1].start()
            until(lambda before=before: self.room.waiting(self.node) > before)
        return threads


def join(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_the_order_of_service_is_the_order_of_arrival() -> None:
    held = Held(WaitingRoom(8, PATIENCE))
    names = [f"request {number}" for number in range(8)]
    threads = held.line_up(*names)
    held.free.set()
    join(threads)
    assert held.served == names
    assert held.refused == []


def test_only_the_first_of_a_queue_tries() -> None:
    held = Held(WaitingRoom(8, PATIENCE))
    threads = held.line_up("first", "second", "third")
    until(lambda: held.tries.count("first") >= 3)
    # Once before there was a queue, for the first; the others never.
    assert set(held.tries) == {"first"}
    held.free.set()
    join(threads)


def test_whoever_comes_later_does_not_overtake() -> None:
    held = Held(WaitingRoom(2, PATIENCE))
    threads = held.line_up("first", "second")
    held.free.set()
    # There is no place for a third one, and the node is free: others have waited for it.
    held.ask("third")
    join(threads)
    assert held.served == ["first", "second"]
    assert len(held.refused) == 1


def test_a_full_room_refuses_at_once() -> None:
    room = WaitingRoom(1, PATIENCE)
    held, other = Held(room), Held(room, node="other")
    threads = held.line_up("first")
    began = time.monotonic()
    other.ask("second")
    assert time.monotonic() - began < AT_ONCE
    assert other.refused == ["held, says try 1"]
    held.free.set()
    join(threads)
    other.free.set()
    other.ask("third")
    assert other.served == ["third"]


def test_patience_ends_with_what_was_said_last() -> None:
    held = Held(WaitingRoom(8, 0.2))
    began = time.monotonic()
    first, second = (
        threading.Thread(target=held.ask, args=(name,)) for name in ("first", "second")
    )
    first.start()
    until(lambda: held.room.waiting("node") or held.refused)
    second.start()
    join([first, second])
    assert time.monotonic() - began >= 0.2
    assert len(held.refused) == 2
    assert held.refused[0] != "held, says try 1"
    assert held.room.waiting("node") == 0


def test_an_error_of_another_kind_ends_the_wait_and_lets_the_next_one_come() -> None:
    held = Held(WaitingRoom(8, PATIENCE))
    gone = threading.Event()
    refusals: list[str] = []

    def attempt() -> None:
        if gone.is_set():
            raise Conflict("gone meanwhile")
        held.attempt("first")

    def ask() -> None:
        with pytest.raises(Conflict, match="gone meanwhile") as caught:
            held.room.when_free(lambda: "node", attempt)
        refusals.append(caught.value.message)

    first = threading.Thread(target=ask)
    first.start()
    until(lambda: held.room.waiting("node") == 1)
    threads = held.line_up("second")
    gone.set()
    first.join(PATIENCE)
    held.free.set()
    join(threads)
    assert (refusals, held.served) == (["gone meanwhile"], ["second"])


def test_two_that_need_each_others_node_do_not_wait_for_each_other() -> None:
    room = WaitingRoom(8, PATIENCE)
    free = threading.Event()
    served: list[str] = []

    def attempt(own: str, other: str) -> None:
        for node in (own, other):
            room.check_turn(node)
            if not free.is_set():
                raise NodeLocked("held")
        served.append(own)

    threads = [
        threading.Thread(
            target=lambda own=own, other=other: room.when_free(
                lambda: own, lambda: attempt(own, other)
            )
        )
        for own, other in (("a", "b"), ("b", "a"))
    ]
    for thread in threads:
        thread.start()
    until(lambda: room.waiting("a") == room.waiting("b") == 1)
    free.set()
    join(threads)
    assert sorted(served) == ["a", "b"]


def test_an_attempt_that_works_waits_for_nothing() -> None:
    room = WaitingRoom(0, PATIENCE)
    assert room.when_free(lambda: "node", lambda: 42) == 42
