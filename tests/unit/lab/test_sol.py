import pytest

from lab import sol


class Line:
    """Both ends of a console: what the client got and what was typed."""

    def __init__(self):
        self.sent = []
        self.typed = b""
        self.console = sol.SerialOverLan(self.sent.append, self.type)

    def type(self, data):
        self.typed += data


@pytest.fixture
def line():
    return Line()


def test_output_is_sent_with_a_number(line):
    line.console.output(b"login: ", 0.0)
    assert line.sent == [b"\x01\x00\x00\x00login: "]


def test_the_next_packet_waits_for_the_acknowledgement(line):
    line.console.output(b"a", 0.0)
    line.console.output(b"b", 0.0)
    assert len(line.sent) == 1
    line.console.packet(b"\x00\x01\x01\x00", 0.1)
    assert line.sent[1] == b"\x02\x00\x00\x00b"


def test_long_output_is_cut_into_packets(line):
    line.console.output(b"x" * 300, 0.0)
    line.console.packet(b"\x00\x01\xf8\x00", 0.1)
    assert [len(packet) for packet in line.sent] == [252, 56]


def test_numbers_go_from_fifteen_to_one(line):
    for number in range(1, 17):
        line.console.output(b"x", 0.0)
        assert line.sent[-1][0] == (number - 1) % 15 + 1
        line.console.packet(bytes([0, line.sent[-1][0], 1, 0]), 0.0)


def test_an_old_acknowledgement_does_not_count(line):
    line.console.output(b"a", 0.0)
    line.console.packet(b"\x00\x07\x01\x00", 0.1)
    line.console.output(b"b", 0.2)
    assert len(line.sent) == 1


def test_what_the_client_could_not_take_is_sent_again(line):
    line.console.output(b"abcdef", 0.0)
    line.console.packet(b"\x00\x01\x02\x40", 0.1)
    assert line.sent[1] == b"\x02\x00\x00\x00cdef"


def test_typed_characters_are_passed_on_and_acknowledged(line):
    line.console.packet(b"\x03\x00\x00\x00ls\n", 0.0)
    assert line.typed == b"ls\n"
    assert line.sent == [b"\x00\x03\x03\x00"]


def test_a_repeated_packet_is_typed_once(line):
    for _ in range(2):
        line.console.packet(b"\x03\x00\x00\x00x", 0.0)
    assert line.typed == b"x"
    assert len(line.sent) == 2


def test_a_lost_packet_is_repeated(line):
    line.console.output(b"a", 0.0)
    assert line.console.tick(0.5)
    assert len(line.sent) == 1
    assert line.console.tick(1.0)
    assert line.sent[1] == line.sent[0]


def test_a_client_that_never_acknowledges_is_given_up(line):
    line.console.output(b"a", 0.0)
    alive = [line.console.tick(float(second)) for second in range(1, 11)]
    assert alive == [True] * sol.REPEATS + [False] * (10 - sol.REPEATS)


def test_the_serial_port_is_not_read_while_the_client_lags(line):
    line.console.output(b"x" * sol.BACKLOG, 0.0)
    line.console.output(b"x" * sol.MAX_CHARACTERS, 0.0)
    assert line.console.full


def test_a_packet_that_is_too_short_is_ignored(line):
    line.console.packet(b"\x01\x00", 0.0)
    assert line.sent == []
