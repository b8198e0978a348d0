"""How the TFTP server meets requests: granted, refused, odd and hostile ones."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from drophammer.errors import DrophammerError, Forbidden, NotFound, Unavailable
from netboot.content import Rendered, Request, StaticFiles, StoredFile
from tests.patience import PATIENCE

DATA, ACK, ERROR, OACK = 3, 4, 5, 6


class Answers:
    """A source that answers with what it was given, and counts how often it was asked."""

    def __init__(self, answer: Rendered | StoredFile | Exception) -> None:
        self.answer = answer
        self.asked: list[Request] = []

    async def open(self, request: Request) -> Rendered | StoredFile:
        self.asked.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Gate:
    """A source that makes the path "slow" wait until the test opens the gate."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.asked: list[str] = []

    async def open(self, request: Request) -> Rendered | StoredFile:
        self.asked.append(request.path)
        if request.path == "slow":
            await asyncio.get_running_loop().run_in_executor(None, self.gate.wait, PATIENCE)
        return Rendered(b"content of " + request.path.encode())


SIZES = [0, 1, 511, 512, 513, 1024, 1467, 1468, 1469, 70_000]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("options", [{}, {"blksize": 1468}, {"blksize": 600, "windowsize": 8}])
def test_a_file_of_any_size_arrives_whole(
    start_tftp: Any, connect: Any, root: Path, size: int, options: dict[str, int]
) -> None:
    content = random.Random(size).randbytes(size)
    (root / "file").write_bytes(content)
    assert connect(start_tftp()).fetch("file", tsize=0, **options) == content


@pytest.mark.parametrize("window", [1, 2, 7, 16, 64])
@pytest.mark.seed("s27")
def test_any_windowsize_brings_the_same_file(
    start_tftp: Any, connect: Any, root: Path, window: int
) -> None:
    content = connect(start_tftp()).fetch("kernel", blksize=1468, windowsize=window)
    assert content == (root / "kernel").read_bytes()


def test_rendered_bytes_arrive_whole(start_tftp: Any, connect: Any) -> None:
    content = random.Random(3).randbytes(300_000)
    server = start_tftp(Answers(Rendered(content)))
    assert connect(server).fetch("x", blksize=1468, windowsize=4) == content


@pytest.mark.parametrize("window", [1, 64])
def test_block_numbers_roll_over(start_tftp: Any, connect: Any, root: Path, window: int) -> None:
    content = random.Random(5).randbytes(8 * 66_000 + 3)
    (root / "long").write_bytes(content)
    client = connect(start_tftp())
    assert client.fetch("long", blksize=8, windowsize=window) == content


def test_the_option_answer_is_whole_even_if_blocks_are_tiny(start_tftp: Any, connect: Any) -> None:
    client = connect(start_tftp())
    client.ask("kernel", blksize=8, windowsize=64, tsize=0)
    assert client.oack() == {"blksize": "8", "windowsize": "64", "tsize": "200000"}


def test_a_file_that_is_not_in_memory_arrives_whole(
    start_tftp: Any, connect: Any, root: Path
) -> None:
    content = random.Random(5).randbytes(1_000_000)
    path = root / "cold"
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    assert connect(start_tftp()).fetch("cold", blksize=1468, windowsize=8) == content


def test_a_file_on_a_memory_file_system_arrives_whole(
    start_tftp: Any, connect: Any, root: Path
) -> None:
    content = random.Random(5).randbytes(500_000)
    path = Path("/dev/shm") / f"test-tftp-{os.getpid()}"
    path.write_bytes(content)
    try:
        answer = Answers(StoredFile(path, len(content)))
        assert connect(start_tftp(answer)).fetch("x", blksize=1468) == content
    finally:
        path.unlink()


@pytest.mark.seed("s11")
def test_a_missing_file_is_error_1(start_tftp: Any, connect: Any) -> None:
    client = connect(start_tftp())
    client.ask("no/such/file")
    assert client.refused().code == 1


