"""The options of looking after services. Only declarations."""

from __future__ import annotations

from oslo_config import cfg

MONITOR = [
    cfg.StrOpt(
        "service_manager",
        default="auto",
        choices=[
            ("auto", "systemd where it runs, this is root and no namespace is set, else child"),
            ("systemd", "units, by systemctl"),
            ("child", "processes of our own"),
            ("none", "nothing is started or stopped, only looked at"),
        ],
        help="Who runs the programs that serve time and iSCSI targets. DHCP is always a child: "
        "what it says is listened to.",
    ),
    cfg.IntOpt(
        "monitor_interval",
        default=10,
        min=1,
        max=30,
        help="Seconds between two looks at the services. Children that end are noticed at once; "
        "shorten it when units must be repaired sooner.",
    ),
]
