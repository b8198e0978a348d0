"""The kernel command line: parsed as the kernel does it, and composed so that it parses back.

The agent has a reader of its own, since it imports nothing of ours; both pass the same
samples (``tests/cmdlines.py``). What may stand in a boot file is decided in bootspec.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from drophammer.bootspec import MAX_COMMAND_LINE
from drophammer.errors import Invalid

#: What follows is for the first program (kernel), or for the installed system (installers).
FOR_INIT, FOR_INSTALLED = "--", "---"
_SPACE = " \t\n\v\f\r"


@dataclass(frozen=True)
class Word:
    """``name`` or ``name=value``; ``value`` is None without a ``=`` and "" with nothing behind."""

    name: str
    value: str | None = None

    def __str__(self) -> str:
        return self.name if self.value is None else f"{self.name}={self.value}"


@dataclass(frozen=True)
class CommandLine:
    """All words in order, separators and duplicates included."""

    words: tuple[Word, ...]

    @property
    def kernel(self) -> tuple[Word, ...]:
        """What the kernel looks at: up to ``--``, with what is for the installed system."""
        return tuple(word for word in self._parted(FOR_INIT)[0] if str(word) != FOR_INSTALLED)

    @property
    def init(self) -> tuple[Word, ...]:
        """Arguments of the first program: what is behind ``--``."""
        return self._parted(FOR_INIT)[1]

    @property
    def installed(self) -> tuple[Word, ...]:
        """What an installer hands on to the system that it installs: between ``---`` and ``--``."""
        return CommandLine(self._parted(FOR_INIT)[0])._parted(FOR_INSTALLED)[1]

    def values(self, name: str) -> list[str | None]:
        """The values of all words ``name`` that the kernel looks at; mostly the last one counts."""
        return [word.value for word in self.kernel if word.name == name]

    def _parted(self, separator: str) -> tuple[tuple[Word, ...], tuple[Word, ...]]:
        texts = [str(word) for word in self.words]
        at = texts.index(separator) if separator in texts else len(texts)
        return self.words[:at], self.words[at + 1 :]


def parse(text: str) -> CommandLine:
    """Read a command line. Anything is one: what cannot be meant so is still split somehow."""
    return CommandLine(tuple(_words(text)))


def compose(words: Iterable[Word]) -> str:
    """The words as a command line, quoted where needed, of which ``parse`` makes them again.

    Raises Invalid for a word that the kernel's quotes cannot express, for characters other than
    printable ASCII, and for more than a kernel takes.
    """
    text = " ".join(_quoted(word) for word in words)
    if len(text) > MAX_COMMAND_LINE:
        raise Invalid(
            f"The kernel command line has {len(text)} characters; a kernel takes at most "
            f"{MAX_COMMAND_LINE}."
        )
    return text


def _words(text: str) -> Iterator[Word]:
    at = 0
    while at < len(text):
        if text[at] in _SPACE:
            at += 1
            continue
        # A quote in front holds the whole word together, not only its value.
        quoted = text[at] == '"'
        at += quoted
        end = _end(text, at, quoted)
        yield _word(text[at:end], quoted)
        at = end + 1


def _end(text: str, at: int, in_quotes: bool) -> int:
    while at < len(text) and (in_quotes or text[at] not in _SPACE):
        in_quotes ^= text[at] == '"'
        at += 1
    return at


def _word(text: str, quoted: bool) -> Word:
    """Only quotes round the word or round its value fall away; others are part of it."""
    equals = text.find("=", 1)
    if equals < 0:
        return Word(text.removesuffix('"') if quoted else text)
    name, value = text[:equals], text[equals + 1 :]
    if value.startswith('"'):
        return Word(name, value[1:].removesuffix('"'))
    return Word(name, value.removesuffix('"') if quoted else value)


def _quoted(word: Word) -> str:
    text = str(word)
    for position, character in enumerate(text):
        if not " " <= character <= "~":
            raise Invalid(
                f"Kernel parameter {text[:80]!a}: {character!a} at position {position} "
                "is not printable ASCII."
            )
    value = "" if word.value is None else word.value
    for form in (text, f'{word.name}="{value}"', f'"{text}"'):
        # Closed quotes matter too: what is open would swallow the words behind it.
        if list(_words(f"{form} x")) == [word, Word("x")]:
            return form
    raise Invalid(
        f"Kernel parameter {text[:80]!a} cannot be written: the kernel has no way to quote "
        "spaces together with quotes, or an empty name."
    )
