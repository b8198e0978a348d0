"""The TFTP server when packets get lost, clients vanish, files change, and it is stopped."""

from __future__ import annotations

import asyncio
import itertools
import random
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from netboot.content import Rendered, Request
from netboot.services.tftp_options import Limits
from tests.patience import AT_ONCE, PATIENCE

pytestmark = pytest.mark.waits
DATA, ACK, ERROR, OACK = 3, 4, 5, 6


def once_below(seconds: float, measured: Callable[[], float]) -> float:
    """The first time that is below ``seconds``: a machine that stands still spoils some."""
    end = time.monotonic() + PATIENCE
    while (took := measured()) >= seconds:
        assert time.monotonic() < end, f"never below {seconds} s, at last {took} s"
    return took


def until_block(client: Any, block: int) -> None:
    """Receive a block; others that were sent again may come before it."""
    while client.receive()[:2] != (DATA, block):
        pass


def test_a_lost_block_is_sent_again_after_a_quarter_second(start_tftp: Any, connect: Any) -> None:
    server = start_tftp(retry_seconds=Limits().retry_seconds)

    def pause() -> float:
        client = connect(server)
        begun = time.monotonic()
        client.ask("boot.cfg")
        assert client.receive() == client.receive()
        return time.monotonic() - begun

    assert once_below(1.0, pause) >= 0.25


def test_the_pauses_double(start_tftp: Any, connect: Any) -> None:
    client = connect(start_tftp(retry_seconds=0.1))
    begun = time.monotonic()
    client.ask("boot.cfg")
    for _ in range(4):
        client.receive()
    assert time.monotonic() - begun >= 0.1 + 0.2 + 0.4


def test_the_pause_is_short_again_after_an_answer(start_tftp: Any, connect: Any) -> None:
    client = connect(start_tftp(retry_seconds=0.05))
    client.ask("kernel")
    blocks = itertools.count(1)

    def pause() -> float:
        block = next(blocks)
        # The next pause would be the fourth, of 0.4 s.
        for _ in range(4):
            until_block(client, block)
        begun = time.monotonic()
        client.ack(block)
        for _ in range(2):
            until_block(client, block + 1)
        return time.monotonic() - begun

    assert once_below(0.3, pause) >= 0.05


def test_the_pause_is_what_the_client_asked_for(start_tftp: Any, connect: Any) -> None:
    client = connect(start_tftp())
    begun = time.monotonic()
    client.ask("boot.cfg", timeout=1)
    # The server would choose two minutes, for which this client does not wait.
    assert client.oack() == client.oack() == {"timeout": "1"}
    assert time.monotonic() - begun >= 1.0


def test_a_lost_option_answer_is_sent_again(start_tftp: Any, connect: Any) -> None:
    client = connect(start_tftp(retry_seconds=0.05))
    client.ask("boot.cfg", blksize=1000)
    assert client.oack() == client.oack() == {"blksize": "1000"}


def test_the_last_block_is_sent_again_until_it_is_acknowledged(
    start_tftp: Any, connect: Any
) -> None:
    server = start_tftp(retry_seconds=0.05)
    client = connect(server)
    client.ask("grub/grub.cfg")
    assert client.receive() == client.receive() == (DATA, 1, b"menuentry one\n")
    client.ack(1)
    assert server.seen.wait() == ["complete"]


def test_a_window_goes_on_behind_the_block_that_arrived(start_tftp: Any, connect: Any) -> None:
    client = connect(start_tftp())
    client.ask("kernel", windowsize=4)
    client.oack()
    client.ack(0)
    assert [client.receive()[1] for _ in range(4)] == [1, 2, 3, 4]
    client.ack(2)
    assert [client.receive()[1] for _ in range(4)] == [3, 4, 5, 6]


def test_a_window_whose_first_block_was_lost_is_sent_again_at_once_but_only_once(
    start_tftp: Any, connect: Any
) -> None:
    client = connect(start_tftp())
    client.ask("kernel", windowsize=2)
    client.oack()
    client.ack(0)
    assert [client.receive()[1] for _ in range(2)] == [1, 2]
    client.ack(0)
    assert [client.receive()[1] for _ in range(2)] == [1, 2]
    client.ack(0)
    assert client.nothing_for(0.2)


