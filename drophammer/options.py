"""Options that every role needs: the database, the bus, where state is kept."""

from __future__ import annotations

from oslo_config import cfg

_DEFAULT: list[cfg.Opt] = [
    cfg.StrOpt(
        "state_dir",
        default="/var/lib/drophammer",
        help="Folder for everything the service keeps: database, boot files, images. Change it "
        "to run a second deployment on one host.",
    ),
    cfg.StrOpt(
        "transport_url",
        default="local://",
        secret=True,
        help="How the roles reach each other: local:// when all are in one process, "
        "rabbit://user:password@host:5672/ when they are not.",
    ),
    cfg.StrOpt(
        "log_level",
        default="INFO",
        choices=["DEBUG", "INFO", "WARNING", "ERROR"],
        help="How much is logged. DEBUG shows every request to and from machines.",
    ),
]

_DATABASE: list[cfg.Opt] = [
    cfg.StrOpt(
        "connection",
        secret=True,
        help="Database URL in SQLAlchemy's form, e.g. "
        "postgresql+psycopg://user:password@host/drophammer. Unset: sqlite in state_dir.",
    ),
]

GROUPS: list[tuple[str, list[cfg.Opt]]] = [("DEFAULT", _DEFAULT), ("database", _DATABASE)]
