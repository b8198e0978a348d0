"""The kernel command line, both ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import cmdline as agent_cmdline
from drophammer.cmdline import CommandLine, Word, compose, parse
from drophammer.errors import Invalid
from tests.cmdlines import SAMPLES


@pytest.mark.seed("s63")
@pytest.mark.parametrize(("text", "words"), SAMPLES)
def test_a_command_line_is_read_as_the_kernel_reads_it(text, words):
    assert [(word.name, word.value) for word in parse(text).words] == words


@pytest.mark.parametrize(("text", "words"), SAMPLES)
def test_the_agents_own_reader_agrees(text, words):
    assert agent_cmdline.words(text) == words


@given(st.text('ab"= -\t\n', max_size=20))
def test_both_readers_agree_on_anything(text):
    assert agent_cmdline.words(text) == [(word.name, word.value) for word in parse(text).words]


@pytest.mark.seed("s63")
def test_duplicates_are_all_kept_in_order():
    line = parse("console=tty0 ro console=ttyS0,115200 -- console=x")
    assert line.values("console") == ["tty0", "ttyS0,115200"]
    assert line.values("ro") == [None]
    assert line.values("rw") == []


@pytest.mark.seed("s63")
def test_the_separators_part_kernel_installed_system_and_first_program():
    line = parse("auto=true --- quiet net.ifnames=0 -- single --- x")
    assert line.kernel == (Word("auto", "true"), Word("quiet"), Word("net.ifnames", "0"))
    assert line.installed == (Word("quiet"), Word("net.ifnames", "0"))
    assert line.init == (Word("single"), Word("---"), Word("x"))
    assert parse("quiet").init == parse("quiet").installed == ()


@pytest.mark.seed("s63")
@pytest.mark.parametrize(
    ("word", "text"),
    [
        (Word("quiet"), "quiet"),
        (Word("a", ""), "a="),
        (Word("a", "b c"), 'a="b c"'),
        (Word("a b"), '"a b"'),
        (Word("a b", "c d"), '"a b=c d"'),
        (Word("a", 'b"c d"'), 'a=b"c d"'),
        (Word("a", '"b"'), 'a=""b""'),
        (Word(""), '""'),
        (Word("--"), "--"),
    ],
)
def test_a_word_is_quoted_only_where_it_must_be(word, text):
    assert compose([word]) == text


@pytest.mark.parametrize(
    "word",
    [
        Word("a", 'b c"d'),
        Word('a"b c'),
        Word("a=b"),
        Word("", "b"),
        Word("a", "b\nc"),
        Word("a", "b\0c"),
        Word("a", "caf\u00e9"),
        Word("a", "b\u2028c"),
        Word("a", "x" * 2048),
    ],
)
def test_what_cannot_be_expressed_is_refused(word):
    with pytest.raises(Invalid, match=r"kernel|printable"):
        compose([word])


_TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8)
_WORDS = st.lists(st.builds(Word, _TEXT, st.none() | _TEXT), max_size=6)


@pytest.mark.seed("s63")
@given(_WORDS)
def test_whatever_can_be_composed_parses_back(words):
    try:
        text = compose(words)
    except Invalid:
        return
    assert parse(text) == CommandLine(tuple(words))


@pytest.mark.seed("s63")
@given(st.text('ab "=-', max_size=24))
def test_whatever_is_parsed_composes_to_the_same_meaning_or_is_refused(text):
    line = parse(text)
    try:
        again = compose(line.words)
    except Invalid:
        # Open quotes at the end, which a kernel forgives, and quotes inside of what has spaces.
        assert '"' in text
        return
    assert parse(again) == line
