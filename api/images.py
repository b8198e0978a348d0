"""Boot resources: which images machines can boot, and having newer ones imported. Our own addition.

Netboot has them and answers; without one running, all of this is a 503.
"""

from __future__ import annotations

from typing import Any

from api.call import Call, Reply
from api.endpoint import takes
from api.fields import ANY_TEXT, TEXT, TIME, closed

_COUNT = {"type": "integer", "minimum": 0}
_FILE = closed(
    {
        "name": TEXT,
        "url": {"type": "string"},
        "sha256": TEXT,
        "size": _COUNT,
        "version": {"type": "string"},
        "source": {"type": "string"},
    }
)
_IMAGE = closed(
    {
        "id": {"type": "string"},
        "os": TEXT,
        "architecture": TEXT,
        "subarchitecture": TEXT,
        "release": TEXT,
        "label": TEXT,
        "files": {"type": "array", "items": _FILE},
    }
)
_IMAGES = closed(
    {
        "snapshot": ANY_TEXT,
        "checked_at": TIME,
        "images": {"type": "array", "items": _IMAGE},
    },
    required=("images",),
)
_STATES = ("never", "running", "done", "failed", "interrupted")
_FAILURE = closed(
    {"source": {"type": "string"}, "path": {"type": "string"}, "message": {"type": "string"}}
)
_LINES = {"type": "array", "items": {"type": "string"}}
_REPORT = closed(
    {
        "snapshot": ANY_TEXT,
        "changed": {"type": "boolean"},
        "files": _COUNT,
        "bytes": _COUNT,
        "failures": {"type": "array", "items": _FAILURE},
        "missing": _LINES,
        "notes": _LINES,
        "removed": _LINES,
    }
)
_STATUS = closed(
    {
        "state": {"enum": list(_STATES)},
        "message": {"type": "string"},
        "started_at": TIME,
        "finished_at": TIME,
        "file": ANY_TEXT,
        "files": _COUNT,
        "files_total": _COUNT,
        "bytes": _COUNT,
        "bytes_total": _COUNT,
        "bytes_per_second": _COUNT,
        "report": {**_REPORT, "type": ["object", "null"]},
        "asked": _COUNT,
        "ended": _COUNT,
    },
    required=("state", "asked", "ended"),
)


@takes(reply=_IMAGES)
def index(call: Call) -> Reply:
    """List the images that machines can boot now."""
    return Reply(body=_asked(call, "images"))


@takes(reply=_STATUS, status=202)
def import_now(call: Call) -> Reply:
    """Have new images imported; it is over when ``ended`` has reached the ``asked`` given here."""
    return Reply(202, _asked(call, "import_images"))


@takes(reply=_STATUS)
def import_status(call: Call) -> Reply:
    """Show how far an import is, or how the last one ended."""
    return Reply(body=_asked(call, "import_status"))


def _asked(call: Call, method: str) -> Any:
    return call.services.bus.call("netboot", method)
