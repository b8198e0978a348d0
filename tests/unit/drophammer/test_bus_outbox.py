"""Letters on their way out, and what is known of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from drophammer.bus_outbox import MOST, Outbox, Parcel
from drophammer.errors import Unavailable
from tests.patience import PATIENCE


class Wire:
    """Takes parcels when it is let."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.entered = threading.Event()
        self.sent: list[str] = []

    def send(self, parcel: Parcel) -> None:
        self.entered.set()
        self.open.wait(PATIENCE)
        if parcel.text == "nobody":
            raise Unavailable("Nobody is there.")
        if parcel.text == "crash":
            raise KeyError("strange")
        self.sent.append(parcel.text)


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    yield wire
    wire.open.set()


def parcel(text: str, seconds: float = 10.0) -> Parcel:
    return Parcel("conductor", "", text, "", seconds)


def test_what_has_not_been_sent_can_be_withdrawn_for_certain(wire: Wire) -> None:
    outbox = Outbox(wire.send)
    first, second = parcel("first"), parcel("second")
    outbox.post(first)
    assert wire.entered.wait(PATIENCE)
    outbox.post(second)
    assert outbox.withdraw(second)
    assert not outbox.withdraw(first)
    wire.open.set()
    outbox.close(5)
    assert wire.sent == ["first"]


def test_what_waited_for_too_long_is_not_sent(wire: Wire) -> None:
    outbox = Outbox(wire.send)
    outbox.post(parcel("first"))
    assert wire.entered.wait(PATIENCE)
    outbox.post(parcel("old", seconds=0.0))
    outbox.post(parcel("new"))
    wire.open.set()
    outbox.close(5)
    assert wire.sent == ["first", "new"]


def test_a_loss_is_told_and_the_next_letter_goes_out(wire: Wire) -> None:
    outbox, told = Outbox(wire.send), []
    wire.open.set()
    lost = parcel("nobody")
    lost.lost = told.append
    for one in (lost, parcel("crash"), parcel("fine")):
        outbox.post(one)
    outbox.close(5)
    assert [error.message for error in told] == ["Nobody is there."]
    assert wire.sent == ["fine"]


def test_there_is_an_end_to_what_waits(wire: Wire) -> None:
    outbox = Outbox(wire.send)
    outbox.post(parcel("first"))
    assert wire.entered.wait(PATIENCE)
    for number in range(MOST):
        outbox.post(parcel(str(number)))
    with pytest.raises(Unavailable, match=str(MOST)):
        outbox.post(parcel("more"))


def test_an_answer_that_the_broker_did_not_take_is_sent_once_more(
    wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    broken = [Unavailable("The connection broke."), None]

    def send(parcel: Parcel) -> None:
        if parcel.text == "answer" and (error := broken.pop(0)):
            raise error
        wire.send(parcel)

    wire.open.set()
    outbox = Outbox(send)
    outbox.post(parcel("answer"))
    outbox.post(parcel("next"))
    outbox.close(5)
    assert wire.sent == ["answer", "next"]
    assert "The connection broke." in caplog.text


def test_a_message_that_cannot_be_sent_at_all_holds_nobody_up_and_is_in_the_log(
    wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    wire.open.set()
    outbox = Outbox(wire.send)
    outbox.post(parcel("nobody"))
    outbox.post(parcel("next"))
    outbox.close(5)
    assert wire.sent == ["next"]
    assert caplog.text.count("Nobody is there.") == 2
