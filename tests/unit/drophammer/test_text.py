"""Texts from outside, as people get to read them."""

from __future__ import annotations

import pytest

from drophammer.masking import MASK, scrub
from drophammer.text import MAX_TEXT, readable, sentence, span

FORBIDDEN = ("Traceback", "object at 0x", "KeyError", "None", "<class")


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ("plain text", "plain text"),
        ("bad\x00news\x1b[31m\n", "bad news [31m "),
        ("answered None", "answered none"),
        ("a NoneType came back", "a none came back"),
        ("Nonesuch was here", "Nonesuch was here"),
        ("KeyError('x')", "missing key('x')"),
        ("<class 'urllib3.exceptions.Broken'> came", "Broken came"),
        ("<conductor.x.Thing object at 0x7f00aa> broke", "Thing broke"),
        (
            'Traceback (most recent call last):\n  File "x", line 1\n    y()\nValueError: no disk',
            "ValueError: no disk",
        ),
        ("Traceback (most recent call last): in one line", "A program's error: in one line"),
    ],
)
def test_what_only_programmers_would_understand_is_put_into_words(raw: str, told: str) -> None:
    assert readable(raw) == told


@pytest.mark.parametrize(
    "leak", [*FORBIDDEN, "<class 'x", "an object at 0xZZ", "NoneNone", "<<class"]
)
def test_nothing_of_it_gets_through_however_it_is_cut(leak: str) -> None:
    told = readable(f"a{leak} b {leak}")
    assert not any(word in told for word in FORBIDDEN)


def test_a_long_text_is_cut() -> None:
    assert readable("x" * 10_000) == "x" * MAX_TEXT + " ..."
    assert readable("x" * 100, 10) == "x" * 10 + " ..."


def test_a_sentence_ends() -> None:
    assert [sentence(text) for text in ("a ", "a.", "a?")] == ["a.", "a.", "a?"]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(-1, "0.0 s"), (0.44, "0.4 s"), (31.4, "31 s"), (302, "5 min 2 s"), (7800, "2 h 10 min")],
)
def test_a_time_is_told_as_people_say_it(seconds: float, told: str) -> None:
    assert span(seconds) == told


def test_a_secret_that_a_machine_repeats_is_not_passed_on() -> None:
    info = {"ipmi_password": "hunter22", "ipmi_username": "admin", "deep": [{"token": "a.b*c d"}]}
    text = "user admin with hunter22 and a.b*c d; check ipmi_password"
    assert scrub(text, info) == f"user admin with {MASK} and {MASK}; check ipmi_password"


def test_a_secret_that_is_part_of_another_leaves_nothing_of_it() -> None:
    assert scrub("it is long-secret-1", {"password": "long", "token": "long-secret-1"}) == (
        f"it is {MASK}"
    )


def test_a_url_is_told_without_login_and_query() -> None:
    text = "got http://ann:pw@host/i.raw?sig=abc&x=1, then https://host/?t=1) and http://host/ok"
    assert scrub(text) == (
        f"got http://ann:{MASK}@host/i.raw?*** then https://host/?***) and http://host/ok"
    )
