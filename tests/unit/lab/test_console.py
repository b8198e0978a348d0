import threading

import pytest

from drophammer import errors
from lab import console
from tests.patience import PATIENCE


@pytest.fixture
def log(tmp_path):
    return console.SerialLog(tmp_path / "serial.log")


def test_a_line_that_is_there_is_found_with_its_groups(log):
    log.path.write_bytes(b"one\r\nUP host=a\r\nthree\r\n")
    found = log.wait(r"^UP host=(\w+)$", timeout=PATIENCE)
    assert (found.line, found.match[1]) == ("UP host=a", "a")


def test_the_next_search_may_go_on_behind_a_line(log):
    log.path.write_bytes(b"UP 1\nUP 2\n")
    first = log.wait("UP", timeout=PATIENCE)
    assert log.wait("UP", timeout=PATIENCE, offset=first.offset).line == "UP 2"


def test_a_line_written_later_is_found(log):
    timer = threading.Timer(0.1, lambda: log.path.write_bytes(b"late\n"))
    timer.start()
    assert log.wait("late", timeout=PATIENCE).line == "late"
    timer.join()


def test_a_line_without_an_end_does_not_count_yet(log):
    log.path.write_bytes(b"UP host=no")
    with pytest.raises(errors.DeadlineExceeded):
        log.wait("UP", timeout=0.05)


def test_a_prompt_is_found_when_asked_for(log):
    log.path.write_bytes(b"hello\nlogin: ")
    assert log.wait("login:", timeout=PATIENCE, unfinished=True).line == "login: "


def test_terminal_sequences_do_not_hide_a_line(log):
    log.path.write_bytes(b"\x1b[2J\x1b[0;37;40m\x1b[1;1HSeaBIOS\x1b[0m here\r\n")
    assert log.wait("^SeaBIOS here$", timeout=PATIENCE)


def test_a_deadline_tells_the_last_lines(log):
    log.path.write_bytes(b"".join(b"line %d\n" % number for number in range(100)))
    with pytest.raises(errors.DeadlineExceeded, match="line 99") as raised:
        log.wait("never", timeout=0)
    assert "line 70" in str(raised.value)
    assert "line 69" not in str(raised.value)


def test_a_log_that_does_not_exist_ends_in_a_deadline(log):
    with pytest.raises(errors.DeadlineExceeded):
        log.wait("x", timeout=0)