@pytest.mark.parametrize(
    "name", ["../secret", "../../../../etc/passwd", "grub/../../secret", "..\\secret", "/../secret"]
)
@pytest.mark.seed("s11")
def test_a_path_upwards_is_error_2(start_tftp: Any, connect: Any, name: str) -> None:
    client = connect(start_tftp())
    client.ask(name)
    assert client.refused().code == 2


@pytest.mark.seed("s11")
def test_a_link_that_leads_outside_is_error_2(start_tftp: Any, connect: Any, root: Path) -> None:
    (root / "link").symlink_to("../secret")
    client = connect(start_tftp())
    client.ask("link")
    assert client.refused().code == 2


def test_a_file_that_became_a_link_after_the_source_looked_is_error_2(
    start_tftp: Any, connect: Any, root: Path
) -> None:
    (root / "swapped").symlink_to("../secret")
    client = connect(start_tftp(Answers(StoredFile(root / "swapped", 12))))
    client.ask("x")
    assert client.refused().code == 2


def test_a_tree_on_a_slow_disk_is_served_the_same(
    start_tftp: Any, connect: Any, root: Path
) -> None:
    server = start_tftp(StaticFiles(root, slow_disk=True))
    assert connect(server).fetch("grub/grub.cfg") == b"menuentry one\n"
    client = connect(server)
    client.ask("missing")
    assert client.refused().code == 1


def test_a_link_that_stays_inside_is_followed(start_tftp: Any, connect: Any, root: Path) -> None:
    (root / "link").symlink_to("grub/grub.cfg")
    assert connect(start_tftp()).fetch("link") == b"menuentry one\n"


def test_a_directory_is_error_1(start_tftp: Any, connect: Any) -> None:
    client = connect(start_tftp())
    client.ask("grub")
    assert client.refused().code == 1


def test_a_pipe_is_error_2(start_tftp: Any, connect: Any, root: Path) -> None:
    os.mkfifo(root / "pipe")
    client = connect(start_tftp())
    client.ask("pipe")
    assert client.refused().code == 2


def test_no_refusal_names_a_path_of_the_server(start_tftp: Any, connect: Any, root: Path) -> None:
    (root / "link").symlink_to("../secret")
    server = start_tftp()
    for name in ("missing", "link", "grub", "../x"):
        client = connect(server)
        client.ask(name)
        assert str(root.parent) not in client.refused().text


@pytest.mark.seed("s11")
def test_a_write_request_is_refused(start_tftp: Any, connect: Any, root: Path) -> None:
    client = connect(start_tftp())
    client.raw(b"\0\2new\0octet\0")
    assert client.refused().code == 2
    assert not (root / "new").exists()


def test_mode_mail_is_refused(start_tftp: Any, connect: Any) -> None:
    client = connect(start_tftp())
    client.ask("boot.cfg", mode="mail")
    assert client.refused().code == 4


def test_mode_names_may_be_in_capitals(start_tftp: Any, connect: Any, root: Path) -> None:
    content = connect(start_tftp()).fetch("boot.cfg", mode="OCTET")
    assert content == (root / "boot.cfg").read_bytes()


def test_netascii_is_converted(start_tftp: Any, connect: Any, root: Path) -> None:
    (root / "text").write_bytes(b"a\nb\rc\r\n")
    assert connect(start_tftp()).fetch("text", mode="netascii") == b"a\r\nb\r\0c\r\0\r\n"


def test_the_size_of_a_netascii_transfer_is_the_converted_one(
    start_tftp: Any, connect: Any, root: Path
) -> None:
    (root / "text").write_bytes(b"a\nb\n")
    client = connect(start_tftp())
    client.ask("text", mode="netascii", tsize=0)
    assert client.oack()["tsize"] == "6"


