"""The options of DHCP: [dhcp], and a group [subnet:NAME] for each subnet.

Only declarations; subnets.py reads them.
"""

from __future__ import annotations

from oslo_config import cfg

EXAMPLE = "subnet:name"
"""The group under which a subnet's options stand in the sample configuration."""

DHCP = [
    cfg.ListOpt(
        "subnets",
        default=[],
        help="Names of the subnets whose machines boot from here; each has a group [subnet:NAME]. "
        "Set it when machines stand in more than one subnet, or a subnet has another DHCP server; "
        "for a single subnet of our own, dhcp_enabled in [netboot] is enough.",
    ),
    cfg.IntOpt(
        "probe_interval",
        default=300,
        min=0,
        max=86400,
        help="Seconds between two questions for other DHCP servers on the interfaces of subnets in "
        "mode server. Set to 0 to ask never and only notice those that answer our machines.",
    ),
]

SUBNET = [
    cfg.StrOpt(
        "cidr",
        default="",
        help="The IPv4 network, e.g. 10.1.0.0/24. Needed.",
    ),
    cfg.StrOpt(
        "interface",
        default="",
        help="Network interface on which the subnet's requests arrive. Empty means that of "
        "[netboot]; set it when there are several.",
    ),
    cfg.StrOpt(
        "relay",
        default="",
        help="Address of the DHCP relay in this subnet (its giaddr). Set it when the subnet is "
        "behind a router that relays its requests to us; empty when the interface is in it.",
    ),
    cfg.StrOpt(
        "mode",
        default="server",
        choices=["server", "proxy", "off"],
        help="server: all addresses are given by us. proxy: another DHCP server gives addresses, "
        "and we add only what is needed to boot. off: we keep silent, and the other server has to "
        "give the boot options of docs/dhcp.md.",
    ),
    cfg.StrOpt(
        "range_start",
        default="",
        help="First IPv4 address to lease. Needed in mode server.",
    ),
    cfg.StrOpt(
        "range_end",
        default="",
        help="Last IPv4 address to lease. Take a range with more addresses than machines.",
    ),
    cfg.IntOpt(
        "lease_seconds",
        default=3600,
        min=120,
        max=86400 * 30,
        help="How long a lease lasts. Shorten it when the range is small and machines come and go.",
    ),
    cfg.StrOpt(
        "router",
        default="",
        help="Default gateway handed to machines. Needed where ramdisks reach this host only "
        "through a router; empty hands out none.",
    ),
    cfg.ListOpt(
        "dns",
        default=[],
        help="Name servers handed to machines. Set them when kernel, image or callback URLs have "
        "host names in them.",
    ),
    cfg.ListOpt(
        "ntp",
        default=[],
        help="IPv4 addresses of NTP servers handed to machines (option 42). Set them when ramdisks "
        "are to have the right time.",
    ),
    cfg.BoolOpt(
        "enlist",
        default=False,
        help="Answer machines that nobody has enrolled, too, so that they can enrol themselves. "
        "Leave false where machines of others are on the same network.",
    ),
    cfg.StrOpt(
        "next_server",
        default="",
        help="IPv4 address that machines of this subnet fetch boot files from. Empty means the "
        "address of [netboot]; set it when they reach this host under another one.",
    ),
    cfg.BoolOpt(
        "http_boot",
        default=True,
        help="Answer UEFI firmware that boots over HTTP (architectures 16 and 19). Set to false "
        "when such firmware is to fall back to PXE.",
    ),
    cfg.StrOpt(
        "config_file",
        default="",
        help="Option 209 for machines with the boot interface pxe: the configuration file that "
        "pxelinux takes first. Set it only for loaders that must not look for their own.",
    ),
    cfg.StrOpt(
        "path_prefix",
        default="",
        help="Option 210 for machines with the boot interface pxe: what pxelinux puts in front of "
        "all names, e.g. tftp://10.1.0.1/. Set it when loaders come from another server.",
    ),
    cfg.StrOpt(
        "ipv6_prefix",
        default="",
        help="IPv6 prefix to advertise, e.g. fd00:22::/64; the interface needs an address in it. "
        "Without any router advertisement iPXE waits some 15 seconds at each boot. Leave empty "
        "when a router already advertises.",
    ),
    cfg.StrOpt(
        "ipv6_mode",
        default="advertise",
        choices=["advertise", "stateless", "stateful"],
        help="advertise: the prefix only. stateless: machines make their own address and ask us "
        "for the rest. stateful: we give addresses by DHCPv6, which UEFI firmware needs to boot "
        "over IPv6.",
    ),
    cfg.StrOpt(
        "ipv6_range_start",
        default="",
        help="First IPv6 address to lease. Needed with ipv6_mode stateful.",
    ),
    cfg.StrOpt(
        "ipv6_range_end",
        default="",
        help="Last IPv6 address to lease. Needed with ipv6_mode stateful.",
    ),
    cfg.StrOpt(
        "ipv6_next_server",
        default="",
        help="IPv6 address that machines fetch boot files from. Set it to boot over IPv6 "
        "(DHCPv6 option 59); empty sends no boot file over DHCPv6.",
    ),
]

GROUPS: list[tuple[str, list[cfg.Opt]]] = [("dhcp", DHCP), (EXAMPLE, SUBNET)]
