"""How the service logs: one line per fact, to standard error or a file, as text or as JSON.

Both forms know the request and the node that a line is about, where there are any.
"""

from __future__ import annotations

import datetime
import json
import logging
from pathlib import Path

from drophammer import trace

TEXT, JSON = "text", "json"
# They report every packet or statement at INFO or DEBUG.
QUIET = ("urllib3", "alembic", "pycdlib", "waitress")


class TextFormat(logging.Formatter):
    """Lines for people. The request's id is added where the line does not say it already."""

    def __init__(self) -> None:
        super().__init__(
            "%(asctime)s.%(msecs)03d %(levelname)s %(name)s: %(message)s", "%Y-%m-%d %H:%M:%S"
        )

    def formatMessage(self, record: logging.LogRecord) -> str:
        line = super().formatMessage(record)
        request = trace.request()
        return line if not request or request in line else f"{line} [{request}]"


class JsonFormat(logging.Formatter):
    """An object per line, for programs."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        told = {
            "time": at.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request := trace.request():
            told["request_id"] = request
        if node := trace.node():
            told["node"] = node
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told)


_FORMATS: dict[str, type[logging.Formatter]] = {TEXT: TextFormat, JSON: JsonFormat}


def start(level: str, path: Path | None = None, *, form: str = TEXT) -> None:
    """Send everything of ``level`` and above to ``path``, or to standard error."""
    logging.basicConfig(level=level, filename=path, force=True)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(_FORMATS[form]())
    # Not in a line, and costly to find out for each.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