def test_a_large_file_in_netascii_is_refused(start_tftp: Any, connect: Any) -> None:
    client = connect(start_tftp(max_netascii=1000))
    client.ask("kernel", mode="netascii")
    answer = client.refused()
    assert answer.code == 0
    assert "octet" in answer.text


@pytest.mark.seed("s11")
def test_backslashes_are_slashes(start_tftp: Any, connect: Any) -> None:
    assert connect(start_tftp()).fetch("grub\\grub.cfg") == b"menuentry one\n"


def test_leading_slashes_are_dropped(start_tftp: Any, connect: Any) -> None:
    assert connect(start_tftp()).fetch("//grub/./grub.cfg") == b"menuentry one\n"


@pytest.mark.parametrize(
    "options",
    [
        {"blksize": 0},
        {"blksize": "abc"},
        {"blksize": 7},
        {"blksize": -5},
        {"blksize": "9" * 40},
        {"windowsize": 0},
        {"windowsize": "x"},
        {"timeout": 0},
        {"timeout": 256},
        {"unknown": 1},
        {"tsize": "none"},
    ],
)
def test_a_bad_option_is_dropped_and_the_transfer_goes_on(
    start_tftp: Any, connect: Any, options: dict[str, object]
) -> None:
    client = connect(start_tftp())
    client.ask("boot.cfg", **options)
    opcode, block, data = client.receive()
    assert (opcode, block, len(data)) == (DATA, 1, 512)


def test_a_bad_option_does_not_cost_the_good_ones(start_tftp: Any, connect: Any) -> None:
    client = connect(start_tftp())
    client.ask("boot.cfg", blksize="abc", tsize=0, windowsize=4)
    assert client.oack() == {"windowsize": "4", "tsize": "2800"}


@pytest.mark.parametrize(("cap", "granted"), [(1468, "1468"), (1024, "1024"), (65464, "65464")])
@pytest.mark.seed("s27")
def test_the_blksize_is_capped_by_the_option(
    start_tftp: Any, connect: Any, cap: int, granted: str
) -> None:
    client = connect(start_tftp(max_blksize=cap))
    client.ask("boot.cfg", blksize=65464)
    assert client.oack()["blksize"] == granted


def test_huge_blocks_arrive_whole(start_tftp: Any, connect: Any, root: Path) -> None:
    client = connect(start_tftp(max_blksize=65464))
    assert client.fetch("kernel", blksize=65464) == (root / "kernel").read_bytes()


def test_a_doubled_ack_does_not_double_the_data(start_tftp: Any, connect: Any) -> None:
    client = connect(start_tftp())
    client.ask("boot.cfg")
    client.receive()
    client.ack(1)
    client.ack(1)
    assert client.receive()[:2] == (DATA, 2)
    assert client.nothing_for(0.2)


def test_a_client_that_doubles_every_ack_gets_every_block_once(
    start_tftp: Any, connect: Any, root: Path
) -> None:
    """The sorcerer's apprentice: one answer to each of them would double all that follows."""
    server = start_tftp()
    client = connect(server)
    client.ask("kernel", blksize=1024)
    client.oack()
    client.ack(0)
    client.ack(0)
    blocks = []
    while len(blocks) < 196:
        _, number, _ = client.receive()
        blocks.append(number)
        client.ack(number)
        client.ack(number)
    assert blocks == list(range(1, 197))
    assert server.seen.wait() == ["complete"]
    assert client.nothing_for(0.2)


def test_an_ack_from_the_future_is_ignored(start_tftp: Any, connect: Any) -> None:
    client = connect(start_tftp())
    client.ask("boot.cfg")
    client.receive()
    client.ack(3)
    assert client.nothing_for(0.1)
    client.ack(1)
    assert client.receive()[:2] == (DATA, 2)


