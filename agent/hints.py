"""Root device hints: the operator's description of the disk to install on.

Pure matching of one hint against one value; which disks there are is
``disks.py``'s matter. Texts match without regard to case.
"""

from __future__ import annotations

from agent.errors import InvalidHint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

GIB = 1 << 30
_TEXT_HINTS = (
    "model",
    "vendor",
    "serial",
    "wwn",
    "wwn_with_extension",
    "wwn_vendor_extension",
    "name",
    "hctl",
    "by_path",
    "tran",
)
HINT_NAMES = ("size", "rotational", *_TEXT_HINTS)
_TRUE = ("1", "true", "t", "yes", "y", "on")
_FALSE = ("0", "false", "f", "no", "n", "off")

_NUMBER_TESTS: dict[str, Callable[[float, float], bool]] = {
    # "=" means "at least": a legacy that hints in the field rely on.
    "=": lambda have, want: have >= want,
    "==": lambda have, want: have == want,
    "!=": lambda have, want: have != want,
    ">=": lambda have, want: have >= want,
    "<=": lambda have, want: have <= want,
    ">": lambda have, want: have > want,
    "<": lambda have, want: have < want,
}
_TEXT_TESTS: dict[str, Callable[[str, str], bool]] = {
    "s==": lambda have, want: have == want,
    "s!=": lambda have, want: have != want,
    "s>=": lambda have, want: have >= want,
    "s<=": lambda have, want: have <= want,
    "s>": lambda have, want: have > want,
    "s<": lambda have, want: have < want,
    "<in>": lambda have, want: want in have,
}


def check(hints: Mapping[str, object]) -> None:
    """Raise InvalidHint, naming the hint, unless all of them can be understood."""
    for name, wanted in hints.items():
        _matches(name, wanted, _SAMPLE.get(name, ""))


def match(hints: Mapping[str, object], disk: Mapping[str, object]) -> bool:
    """Whether every hint fits the disk.

    ``disk`` has the keys of the inventory's disk objects; ``size`` in bytes. A
    value that the disk does not have (None) fits no hint. Raises InvalidHint.
    """
    check(hints)
    return all(
        disk.get(name) is not None and _matches(name, wanted, disk[name])
        for name, wanted in hints.items()
    )


_SAMPLE: dict[str, object] = {"size": GIB, "rotational": False}


def _matches(name: str, wanted: object, have: object) -> bool:
    if name not in HINT_NAMES:
        raise InvalidHint(f"{name!r} is not a root device hint; known: {', '.join(HINT_NAMES)}")
    if name == "rotational":
        return _boolean(wanted) == bool(have)
    text = str(wanted).strip()
    if not text or isinstance(wanted, (dict, list, bool)) or wanted is None:
        raise InvalidHint(f"the root device hint {name} has no usable value: {wanted!r}")
    if name == "size":
        return _size_matches(text, float(str(have)) / GIB)
    return _text_matches(name, text.lower(), str(have).strip().lower())


def _boolean(value: object) -> bool:
    text = str(value).strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise InvalidHint(f"the root device hint rotational is {value!r}, not true or false")


def _size_matches(text: str, have: float) -> bool:
    operator, _, rest = text.partition(" ")
    if operator == "<or>":
        wanted = [_gibibytes(item, text) for item in _alternatives(text)]
        return any(have == number for number in wanted)
    if operator == "<range-in>":
        return _in_range(rest.split(), have, text)
    test = _NUMBER_TESTS.get(operator)
    if test:
        return test(have, _gibibytes(rest, text))
    return have == _gibibytes(text, text)


def _in_range(words: list[str], have: float, text: str) -> bool:
    if len(words) != 4 or words[0] not in "[(" or words[3] not in "])":
        raise InvalidHint(f"the root device hint size has a malformed range: {text!r}")
    low, high = _gibibytes(words[1], text), _gibibytes(words[2], text)
    above = have >= low if words[0] == "[" else have > low
    below = have <= high if words[3] == "]" else have < high
    return above and below


def _gibibytes(word: str, text: str) -> float:
    word = word.strip()
    if not (word.isascii() and word.isdigit() and int(word) > 0):
        raise InvalidHint(f"the root device hint size needs whole GiB above 0, not {text!r}")
    return float(word)


def _text_matches(name: str, text: str, have: str) -> bool:
    operator, _, rest = text.partition(" ")
    if operator == "<or>":
        return any(_quoted(have) == _quoted(item) for item in _alternatives(text))
    if operator == "<all-in>":
        return all(_quoted(word) in _quoted(have) for word in rest.split())
    if operator == "<range-in>" or operator in _NUMBER_TESTS:
        raise InvalidHint(f"the root device hint {name} compares text; {operator!r} is for size")
    test = _TEXT_TESTS.get(operator)
    if test is None:
        return _quoted(have) == _quoted(text)
    if not rest.strip():
        raise InvalidHint(f"the root device hint {name} has an operator and no value: {text!r}")
    return test(_quoted(have), _quoted(rest.strip()))


def _alternatives(text: str) -> list[str]:
    items = [item.strip() for item in text.split("<or>")[1:]]
    if not items or not all(items):
        raise InvalidHint(f"the root device hint {text!r} has an empty alternative")
    return items


def _quoted(text: str) -> str:
    """The text URL-quoted: hints may come quoted or not, and must meet their value either way."""
    from urllib.parse import quote, unquote

    return quote(unquote(text)).lower()