def test_a_lost_window_is_sent_again_by_the_timer(start_tftp: Any, connect: Any) -> None:
    client = connect(start_tftp(retry_seconds=0.1))
    client.ask("kernel", windowsize=3)
    client.oack()
    client.ack(0)
    assert [client.receive()[1] for _ in range(6)] == [1, 2, 3, 1, 2, 3]


@pytest.mark.parametrize("window", [1, 8])
def test_a_tenth_of_all_packets_lost_loses_no_byte(
    start_tftp: Any, connect: Any, root: Path, window: int
) -> None:
    (root / "kernel").write_bytes(random.Random(2).randbytes(100_000))
    server = start_tftp(retry_seconds=0.02)
    for seed in range(3):
        client = connect(server, loss=0.1, seed=seed)
        content = client.fetch("kernel", blksize=1468, windowsize=window)
        assert content == (root / "kernel").read_bytes()


def test_two_hundred_clients_at_once_lose_nothing(
    start_tftp: Any, connect: Any, root: Path
) -> None:
    content = random.Random(9).randbytes(65_536)
    (root / "loader").write_bytes(content)
    server = start_tftp(retry_seconds=Limits().retry_seconds)
    clients = [connect(server) for _ in range(200)]
    begin = threading.Barrier(200)

    def boot(number: int) -> bytes:
        begin.wait(PATIENCE)
        fetched: bytes = clients[number].fetch("loader", blksize=1468, tsize=0)
        return fetched

    with ThreadPoolExecutor(200) as machines:
        assert all(fetched == content for fetched in machines.map(boot, range(200)))
    assert set(server.seen.wait(200)) == {"complete"}


def test_clients_with_one_percent_loss_lose_nothing(
    start_tftp: Any, connect: Any, root: Path
) -> None:
    content = random.Random(9).randbytes(65_536)
    (root / "loader").write_bytes(content)
    server = start_tftp(retry_seconds=Limits().retry_seconds)
    clients = [connect(server, loss=0.01, seed=seed) for seed in range(40)]

    def boot(number: int) -> bytes:
        fetched: bytes = clients[number].fetch("loader", blksize=1468)
        return fetched

    with ThreadPoolExecutor(40) as machines:
        assert all(fetched == content for fetched in machines.map(boot, range(40)))


class WithoutSegments(socket.socket):
    """A socket whose network card cannot cut a send into packets."""

    whole_sends = 0

    def send(self, data: Any, flags: int = 0) -> int:  # type: ignore[override]
        if len(data) > 1472:
            WithoutSegments.whole_sends += 1
            raise OSError(5, "Input/output error")
        return super().send(data, flags)


def test_without_segments_in_the_kernel_windows_go_out_packet_by_packet(
    start_tftp: Any, connect: Any, root: Path
) -> None:
    WithoutSegments.whole_sends = 0
    server = start_tftp(make_socket=WithoutSegments)
    content = connect(server).fetch("kernel", blksize=1468, windowsize=16)
    assert content == (root / "kernel").read_bytes()
    # Tried once; then the transfer has learnt.
    assert WithoutSegments.whole_sends == 1


class Deaf(socket.socket):
    """A socket whose first data packets find no room to be sent."""

    refusals = 0

    def send(self, data: Any, flags: int = 0) -> int:  # type: ignore[override]
        if Deaf.refusals < 3:
            Deaf.refusals += 1
            raise BlockingIOError
        return super().send(data, flags)


def test_a_full_send_buffer_counts_as_loss(start_tftp: Any, connect: Any, root: Path) -> None:
    Deaf.refusals = 0
    server = start_tftp(make_socket=Deaf, retry_seconds=0.02)
    assert connect(server).fetch("kernel", blksize=1468) == (root / "kernel").read_bytes()


