"""What a handler takes and gives, as data beside it.

The gate checks requests by it, and the OpenAPI document is written from it: what is
described and what is enforced cannot differ.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jsonschema_rs

from api.fields import Field, Table, compiled

if TYPE_CHECKING:
    from api.call import Reply

Handler = Callable[..., "Reply"]
Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Endpoint:
    """A handler ``(call, *path parts) -> Reply`` and its contract.

    ``query`` maps each query argument to its first minor version; None lets anything
    pass. ``headers`` are those it looks at beyond what all do.
    ``body`` is the JSON schema of the body (None: the handler looks for itself).
    ``creates`` and ``patches`` name the table that says what a POST or a PATCH takes;
    ``required`` are the fields that a POST must have, ``also`` those it takes beyond the
    table. ``limit`` is the setting with the largest size of the body. ``status`` is that
    of success, ``status_too`` another one. ``shows`` and ``lists`` name the table of what
    comes back, ``reply`` is its schema where that is no table's, ``media`` its type where
    that is not JSON and ``media_too`` another type that it may have; ``files`` says that it
    may be a file as well.
    """

    handle: Handler
    query: Mapping[str, int] | None = field(default_factory=dict)
    headers: tuple[str, ...] = ()
    body: Schema | None = None
    optional: bool = False
    creates: Table | None = None
    required: tuple[str, ...] = ()
    also: Mapping[str, Field] = field(default_factory=dict)
    patches: Table | None = None
    limit: str = "max_json_body_size"
    status: int = 200
    status_too: int | None = None
    shows: Table | None = None
    lists: Table | None = None
    reply: Schema | None = None
    media: str = "application/json"
    media_too: str | None = None
    files: bool = False
    summary: str = ""

    def __call__(self, call: Any, *parts: str) -> Reply:
        """Run the handler."""
        return self.handle(call, *parts)

    @functools.cached_property
    def validator(self) -> jsonschema_rs.Validator | None:
        """``body``, compiled at the first use: it costs more than using it."""
        if self.body is None:
            return None
        return compiled(self.body)

    @property
    def statuses(self) -> tuple[int, ...]:
        """Those of success."""
        return (self.status,) if self.status_too is None else (self.status, self.status_too)

    @functools.cached_property
    def kinds(self) -> tuple[str, ...]:
        """The types that what comes back may have."""
        return (self.media,) if self.media_too is None else (self.media, self.media_too)

    @property
    def text(self) -> str:
        """What it does, in a line."""
        return self.summary or (self.handle.__doc__ or "").partition("\n")[0]


def takes(**contract: Any) -> Callable[[Handler], Endpoint]:
    """Make a handler an endpoint; see ``Endpoint`` for what may be said."""

    def wrap(handler: Handler) -> Endpoint:
        return Endpoint(handler, **contract)

    return wrap
