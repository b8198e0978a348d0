"""What a failure of the database means to whoever asked for something, in a sentence.

Databases say it by number: sqlite by its own codes, PostgreSQL by SQLSTATE, MariaDB by its
errors'. Nothing was done in all these cases, or, where the answer to a COMMIT was lost, it
is not known; to try again is right either way.
"""

from __future__ import annotations

import logging
import sqlite3
from typing import Any

from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from drophammer.errors import DrophammerError, Invalid, Unavailable

AGAIN = "try again in a moment."
_AWAY = f"The database did not answer in time or cannot be reached; {AGAIN}"
_BUSY = f"The database did not answer in time: somebody else is changing the same; {AGAIN}"
_SLOW = f"The database did not answer in time; {AGAIN}"
_DEADLOCK = f"Another change crossed this one, which has been taken back; {AGAIN}"
_FULL = "The disk of the database is full: make room there; nothing can be changed until then."
_READ_ONLY = (
    "The database takes no changes: it is read-only, or another server has taken its place; "
    f"{AGAIN}"
)
_CROWDED = f"The database has no connection left for this service; {AGAIN}"
_REFUSED = (
    "The database refuses this service: its name, user or password is not what [database] "
    "connection says."
)
_FAILED = "The database failed; the service's log has the details."

# The longest that fits counts: 57P01 is an administrator's, 57 anybody's.
_SQLSTATES = {
    "08": _AWAY,
    "25006": _READ_ONLY,
    "25": _SLOW,
    "28": _REFUSED,
    "3D": _REFUSED,
    "40": _DEADLOCK,
    "42": _FAILED,
    "53100": _FULL,
    "53300": _CROWDED,
    "53": _FAILED,
    "55P03": _BUSY,
    "55": _FAILED,
    "57014": _SLOW,
    "57": _AWAY,
    "58": _FAILED,
    "XX": _FAILED,
}
_MARIADB = {
    **dict.fromkeys((1044, 1045, 1049, 1698), _REFUSED),
    **dict.fromkeys((1040, 1203, 1226), _CROWDED),
    **dict.fromkeys((1020, 1213), _DEADLOCK),
    **dict.fromkeys((3, 1021, 1026, 1114), _FULL),
    **dict.fromkeys((1290, 1792, 1836), _READ_ONLY),
    **dict.fromkeys((1969, 3024), _SLOW),
    1205: _BUSY,
}
_SQLITE = {
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_READONLY: _READ_ONLY,
}
_FIT = (
    "A value is longer or larger than the database can hold, or has characters in it that it "
    "cannot keep."
)


def log(logger: logging.Logger, error: Exception, text: str, *values: object) -> None:
    """Log that something did not work: in a line for an outage, else with the traceback."""
    known = told(error) if isinstance(error, SQLAlchemyError) else None
    if known is None:
        logger.error(text, *values, exc_info=error)
        return
    cause = " ".join(str(getattr(error, "orig", None) or error).split())
    logger.warning(f"{text}: %s (%s)", *values, known.message, cause)


def told(error: SQLAlchemyError) -> DrophammerError | None:
    """The failure as a domain error; None for a mistake of ours, which is no outage."""
    if isinstance(error, PoolTimeout):
        return Unavailable(_CROWDED)
    if not isinstance(error, DBAPIError):
        return None
    if isinstance(error, DataError):
        return Invalid(_FIT)
    text = _text(error, error.orig)
    return Unavailable(text) if text else None


def _text(error: DBAPIError, cause: Any) -> str | None:
    if isinstance(cause, sqlite3.OperationalError | sqlite3.DatabaseError):
        operational = isinstance(cause, sqlite3.OperationalError)
        code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        return _SQLITE.get(code, _FAILED if operational else None)
    if hasattr(cause, "sqlstate") and hasattr(cause, "diag"):
        return _of_postgresql(error, cause.sqlstate)
    if error.connection_invalidated:
        return _AWAY
    number = cause.args[0] if cause is not None and cause.args else None
    if isinstance(number, int) and type(cause).__module__.startswith("pymysql"):
        return _MARIADB.get(number, _of_mariadb(error, number))
    return _SLOW if isinstance(error, OperationalError) else None


def _of_postgresql(error: DBAPIError, state: str | None) -> str | None:
    if state is None:  # It is the driver that speaks.
        return _AWAY if isinstance(error, OperationalError | InterfaceError) else None
    return _SQLSTATES.get(state) or _SQLSTATES.get(state[:2])


def _of_mariadb(error: DBAPIError, number: int) -> str | None:
    # Those of the client, and of a server that ends or breaks off a connection.
    if 2000 <= number < 3000 or number in (1053, 1077, 1079, 1152, 1158, 1159, 1160, 1161, 1927):
        return _AWAY
    failed = isinstance(error, OperationalError | ProgrammingError | InternalError)
    return _FAILED if failed else None