def test_a_client_that_vanished_is_noticed_at_once(start_tftp: Any, connect: Any) -> None:
    server = start_tftp(retry_seconds=0.05)
    client = connect(server)
    client.ask("kernel")
    client.receive()
    client.sock.close()
    assert server.seen.wait() == ["the client closed its port"]


def test_a_silent_client_is_given_up(start_tftp: Any, connect: Any) -> None:
    server = start_tftp(retry_seconds=0.05, patience_seconds=0.4)
    client = connect(server)
    client.ask("kernel")
    assert server.seen.wait() == ["the client does not answer"]
    server.settle()
    assert server.server.transfers == 0


def test_a_client_that_closes_without_the_last_ack_has_its_file(
    start_tftp: Any, connect: Any
) -> None:
    server = start_tftp(retry_seconds=0.05)
    client = connect(server)
    client.ask("grub/grub.cfg")
    client.receive()
    client.sock.close()
    assert server.seen.wait() == ["complete but for the last acknowledgement"]


def test_a_file_that_shrinks_ends_its_transfer_with_an_error(
    start_tftp: Any, connect: Any, root: Path
) -> None:
    (root / "big").write_bytes(bytes(2_000_000))
    server = start_tftp()
    client = connect(server)
    client.ask("big", blksize=1468)
    client.oack()
    client.ack(0)
    client.receive()
    (root / "big").write_bytes(b"")
    block, opcode = 1, DATA
    while opcode == DATA:
        client.ack(block)
        opcode, block, text = client.receive()
    assert (opcode, block) == (ERROR, 0)
    assert b"could not be read" in text


def test_a_file_that_is_replaced_arrives_as_it_was(
    start_tftp: Any, connect: Any, root: Path
) -> None:
    old = (root / "kernel").read_bytes()
    client = connect(start_tftp())
    client.ask("kernel")
    block, content = 1, client.receive()[2]
    (root / "new").write_bytes(bytes(200_000))
    (root / "new").rename(root / "kernel")
    while len(content) == 512 * block:
        client.ack(block)
        _, block, data = client.receive()
        content += data
    client.ack(block)
    assert content == old


def test_stop_ends_a_transfer_with_an_error(start_tftp: Any, connect: Any) -> None:
    server = start_tftp()
    client = connect(server)
    client.ask("kernel")
    client.receive()
    server.stop(grace=0.05)
    assert client.refused().text == "the server is stopping"
    assert server.seen.wait() == ["the server is stopping"]


def test_stop_lets_a_transfer_end_within_its_grace(start_tftp: Any, connect: Any) -> None:
    server = start_tftp()
    client = connect(server)
    client.ask("boot.cfg")
    client.receive()
    stopping = asyncio.run_coroutine_threadsafe(
        server.server.stop(2 * PATIENCE), server.thread.loop
    )
    for block in range(1, 6):
        client.ack(block)
        assert client.receive()[1] == block + 1
    client.ack(6)
    stopping.result(AT_ONCE)
    assert server.seen.wait() == ["complete"]


def test_stop_answers_requests_whose_source_is_still_thinking(
    start_tftp: Any, connect: Any
) -> None:
    class Forever:
        async def open(self, request: Request) -> Rendered:
            await asyncio.Event().wait()
            raise AssertionError

    server = start_tftp(Forever())
    client = connect(server)
    client.ask("x")
    server.seen.wait_begun()
    server.stop(grace=0.0)
    assert client.refused().text == "the server is stopping"
    assert server.seen.wait() == ["the server is stopping"]


def test_no_descriptor_is_left_behind(start_tftp: Any, connect: Any) -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    server = start_tftp(retry_seconds=0.05)
    connect(server).fetch("kernel", blksize=1468)
    server.seen.wait()
    before = descriptors()
    for number in range(20):
        client = connect(server)
        client.fetch("kernel", blksize=1468)
        client.sock.close()
        with connect(server) as gone:
            gone.ask("kernel")
            gone.receive()
        server.seen.wait(3 + 2 * number)
    server.settle()
    assert descriptors() <= before
