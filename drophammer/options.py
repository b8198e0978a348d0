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
    cfg.StrOpt(
        "notification_level",
        choices=["debug", "info", "warning", "error", "critical"],
        help="From which level on other services are notified of what happens; needs a driver "
        "in [oslo_messaging_notifications] too. Unset: they are not.",
    ),
    cfg.ListOpt(
        "versioned_notifications_topics",
        default=["ironic_versioned_notifications"],
        help="Topics that notifications are sent to. Name several when several services are to "
        "get all of them.",
    ),
    cfg.StrOpt(
        "log_format",
        default="text",
        choices=["text", "json"],
        help="How log lines look. Set json when programs read them.",
    ),
]

_BUS: list[cfg.Opt] = [
    cfg.StrOpt(
        "signing_key",
        default="",
        secret=True,
        help="Set it to the same long random text on all hosts, and messages between roles that "
        "are not signed with it are refused. Empty: whoever may use the broker is believed.",
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

GROUPS: list[tuple[str, list[cfg.Opt]]] = [
    ("DEFAULT", _DEFAULT),
    ("database", _DATABASE),
    ("bus", _BUS),
]
