"""The query part of a URL: known names only, each gated by version, each parsed strictly."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from werkzeug.datastructures import MultiDict

from api.versions import text as version_text
from drophammer.errors import Invalid, NotAcceptable
from drophammer.identity import normal_uuid

_TRUE = frozenset({"1", "t", "true", "y", "yes", "on"})
_FALSE = frozenset({"0", "f", "false", "n", "no", "off"})
# Beyond this a number is no wish but a mistake, and databases choke on it.
LARGEST = 2**31 - 1


class Query:
    """The arguments of one request, checked against what its handler knows.

    ``known`` maps each allowed name to the first microversion that has it; None lets
    anything pass.
    """

    def __init__(
        self, args: MultiDict[str, str], known: Mapping[str, int] | None, version: int
    ) -> None:
        if known is None:
            known = dict.fromkeys(args, 1)
        unknown = sorted(set(args) - set(known))
        if unknown:
            raise Invalid(f"Unexpected arguments: {', '.join(name[:80] for name in unknown[:20])}")
        for name in args:
            if known[name] > version:
                raise NotAcceptable(
                    f"The query argument '{name}' needs API version "
                    f"{version_text(known[name])}; the request speaks {version_text(version)}."
                )
        # A repeated argument counts as a list; where one value is wanted the last wins.
        self._lists = {name: args.getlist(name) for name in args}
        for name, values in self._lists.items():
            if any("\0" in value for value in values):
                raise Invalid(f"{name}: a NUL character is not allowed.")

    def __contains__(self, name: str) -> bool:
        return name in self._lists

    def text(self, name: str, *, longest: int | None = None) -> str | None:
        """The value as written, or None. Raises Invalid when it is longer than ``longest``."""
        value = self._lists[name][-1] if name in self._lists else None
        if value is not None and longest is not None and len(value) > longest:
            raise Invalid(f"{name}: {len(value)} characters; at most {longest} are possible.")
        return value

    def boolean(self, name: str) -> bool | None:
        """A yes or no in any of its usual spellings, or None. Raises Invalid."""
        value = self.text(name)
        if value is None:
            return None
        yes = boolean(value)
        if yes is None:
            raise Invalid(f"{name}: {value[:80]!r} is not a boolean; use true or false.")
        return yes

    def integer(self, name: str, *, least: int, most: int = LARGEST) -> int | None:
        """A number from ``least`` to ``most``, or None. Raises Invalid."""
        value = self.text(name)
        return None if value is None else parsed_integer(name, value, least=least, most=most)

    def uuid(self, name: str) -> str | None:
        """A UUID in its usual spelling, or None. Raises Invalid."""
        value = self.text(name)
        if value is None:
            return None
        found = normal_uuid(value.strip())
        if found is None:
            raise Invalid(f"{name}: expected a UUID but received {value[:80]!r}.")
        return found

    def names(self, name: str) -> list[str] | None:
        """A comma-separated list in lower case, without doubles, or None."""
        if name not in self._lists:
            return None
        parts = (part.strip().lower() for value in self._lists[name] for part in value.split(","))
        return list(dict.fromkeys(part for part in parts if part))

    def texts(self, name: str) -> list[str] | None:
        """A comma-separated list as written, or None."""
        value = self.text(name)
        if value is None:
            return None
        return [part.strip() for part in value.split(",") if part.strip()]

    def all(self) -> dict[str, str]:
        """Every argument with its last value."""
        return {name: values[-1] for name, values in self._lists.items()}

    def encoded(self, **changed: str) -> str:
        """The arguments as a query string again, with some of them replaced."""
        kept = [
            (name, value)
            for name, values in self._lists.items()
            if name not in changed
            for value in values
        ]
        return urlencode([*kept, *changed.items()])


def parsed_integer(name: str, value: str, *, least: int, most: int) -> int:
    """A number from ``least`` to ``most``. Raises Invalid."""
    digits = value.strip()
    number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 20 else -1
    if not least <= number <= most:
        raise Invalid(f"{name}: {value[:40]!r} is not a number from {least} to {most}.")
    return number


def boolean(text: str) -> bool | None:
    """A yes or no in any of its usual spellings; None when ``text`` is neither."""
    word = text.strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    return None
