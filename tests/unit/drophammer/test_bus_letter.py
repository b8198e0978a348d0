"""What is a letter, and what is none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from drophammer.bus_letter import CALL, REPLIES, Letter, Refused, pack, sign, unpack
from drophammer.model import new_uuid

NOW = 1_800_000_000.0


def letter(**changes: Any) -> Letter:
    parts = {
        "kind": CALL,
        "id": new_uuid(),
        "to": "conductor",
        "sent_at": NOW,
        "until": NOW + 2.5,
        "method": "power",
        "arguments": {"node_id": 5},
        "reply_to": REPLIES + new_uuid(),
    }
    return Letter(**{**parts, **changes})


def opened(made: Letter, *, key: str = "", signature: object = "", now: float = NOW) -> Letter:
    return unpack(pack(made), signature, to="conductor", key=key, now=now)


def test_a_letter_arrives_as_it_was_sent() -> None:
    made = letter(arguments={"text": "\u00e4\u20ac\ud83d\ude00", "deep": [{"a": None}]})
    assert opened(made).id == made.id
    assert opened(letter(arguments={"a": 1.5})).arguments == {"a": 1.5}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"kind": "order"}, "kind"),
        ({"id": "5"}, "UUID"),
        ({"id": "../../etc/passwd"}, "UUID"),
        ({"to": "netboot"}, "not for 'conductor'"),
        ({"method": "Robert'); DROP"}, "method"),
        ({"method": 5}, "text"),
        ({"arguments": []}, "object"),
        ({"told": 5}, "object"),
        ({"reply_to": "drophammer.conductor"}, "answer goes"),
        ({"sent_at": "now"}, "times"),
        ({"until": True}, "times"),
        ({"until": float("inf")}, "times"),
        ({"sent_at": NOW + 3600, "until": NOW + 3700}, "future"),
        ({"sent_at": NOW - 3600, "until": NOW - 3598}, "3598.0 s after"),
    ],
)
def test_a_letter_of_which_something_cannot_be_is_refused(
    changes: dict[str, Any], why: str
) -> None:
    with pytest.raises(Refused, match=why):
        opened(letter(**changes))


@pytest.mark.parametrize("text", [None, 5, b"{}", "", "[]", "{}", "null", "[" * 200_000, '{"a":'])
def test_what_is_no_letter_is_refused(text: Any) -> None:
    with pytest.raises(Refused):
        unpack(text, "", to="conductor", key="", now=NOW)


def test_a_letter_of_a_later_version_is_read_without_what_it_has_more() -> None:
    made = letter()
    text = json.dumps({**json.loads(pack(made)), "urgency": {"of": "tomorrow"}})
    assert unpack(text, "", to="conductor", key="", now=NOW) == made


def test_a_signature_is_that_of_the_text_and_the_key() -> None:
    made = letter()
    assert opened(made, key="k", signature=sign(pack(made), "k")) == made
    for signature in ("", None, 5, "\u00e9", sign(pack(made), "other"), sign("{}", "k")):
        with pytest.raises(Refused, match="sign"):
            opened(made, key="k", signature=signature)