def test_a_stranger_gets_error_5_and_the_transfer_goes_on(start_tftp: Any, connect: Any) -> None:
    server = start_tftp()
    client, stranger = connect(server), connect(server)
    client.ask("boot.cfg")
    client.receive()
    stranger.peer = client.peer
    stranger.ack(1)
    assert stranger.refused().code == 5
    client.ack(1)
    assert client.receive()[:2] == (DATA, 2)


def test_the_error_of_a_stranger_is_not_answered(start_tftp: Any, connect: Any) -> None:
    server = start_tftp()
    client, stranger = connect(server), connect(server)
    client.ask("boot.cfg")
    client.receive()
    stranger.peer = client.peer
    stranger.error(0, "bye")
    assert stranger.nothing_for(0.1)
    client.ack(1)
    assert client.receive()[:2] == (DATA, 2)


def test_garbage_is_survived(start_tftp: Any, connect: Any, root: Path) -> None:
    server = start_tftp()
    chance = random.Random(3)
    vandal = connect(server)
    for packet in [
        b"",
        b"\0",
        b"\0\1",
        b"\0\1x",
        b"\0\1\0\0",
        b"\0\1boot.cfg\0octet\0blksize",
        b"\0\1" + b"\xff" * 400 + b"\0octet\0",
        b"\0\5\0\0\0",
        b"\0\7\0\0",
        b"\0\1" + b"x" * 5000,
        *(chance.randbytes(chance.randrange(1, 600)) for _ in range(200)),
    ]:
        vandal.raw(packet)
    assert connect(server).fetch("boot.cfg") == (root / "boot.cfg").read_bytes()


@pytest.mark.parametrize("packet", [b"\0\1name\0octet", b"\0\1\0octet\0", b"\0\1name\0\0"])
def test_a_malformed_request_is_error_4(start_tftp: Any, connect: Any, packet: bytes) -> None:
    client = connect(start_tftp())
    client.raw(packet)
    assert client.refused().code == 4


@pytest.mark.parametrize(
    "packet", [b"", b"\0", b"\0\4\0\1", b"\0\5\0\0x\0", b"\0\6", b"\1\1a\0b\0"]
)
def test_what_is_no_request_is_not_answered(start_tftp: Any, connect: Any, packet: bytes) -> None:
    client = connect(start_tftp())
    client.raw(packet)
    assert client.nothing_for(0.1)


def test_a_padded_request_is_accepted(start_tftp: Any, connect: Any) -> None:
    client = connect(start_tftp())
    client.ask("boot.cfg", blksize=1000, pad=b"\0" * 300)
    assert client.oack() == {"blksize": "1000"}


def test_a_padded_ack_is_accepted(start_tftp: Any, connect: Any) -> None:
    client = connect(start_tftp())
    client.ask("boot.cfg")
    client.receive()
    client.ack(1, pad=b"\0" * 42)
    assert client.receive()[:2] == (DATA, 2)


def test_odd_packets_within_a_transfer_are_survived(start_tftp: Any, connect: Any) -> None:
    client = connect(start_tftp())
    client.ask("boot.cfg")
    client.receive()
    for packet in (
        b"",
        b"\0",
        b"\0\4",
        b"\0\4\0",
        b"\0\3\0\1data",
        b"\0\1x\0octet\0",
        b"\xff" * 900,
    ):
        client.sock.sendto(packet, client.peer)
    client.ack(1)
    assert client.receive()[:2] == (DATA, 2)


@pytest.mark.parametrize(
    ("error", "code"),
    [(NotFound("no such node"), 1), (Forbidden("not yours"), 2), (Unavailable("database"), 0)],
)
@pytest.mark.seed("s11")
def test_an_error_of_the_source_is_answered_at_once(
    start_tftp: Any, connect: Any, error: DrophammerError, code: int
) -> None:
    client = connect(start_tftp(Answers(error)))
    client.ask("x")
    assert client.refused().code == code


