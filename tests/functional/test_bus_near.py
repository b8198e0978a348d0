"""What a process serves itself it calls itself; everything else goes out."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from drophammer.bus import LocalBus, Served
from drophammer.bus_answer import asked
from drophammer.bus_near import NearBus
from drophammer.clock import Clock
from drophammer.errors import DeadlineExceeded, Unavailable
from tests.patience import PATIENCE, until


class FixedClock(Clock):
    def __init__(self, moment: datetime.datetime) -> None:
        self._moment = moment

    def now(self) -> datetime.datetime:
        return self._moment


class Room:
    has_room = True


class Silent:
    """Does not tell how much it has to do."""

    def where(self) -> str:
        return "here"


class Endpoint:
    """Says where it is, and may have enough to do."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.load = Room()
        self.asked = 0
        self.error: Exception | None = None
        self.heard = threading.Event()
        self.go_on = threading.Event()

    def where(self) -> str:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return self.place

    def until(self) -> str:
        until = asked().until
        assert until is not None
        return until.isoformat()

    def hear(self) -> None:
        self.heard.set()

    def last(self) -> str:
        self.heard.set()
        assert self.go_on.wait(PATIENCE)
        return self.place


class Broker(LocalBus):
    """One on which another host serves all topics, by their own names too."""

    def __init__(self, elsewhere: Endpoint) -> None:
        super().__init__()
        self._elsewhere = elsewhere
        for topic in ("conductor", "netboot"):
            super().serve(topic, elsewhere, "there")
        self.served: list[str] = []
        self.last: Any = None

    def serve(self, topic: str, endpoint: object, host: str) -> Served:
        self.served.append(f"{topic}@{host}")
        self.last = LocalBus().serve(topic, endpoint, host)
        return self.last

    def trouble(self) -> str:
        return "the message bus does not answer"


@pytest.fixture
def here() -> Endpoint:
    return Endpoint("here")


@pytest.fixture
def there() -> Endpoint:
    return Endpoint("there")


@pytest.fixture
def broker(there: Endpoint) -> Iterator[Broker]:
    made = Broker(there)
    yield made
    made.close()


@pytest.fixture
def bus(broker: Broker) -> Iterator[NearBus]:
    made = NearBus(broker)
    yield made
    made.close()


def test_what_is_served_here_is_called_here_and_by_others_over_the_broker(
    bus: NearBus, broker: Broker, here: Endpoint
) -> None:
    bus.serve("conductor", here, "rack")
    assert bus.call("conductor", "where") == "here"
    assert broker.served == ["conductor@rack"]


# Several may have one name, and not all can do the same.
@pytest.mark.parametrize("address", ["netboot", "conductor@other", "conductor@rack"])
def test_what_is_not_goes_out(bus: NearBus, here: Endpoint, address: str) -> None:
    bus.serve("conductor", here, "rack")
    assert bus.call(address, "where") == "there"


def test_a_cast_goes_the_same_way(bus: NearBus, here: Endpoint, there: Endpoint) -> None:
    bus.cast("conductor", "hear")
    assert there.heard.wait(PATIENCE)
    bus.serve("conductor", here, "rack")
    bus.cast("conductor", "hear")
    assert here.heard.wait(PATIENCE)


def test_who_does_not_tell_how_much_he_has_to_do_is_one_of_many(bus: NearBus) -> None:
    bus.serve("netboot", Silent(), "rack")
    assert bus.call("netboot", "where") == "there"


def test_who_has_enough_to_do_leaves_the_rest_to_others_if_they_take_it(
    bus: NearBus, here: Endpoint, there: Endpoint
) -> None:
    bus.serve("conductor", here, "rack")
    here.load.has_room = False
    assert bus.call("conductor", "where") == "there"
    there.error = Unavailable("nobody takes it")
    assert bus.call("conductor", "where") == "here"


def test_what_may_have_been_done_is_not_tried_elsewhere(
    bus: NearBus, here: Endpoint, there: Endpoint
) -> None:
    bus.serve("conductor", here, "rack")
    here.load.has_room = False
    there.error = DeadlineExceeded("no answer")
    with pytest.raises(DeadlineExceeded):
        bus.call("conductor", "where")
    assert here.asked == 0


def test_a_refusal_is_an_answer(bus: NearBus, here: Endpoint, there: Endpoint) -> None:
    bus.serve("conductor", here, "rack")
    here.error = Unavailable("as much as may be is under way")
    with pytest.raises(Unavailable, match="as much as may be"):
        bus.call("conductor", "where")
    assert there.asked == 0


def test_who_is_asked_to_stop_takes_nothing_from_others_while_he_ends_something(
    bus: NearBus, broker: Broker, here: Endpoint
) -> None:
    served = bus.serve("conductor", here, "rack")
    caller = threading.Thread(target=bus.call, args=("conductor", "last"))
    caller.start()
    assert here.heard.wait(PATIENCE)
    stopping = threading.Thread(target=served.stop)
    stopping.start()
    # On the broker he has stopped; here he ends what he has in hand.
    until(lambda: broker.last is not None and broker.last.stopped)
    stopping.join(PATIENCE)
    assert not stopping.is_alive()  # Nor is that waited for without an end.
    assert caller.is_alive()
    here.go_on.set()
    caller.join(PATIENCE)


def test_who_stops_ends_what_he_has_begun_and_leaves_the_rest_to_others(
    bus: NearBus, here: Endpoint
) -> None:
    served = bus.serve("conductor", here, "rack")
    answers: list[str] = []
    caller = threading.Thread(target=lambda: answers.append(bus.call("conductor", "last")))
    caller.start()
    assert here.heard.wait(PATIENCE)
    stopping = threading.Thread(target=served.stop)
    stopping.start()
    here.go_on.set()
    stopping.join(PATIENCE)
    caller.join(PATIENCE)
    assert answers == ["here"]
    assert bus.call("conductor", "where") == "there"


def test_that_the_broker_is_in_trouble_is_told_and_hinders_nobody_here(
    bus: NearBus, here: Endpoint
) -> None:
    bus.serve("conductor", here, "rack")
    assert bus.trouble() == "the message bus does not answer"
    assert bus.call("conductor", "where") == "here"


def test_what_is_begun_too_late_is_not_begun_at_all(broker: Broker, here: Endpoint) -> None:
    now = datetime.datetime.now(datetime.UTC)
    bus = NearBus(broker, FixedClock(now))
    bus.serve("conductor", here, "rack")
    assert bus.call("conductor", "until") == (now + datetime.timedelta(seconds=2.5)).isoformat()
    bus.close()


def test_closed_it_takes_no_more_calls(bus: NearBus, here: Endpoint) -> None:
    bus.serve("conductor", here, "rack")
    bus.close()
    with pytest.raises(Unavailable):
        bus.call("conductor", "where")
