"""How new the signed indexes were that we have taken: older ones are not taken any more.

A signature does not age; without this, whoever stands between us and the mirror could
give us last year's index, and its holes, for ever.
"""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path
from typing import Any

from drophammer.errors import ImageError, Unavailable

_AHEAD = datetime.timedelta(days=1)
"""A date further ahead would keep us from taking any index until then."""


class Seen:
    """The dates of one source's documents, in one small file. Forgotten when its URL changes."""

    def __init__(self, path: Path, url: str) -> None:
        self._path = path
        self._url = url
        self._dates = self._load()
        self._new = dict(self._dates)

    def check(self, what: str, updated: datetime.datetime, now: datetime.datetime) -> None:
        """Note the date of a document. Raises ImageError when it goes back, or far ahead."""
        name = _name(what)
        last = self._dates.get(name)
        if last is not None and updated < last:
            raise ImageError(
                f"{what} was not taken: it is of {updated:%Y-%m-%d %H:%M:%S} UTC, and one of "
                f"{last:%Y-%m-%d %H:%M:%S} was taken before. The mirror is behind, or somebody "
                f"replays an old one; if upstream did go back, remove {self._path}."
            )
        if updated > now + _AHEAD:
            raise ImageError(
                f"{what} was not taken: it is of {updated:%Y-%m-%d %H:%M:%S} UTC, which is yet to "
                "come. Check the clock of this host."
            )
        self._new[name] = updated

    def keep(self) -> None:
        """Write down what was noted, atomically. Raises Unavailable."""
        if self._new == self._dates and self._path.exists():
            return
        told = {"url": self._url, "updated": {k: v.isoformat() for k, v in self._new.items()}}
        beside = self._path.with_name(self._path.name + ".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with beside.open("w", encoding="utf-8") as file:
                json.dump(told, file, indent=1, sort_keys=True)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._path)
        except OSError as error:
            raise Unavailable(
                f"{self._path} could not be written ({error.strerror}): it holds how new the last "
                "index was, and without it nothing is imported."
            ) from None
        self._dates = dict(self._new)

    def _load(self) -> dict[str, datetime.datetime]:
        try:
            told: Any = json.loads(self._path.read_bytes())
            if told["url"] != self._url:
                return {}
            dates = told["updated"].items()
            return {_name(what): datetime.datetime.fromisoformat(text) for what, text in dates}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise Unavailable(
                f"{self._path} cannot be read ({error}): it holds how new the last index was. "
                "Remove it when you trust the mirror and the way to it."
            ) from None


def _name(what: str) -> str:
    """The same for a document signed inline and beside: neither may stand in for a newer other."""
    return what.removesuffix(".sjson").removesuffix(".json")