@pytest.mark.seed("s11")
def test_a_source_that_breaks_is_error_0_without_its_secrets(start_tftp: Any, connect: Any) -> None:
    client = connect(start_tftp(Answers(RuntimeError("password hunter2 in /srv/db"))))
    client.ask("x")
    answer = client.refused()
    assert answer.code == 0
    assert "hunter2" not in answer.text


@pytest.mark.seed("s11")
def test_a_source_that_is_too_slow_is_error_0(start_tftp: Any, connect: Any) -> None:
    source = Gate()
    client = connect(start_tftp(source, open_seconds=0.2))
    client.ask("slow")
    assert client.refused().code == 0
    source.gate.set()


def test_others_are_served_while_the_source_is_slow(start_tftp: Any, connect: Any) -> None:
    source = Gate()
    server = start_tftp(source)
    waiting = connect(server)
    waiting.ask("slow")
    server.seen.wait_begun()
    assert connect(server).fetch("quick") == b"content of quick"
    source.gate.set()
    assert waiting.receive() == (DATA, 1, b"content of slow")
    waiting.ack(1)


def test_a_request_repeated_while_it_starts_makes_one_transfer(
    start_tftp: Any, connect: Any
) -> None:
    source = Gate()
    server = start_tftp(source)
    client = connect(server)
    for _ in range(3):
        client.ask("slow")
    server.seen.wait_begun()
    assert connect(server).fetch("quick") == b"content of quick"
    source.gate.set()
    assert client.receive()[:2] == (DATA, 1)
    assert client.nothing_for(0.1)
    client.ack(1)
    server.seen.wait(2)
    assert source.asked == ["slow", "quick"]


def test_a_request_repeated_before_any_ack_is_answered_from_the_same_port(
    start_tftp: Any, connect: Any
) -> None:
    client = connect(start_tftp(retry_seconds=0.05))
    client.ask("boot.cfg")
    client.receive()
    port = client.peer[1]
    client.ask("boot.cfg")
    client.receive()
    assert client.peer[1] == port


def test_another_request_from_the_same_port_replaces_the_first(
    start_tftp: Any, connect: Any
) -> None:
    server = start_tftp()
    client = connect(server)
    client.ask("boot.cfg", tsize=0)
    client.oack()
    client.ask("grub/grub.cfg")
    assert client.receive() == (DATA, 1, b"menuentry one\n")
    client.ack(1)
    assert server.seen.wait(2) == ["superseded by a new request", "complete"]


def test_a_size_probe_that_ends_with_error_8_is_normal(
    start_tftp: Any, connect: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = start_tftp()
    client = connect(server)
    client.ask("kernel", tsize=0, blksize=1468)
    assert client.oack()["tsize"] == "200000"
    client.error(8, "User aborted the transfer")
    assert server.seen.wait() == ["size probe"]
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "WARNING")]
    assert len(client.fetch("kernel", tsize=0, blksize=1468)) == 200_000


def test_an_abort_in_the_middle_is_reported_with_its_text(start_tftp: Any, connect: Any) -> None:
    server = start_tftp()
    client = connect(server)
    client.ask("boot.cfg")
    client.receive()
    client.ack(1)
    client.receive()
    client.error(3, "disk\x07full")
    assert server.seen.wait() == ["ended by the client: error 3 disk?full"]


def test_more_transfers_than_allowed_get_error_0(start_tftp: Any, connect: Any) -> None:
    server = start_tftp(max_transfers=2)
    first, second, third = connect(server), connect(server), connect(server)
    for client in (first, second):
        client.ask("boot.cfg")
        client.receive()
    third.ask("boot.cfg")
    assert third.refused().code == 0
    first.error(0, "done")
    server.seen.wait()
    server.settle()
    assert len(third.fetch("boot.cfg")) == 2800


def test_no_socket_left_is_error_0(start_tftp: Any, connect: Any) -> None:
    def none_left(family: int, kind: int) -> socket.socket:
        raise OSError(24, "Too many open files")

    client = connect(start_tftp(make_socket=none_left))
    client.ask("boot.cfg")
    assert client.refused().code == 0


