"""What is put into the queues by somebody else: laid aside and told, never acted upon."""

from __future__ import annotations

import json
import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kombu
import pytest

from cluster.rabbitmq import RabbitMQ
from drophammer.bus import Bus, Unanswered
from drophammer.bus_letter import CALL, CAST, Letter, pack, sign
from drophammer.model import new_uuid
from tests.integration.bus.conftest import Endpoint, until

Publish = Callable[..., None]
KEY = "a long random text"


@pytest.fixture
def publish(broker: RabbitMQ) -> Any:
    """Put bytes into the conductors' queue as they are."""
    with kombu.Connection(broker.url.replace("rabbit:", "amqp:")) as connection:
        channel = connection.channel()

        def put(body: bytes, **properties: Any) -> None:
            message = channel.prepare_message(
                body,
                content_type=properties.pop("content_type", "application/json"),
                content_encoding=properties.pop("content_encoding", "utf-8"),
                headers=properties.pop("headers", {}),
                properties={},
            )
            channel.basic_publish(message, "drophammer", "drophammer.conductor")

        yield put


def letter(**changes: Any) -> dict[str, Any]:
    now = time.time()
    made = Letter(CAST, new_uuid(), "conductor", now, now + 60, "note", {"what": "forged"})
    return {**made.__dict__, **changes}


def posted(inner: Any, **more: Any) -> bytes:
    """What oslo.messaging would have made of it."""
    args = {"letter": inner if isinstance(inner, str) else json.dumps(inner), "signature": ""}
    message = {"method": "take", "args": {**args, **more}, "version": "2.0"}
    message |= {"_unique_id": new_uuid()}
    return json.dumps({"oslo.version": "2.0", "oslo.message": json.dumps(message)}).encode()


