"""The options of programs outside of ours: time, iSCSI targets. Only declarations."""

from __future__ import annotations

from oslo_config import cfg

NTP = [
    cfg.BoolOpt(
        "enabled",
        default=False,
        help="Run an NTP server (chrony) for the provisioning network. Set it when machines there "
        "reach no other: TLS and logs need the right time.",
    ),
    cfg.StrOpt(
        "managed_by",
        default="",
        help="Who serves time on this host instead of us, for people to read. Set it when another "
        "role or program does: it is then looked at, and neither started nor stopped.",
    ),
    cfg.ListOpt(
        "servers",
        default=[],
        help="Names or addresses of NTP servers to get the time from. Empty: the clock of this "
        "host is served as it is.",
    ),
    cfg.StrOpt(
        "key_file",
        default="",
        help="File of symmetric keys as chrony has them, one 'ID TYPE KEY' per line. Set it, with "
        "mode 0600, when the servers ask for authentication; key 1 is used with them.",
    ),
    cfg.ListOpt(
        "allow",
        default=[],
        help="Networks that are answered. Empty: everybody who reaches [netboot] address.",
    ),
    cfg.BoolOpt(
        "set_clock",
        default=False,
        help="Let chrony correct the clock of this host. Set it when nothing else does.",
    ),
    cfg.PortOpt(
        "port",
        default=123,
        help="UDP port of the NTP server. Another one only suits tests.",
    ),
    cfg.StrOpt(
        "program",
        default="chronyd",
        help="The chronyd program. Give a full path when it is not in PATH.",
    ),
    cfg.StrOpt(
        "unit",
        default="chrony.service",
        help="The unit of systemd where that runs the program. chronyd.service on other "
        "distributions.",
    ),
    cfg.StrOpt(
        "unit_config",
        default="/etc/chrony/conf.d/drophammer.conf",
        help="Where that unit finds our part of its configuration.",
    ),
]

TGT = [
    cfg.BoolOpt(
        "enabled",
        default=True,
        help="Serve the root file systems of boot resources as iSCSI targets (tgt). Set to false "
        "when no machine boots from iSCSI, or another program serves them.",
    ),
    cfg.PortOpt(
        "port",
        default=3260,
        help="TCP port of the targets. Another one suits hosts that have an iSCSI server already.",
    ),
    cfg.StrOpt(
        "unit",
        default="tgt.service",
        help="The unit of systemd where that runs the program.",
    ),
    cfg.IntOpt(
        "command_timeout",
        default=60,
        min=1,
        max=600,
        help="Seconds after which tgt-admin is ended. Raise it for hundreds of images.",
    ),
]
