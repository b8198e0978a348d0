"""The event loop that calls transfers' sockets itself: everything else goes on beside them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from netboot.services.tftp_poll import EVENTS_PER_TURN, Poll, PollLoop
from tests.patience import PATIENCE

Pair = tuple[socket.socket, socket.socket]


def run(work: Callable[[Poll], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=PollLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, PollLoop)
        runner.run(asyncio.wait_for(work(loop.poll), PATIENCE))


@pytest.fixture
def pairs() -> Iterator[Callable[[], Pair]]:
    """Make pairs of connected sockets."""
    with contextlib.ExitStack() as stack:

        def make() -> Pair:
            one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            one.setblocking(False)
            return stack.enter_context(one), stack.enter_context(other)

        yield make


def test_a_socket_that_was_added_is_called_until_it_is_removed(pairs: Callable[[], Pair]) -> None:
    mine, theirs = pairs()

    async def work(poll: Poll) -> None:
        heard: asyncio.Queue[bytes] = asyncio.Queue()
        poll.add(mine, lambda: heard.put_nowait(mine.recv(10)))
        theirs.send(b"one")
        assert await heard.get() == b"one"
        poll.remove(mine)
        theirs.send(b"two")
        await asyncio.sleep(0.02)
        assert heard.empty()

    run(work)


def test_sockets_that_are_never_silent_leave_time_for_readers_timers_and_threads(
    pairs: Callable[[], Pair],
) -> None:
    noisy = [pairs() for _ in range(2 * EVENTS_PER_TURN)]
    quiet, theirs = pairs()

    async def work(poll: Poll) -> None:
        loop = asyncio.get_running_loop()
        for mine, other in noisy:
            other.send(b"never read")
            poll.add(mine, lambda: None)
        heard = loop.create_future()
        loop.add_reader(quiet, lambda: heard.done() or heard.set_result(quiet.recv(10)))
        await asyncio.sleep(0.01)
        await asyncio.to_thread(theirs.send, b"hello")
        assert await heard == b"hello"
        loop.remove_reader(quiet)
        for mine, _ in noisy:
            poll.remove(mine)

    run(work)


def test_a_call_that_breaks_is_logged_and_costs_the_others_nothing(
    pairs: Callable[[], Pair], caplog: pytest.LogCaptureFixture
) -> None:
    broken, sound = pairs(), pairs()

    async def work(poll: Poll) -> None:
        heard = asyncio.get_running_loop().create_future()

        def fails() -> None:
            broken[0].recv(10)
            raise RuntimeError("a packet like no other")

        poll.add(broken[0], fails)
        poll.add(sound[0], lambda: heard.set_result(sound[0].recv(10)))
        broken[1].send(b"x")
        sound[1].send(b"y")
        assert await heard == b"y"

    run(work)
    assert "a packet like no other" in caplog.text


def test_one_call_may_remove_the_socket_of_another(pairs: Callable[[], Pair]) -> None:
    first, second = pairs(), pairs()

    async def work(poll: Poll) -> None:
        called: list[socket.socket] = []

        def call(mine: socket.socket, other: socket.socket) -> None:
            mine.recv(10)
            called.append(mine)
            poll.remove(other)

        poll.add(first[0], lambda: call(first[0], second[0]))
        poll.add(second[0], lambda: call(second[0], first[0]))
        first[1].send(b"x")
        second[1].send(b"x")
        await asyncio.sleep(0.02)
        assert len(called) == 1

    run(work)


def test_writers_and_changed_readers_are_asyncios_as_ever(pairs: Callable[[], Pair]) -> None:
    mine, theirs = pairs()

    async def work(_: Poll) -> None:
        loop = asyncio.get_running_loop()
        writable, heard = loop.create_future(), loop.create_future()
        loop.add_writer(mine, lambda: writable.done() or writable.set_result(None))
        # A second registration of one socket: asyncio modifies it.
        loop.add_reader(mine, lambda: heard.set_result(mine.recv(10)))
        await writable
        loop.remove_writer(mine)
        theirs.send(b"x")
        assert await heard == b"x"
        assert loop.remove_reader(mine)
        assert not loop.remove_reader(mine)

    run(work)
