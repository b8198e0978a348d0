"""The API's options. Names are Ironic's wherever the meaning is the same."""

from __future__ import annotations

from oslo_config import cfg

from api.settings import HTTP_BASIC, MAX_BODY_KIB, NOAUTH

_DEFAULT: list[cfg.Opt] = [
    cfg.StrOpt(
        "auth_strategy",
        default=NOAUTH,
        choices=[NOAUTH, HTTP_BASIC],
        help="Who may use the API. Set http_basic as soon as the API is reachable from another "
        "host; without it the API listens on loopback addresses only.",
    ),
    cfg.StrOpt(
        "http_basic_auth_user_file",
        default="/etc/drophammer/htpasswd",
        help="File of users with bcrypt passwords, as `htpasswd -B` writes it. Change it when "
        "your site keeps such files elsewhere; edits take effect at once.",
    ),
    cfg.StrOpt(
        "default_resource_class",
        help="Resource class of nodes that are enrolled without one. Set it when a scheduler "
        "expects every node to have one.",
    ),
]

_API: list[cfg.Opt] = [
    cfg.StrOpt(
        "host_ip",
        default="127.0.0.1",
        help="Address the API listens on. Change it to be reached from other hosts; this needs "
        "auth_strategy = http_basic.",
    ),
    cfg.PortOpt(
        "port",
        default=6385,
        min=1,
        help="TCP port of the API. Change it when another service has it already.",
    ),
    cfg.IntOpt(
        "max_limit",
        default=1000,
        min=1,
        help="Most items in one answer. Lower it when lists are too heavy for the clients; "
        "those that do not follow `next` then miss items.",
    ),
    cfg.StrOpt(
        "public_endpoint",
        help="URL under which clients see the API, for the links in its answers. Set it behind "
        "a proxy that changes scheme, host or path; otherwise the request's own is right.",
    ),
    cfg.BoolOpt(
        "restrict_lookup",
        default=True,
        help="Let a ramdisk look its node up only in states in which a ramdisk is expected. "
        "Switch it off only to debug ramdisks by hand.",
    ),
    cfg.BoolOpt(
        "enable_ramdisk_endpoints",
        default=True,
        help="Serve lookup, heartbeat and inspection data, which need no password. Switch it "
        "off on an API that ramdisks cannot or should not reach.",
    ),
    cfg.IntOpt(
        "ramdisk_heartbeat_timeout",
        default=300,
        min=5,
        help="Seconds within which a ramdisk must be heard; it beats at about half of it. "
        "Raise it when thousands of ramdisks are too much for the API.",
    ),
    cfg.IntOpt(
        "max_json_body_size",
        default=1024,
        min=16,
        max=MAX_BODY_KIB,
        help="Largest request body in KiB. Raise it when nodes carry very large documents.",
    ),
    cfg.IntOpt(
        "max_json_body_size_provision",
        default=MAX_BODY_KIB,
        min=16,
        max=MAX_BODY_KIB,
        help="Largest body of a provision request in KiB; a config drive is in it. Lower it "
        "when nobody deploys with large config drives.",
    ),
    cfg.IntOpt(
        "max_json_body_size_inspection",
        default=16 * 1024,
        min=64,
        max=MAX_BODY_KIB,
        help="Largest body of inspection data in KiB; the ramdisk's logs are in it. Raise it "
        "when inspection of large machines gets 413.",
    ),
    cfg.BoolOpt(
        "allow_deleting_available_nodes",
        default=True,
        help="Let nodes that are available be deleted. Switch it off so that a node must be "
        "taken out of the pool (`manage`) first.",
    ),
]

GROUPS: list[tuple[str, list[cfg.Opt]]] = [("DEFAULT", _DEFAULT), ("api", _API)]
