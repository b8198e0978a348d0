"""How the service logs: one line per fact, to standard error or a file."""

from __future__ import annotations

import logging
from pathlib import Path

FORMAT = "%(asctime)s.%(msecs)03d %(levelname)s %(name)s: %(message)s"
# They report every packet or statement at INFO or DEBUG.
QUIET = ("urllib3", "alembic", "pycdlib", "waitress")


def start(level: str, path: Path | None = None) -> None:
    """Send everything of ``level`` and above to ``path``, or to standard error."""
    logging.basicConfig(
        level=level, format=FORMAT, datefmt="%Y-%m-%d %H:%M:%S", filename=path, force=True
    )
    # Not in a line, and costly to find out for each.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