class Bomb:
    """A pickle that runs a command where it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


DEEP = "[" * 100_000 + "]" * 100_000
GARBAGE = [
    b"",
    b"\xff\xfe\x00",
    b"null",
    b"[]",
    b"5",
    b'"text"',
    b"{}",
    DEEP.encode(),
    b'{"oslo.version":"2.0"}',
    b'{"oslo.version":"2.0","oslo.message":"[]"}',
    b'{"oslo.version":"2.0","oslo.message":"5"}',
    b'{"oslo.version":"2.0","oslo.message":"[[1,2]]"}',
    b'{"oslo.version":"9.0","oslo.message":"{}"}',
    json.dumps({"oslo.version": "2.0", "oslo.message": DEEP}).encode(),
    json.dumps({"oslo.version": "2.0", "oslo.message": json.dumps({"method": 5})}).encode(),
    json.dumps({"oslo.version": "2.0", "oslo.message": json.dumps({"_unique_id": []})}).encode(),
    json.dumps(
        {"oslo.version": "2.0", "oslo.message": json.dumps({"method": "take", "args": "x"})}
    ).encode(),
    json.dumps(
        {"oslo.version": "2.0", "oslo.message": json.dumps({"method": "_opened", "args": {}})}
    ).encode(),
    json.dumps(
        {"oslo.version": "2.0", "oslo.message": json.dumps({"method": "close", "args": {}})}
    ).encode(),
    posted("not JSON"),
    posted(DEEP),
    posted([]),
    posted({}),
    posted(letter(kind="answer")),
    posted(letter(id="5")),
    posted(letter(to="netboot")),
    posted(letter(sent_at="now")),
    posted(letter(until=float("nan"))),
    posted(letter(until=True)),
    posted(letter(sent_at=time.time() + 7200, until=time.time() + 7300)),
    posted(letter(sent_at=time.time() - 3600, until=time.time() - 3540)),
    posted(letter(method="_hidden", arguments={})),
    posted(letter(method="__class__", arguments={})),
    posted(letter(method="noted", arguments={})),
    posted(letter(method="no_such", arguments={})),
    posted(letter(arguments=[])),
    posted(letter(arguments={"what": "x", "more": "y"})),
    posted(letter(arguments={})),
    posted(letter(method="number", arguments={"node_id": "1; DROP"})),
    posted(letter(method="number", arguments={"node_id": True})),
    posted(letter(method="number", arguments={"node_id": {}, "timeout": []})),
    posted(letter(kind=CALL, reply_to="drophammer.conductor")),
    posted(letter(), strange=1),
    posted("x" * 5_000_000),
]


@pytest.mark.usefixtures("patient")
def test_garbage_is_laid_aside_and_the_serving_goes_on(
    bus: Bus, make_bus: Callable[..., Bus], endpoint: Endpoint, publish: Publish
) -> None:
    make_bus().serve("conductor", endpoint, "one")
    bus.call("conductor", "note", what="before")
    for body in GARBAGE:
        publish(body)
    until(lambda: bus.call("conductor", "note", what="after") == "after")
    assert endpoint.noted == ["before", "after"]


@pytest.mark.usefixtures("patient")
def test_pickles_and_strange_encodings_are_not_opened(
    bus: Bus,
    make_bus: Callable[..., Bus],
    endpoint: Endpoint,
    publish: Publish,
    tmp_path: Path,
) -> None:
    make_bus().serve("conductor", endpoint, "one")
    bus.call("conductor", "note", what="before")
    bomb = pickle.dumps(Bomb(tmp_path / "exploded"))
    publish(bomb, content_type="application/x-python-serialize", content_encoding="binary")
    publish(bomb, content_type="application/x-python-serialize", content_encoding="utf-8")
    publish(bomb, content_encoding="binary")
    publish(b"a: !!python/object/apply:os.system [id]", content_type="application/x-yaml")
    publish(b"\x81\xa1a\x01", content_type="application/x-msgpack", content_encoding="binary")
    publish(b"{}", content_encoding="no-such-code")
    publish(b"{}", headers={"compression": "application/x-gzip"})
    publish(b"{}", headers={"compression": "application/x-nothing"})
    until(lambda: bus.call("conductor", "note", what="after") == "after")
    assert endpoint.noted == ["before", "after"]
    assert not (tmp_path / "exploded").exists()


@pytest.mark.usefixtures("patient")
def test_a_letter_that_comes_again_is_acted_upon_once(
    bus: Bus, make_bus: Callable[..., Bus], endpoint: Endpoint, publish: Publish
) -> None:
    make_bus().serve("conductor", endpoint, "one")
    copy = letter()
    for _ in range(3):
        publish(posted(copy))
    until(lambda: bus.call("conductor", "note", what="after") == "after")
    assert sorted(endpoint.noted) == ["after", "forged"]


def test_with_a_key_only_what_is_signed_with_it_is_taken(
    make_bus: Callable[..., Bus], endpoint: Endpoint, publish: Publish
) -> None:
    make_bus(KEY).serve("conductor", endpoint, "one")
    asking = make_bus(KEY)
    asking.call("conductor", "note", what="signed")
    for key in ("", "another key"):
        with pytest.raises(Unanswered):
            make_bus(key).call("conductor", "note", what="unsigned")
    text = pack(Letter(**letter()))
    changed = text.replace("forged", "changed")
    publish(posted(changed, signature=sign(text, KEY)))
    publish(posted(text, signature=5))
    publish(posted(text, signature="\u00e9"))
    publish(posted(text))
    publish(posted(text, signature=sign(text, KEY)))
    until(lambda: "forged" in endpoint.noted)
    assert endpoint.noted == ["signed", "forged"]


def test_an_answer_that_is_not_signed_is_not_believed(
    make_bus: Callable[..., Bus], endpoint: Endpoint
) -> None:
    make_bus("another key").serve("conductor", endpoint, "one")
    with pytest.raises(Unanswered):
        make_bus(KEY).call("conductor", "note", what="x")
    assert endpoint.noted == []