def test_the_observer_learns_of_start_and_end(start_tftp: Any, connect: Any) -> None:
    server = start_tftp()
    connect(server).fetch("grub\\grub.cfg")
    server.seen.wait()
    request, sent, total, seconds, outcome = server.seen.ended[0]
    assert server.seen.begun == [request]
    assert request == Request("tftp", "grub/grub.cfg", "127.0.0.1", "127.0.0.1")
    assert (sent, total, outcome) == (14, 14, "complete")
    assert 0 < seconds < PATIENCE


def test_the_observer_learns_of_a_refusal(start_tftp: Any, connect: Any) -> None:
    server = start_tftp()
    client = connect(server)
    client.ask("missing")
    client.refused()
    assert server.seen.wait() == ["refused: There is no file 'missing'."]


def test_an_observer_that_breaks_does_not_break_the_transfer(start_tftp: Any, connect: Any) -> None:
    class Broken:
        def started(self, request: Request) -> None:
            raise RuntimeError("observer")

        def finished(self, *_: object) -> None:
            raise RuntimeError("observer")

    server = start_tftp(observer=Broken())
    assert len(connect(server).fetch("boot.cfg")) == 2800
    assert len(connect(server).fetch("boot.cfg")) == 2800


def test_the_answer_comes_from_the_address_that_was_asked(start_tftp: Any, connect: Any) -> None:
    server = start_tftp(host="0.0.0.0")
    for asked in ("127.0.0.1", "127.0.0.77"):
        client = connect((asked, server.port))
        client.ask("boot.cfg")
        client.receive()
        assert client.peer[0] == asked
        client.error(0)


def test_a_refusal_comes_from_the_address_that_was_asked(start_tftp: Any, connect: Any) -> None:
    server = start_tftp(host="0.0.0.0")
    client = connect(("127.0.0.77", server.port))
    client.ask("missing")
    client.refused()
    assert client.peer[0] == "127.0.0.77"


def test_the_source_learns_the_address_that_was_asked(start_tftp: Any, connect: Any) -> None:
    source = Answers(Rendered(b"x"))
    server = start_tftp(source, host="0.0.0.0")
    connect(("127.0.0.77", server.port)).fetch("x")
    assert source.asked[0].local == "127.0.0.77"


@pytest.mark.seed("s11")
def test_ipv6_serves_whole_files(start_tftp: Any, connect: Any, root: Path) -> None:
    server = start_tftp(host="::1")
    content = connect(server).fetch("kernel", blksize=1468, windowsize=8)
    assert content == (root / "kernel").read_bytes()
    server.seen.wait()
    assert server.seen.begun[0].client == server.seen.begun[0].local == "::1"


def test_ipv6_blocks_leave_room_for_its_longer_header(start_tftp: Any, connect: Any) -> None:
    client = connect(start_tftp(host="::1"))
    client.ask("kernel", blksize=1468)
    assert client.oack()["blksize"] == "1448"


def test_an_ipv6_stranger_gets_error_5(start_tftp: Any, connect: Any) -> None:
    server = start_tftp(host="::1")
    client, stranger = connect(server), connect(server)
    client.ask("boot.cfg")
    client.receive()
    stranger.peer = client.peer
    stranger.ack(1)
    assert stranger.refused().code == 5


def test_a_socket_for_both_families_serves_ipv4(start_tftp: Any, connect: Any) -> None:
    server = start_tftp(host="::")
    assert len(connect(("127.0.0.1", server.port)).fetch("boot.cfg")) == 2800
    server.seen.wait()
    assert server.seen.begun[0].client == server.seen.begun[0].local == "127.0.0.1"


def test_ipv6_refusals_are_heard(start_tftp: Any, connect: Any) -> None:
    client = connect(start_tftp(host="::"))
    client.server = ("::1", client.server[1])
    client.ask("missing")
    assert client.refused().code == 1
