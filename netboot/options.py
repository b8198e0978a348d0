"""The options of netboot, declared for oslo.config.

Only declarations: nothing is read here, and nothing outside of ``settings.py``
reads them.
"""

from __future__ import annotations

from oslo_config import cfg

from netboot import subnet_options
from netboot.enlist import options as enlist_options
from netboot.importing import options as import_options
from netboot.monitor import options as monitor_options
from netboot.resources import options as resource_options
from netboot.services import options as program_options

NETBOOT = [
    cfg.StrOpt(
        "address",
        default="127.0.0.1",
        help="IP address, on the provisioning network, that TFTP and HTTP answer on and that boot "
        "files name in their URLs. Set it to this host's address on that network.",
    ),
    cfg.BoolOpt(
        "listen_all",
        default=False,
        help="Answer TFTP and HTTP on every address of this host, IPv4 and IPv6, also on those it "
        "gets later, and name in boot files the one that a machine asked. Set it when this host "
        "is in several provisioning networks.",
    ),
    cfg.StrOpt(
        "network_namespace",
        default="",
        help="Network namespace in which to answer. Set it when the provisioning network lives in "
        "a namespace (ip netns) of its own; empty means the one this process is in.",
    ),
    cfg.StrOpt(
        "interface",
        default="",
        help="Network interface of the provisioning network. Needed when dhcp_enabled is true.",
    ),
    cfg.BoolOpt(
        "http_enabled",
        default=True,
        help="Serve boot scripts, kernels, ramdisks and images over HTTP. Set to false only when "
        "all machines boot with the boot interface pxe and fetch no image from here.",
    ),
    cfg.IntOpt(
        "http_port",
        default=8080,
        min=0,
        max=65535,
        help="TCP port of the boot file server. Change it when another program has the port; 0 "
        "takes a free one, which only suits tests.",
    ),
    cfg.BoolOpt(
        "tftp_enabled",
        default=True,
        help="Serve boot loaders, and what they ask for, over TFTP. Set to false when another "
        "TFTP server hands out the loaders.",
    ),
    cfg.IntOpt(
        "tftp_port",
        default=69,
        min=0,
        max=65535,
        help="UDP port of the TFTP server. Firmware always asks port 69; another port only suits "
        "tests.",
    ),
    cfg.IntOpt(
        "tftp_max_block_size",
        default=1468,
        min=512,
        max=65464,
        help="Largest TFTP block in bytes. 1468 fills an Ethernet frame; lower it when tunnels "
        "shrink the frames and transfers stall, raise it on networks with jumbo frames.",
    ),
    cfg.BoolOpt(
        "dhcp_enabled",
        default=False,
        help="Run a DHCP server (dnsmasq) for the known machines. Leave false when another DHCP "
        "server owns the network, and give it the boot options of docs/booting.md.",
    ),
    cfg.StrOpt(
        "dhcp_range_start",
        default="",
        help="First IPv4 address to lease. Needed when dhcp_enabled is true.",
    ),
    cfg.StrOpt(
        "dhcp_range_end",
        default="",
        help="Last IPv4 address to lease. Take a range with more addresses than machines.",
    ),
    cfg.StrOpt(
        "dhcp_netmask",
        default="255.255.255.0",
        help="Netmask of the provisioning network. Set it to what the network has.",
    ),
    cfg.IntOpt(
        "dhcp_lease_seconds",
        default=3600,
        min=120,
        max=86400 * 30,
        help="How long a lease lasts. Shorten it when the range is small and machines come and go.",
    ),
    cfg.StrOpt(
        "dhcp_router",
        default="",
        help="Default gateway handed to machines. Set it when ramdisks must reach other networks; "
        "empty hands out none.",
    ),
    cfg.ListOpt(
        "dhcp_dns",
        default=[],
        help="Name servers handed to machines. Set them when kernel, image or callback URLs have "
        "host names in them.",
    ),
    cfg.StrOpt(
        "ipv6_prefix",
        default="",
        help="IPv6 prefix to advertise, e.g. fd00:22::/64; the interface needs an address in it. "
        "Without any router advertisement iPXE waits some 15 seconds at each boot. The "
        "advertisement names no default router. Leave empty when a router already advertises.",
    ),
    cfg.StrOpt(
        "dnsmasq",
        default="dnsmasq",
        help="The dnsmasq program. Give a full path when it is not in PATH.",
    ),
    cfg.StrOpt(
        "images_dir",
        default="/var/lib/drophammer/images",
        help="Folder whose files are served as http://<address>:<http_port>/images/<name>. Move it "
        "to where there is room for disk images.",
    ),
    cfg.StrOpt(
        "boot_dir",
        default="/var/lib/drophammer/boot",
        help="Folder with kernels and ramdisks; boot specs may name files in it by file:// URL.",
    ),
    cfg.ListOpt(
        "file_url_allowed_paths",
        default=[],
        help="More folders that file:// URLs of kernels and ramdisks may point into. Add a folder "
        "when kernels are kept elsewhere; everything readable in it can then be booted.",
    ),
    cfg.StrOpt(
        "state_dir",
        default="/var/lib/drophammer/netboot",
        help="Folder for DHCP leases and the generated DHCP configuration. Keep it across "
        "restarts, or machines get other addresses.",
    ),
    cfg.BoolOpt(
        "nomodeset",
        default=False,
        help="Boot kernels with nomodeset, in front of all other parameters. Set it when machines "
        "lose their console or network as soon as the driver of their graphics card loads, as some "
        "with Matrox or Aspeed graphics do.",
    ),
    cfg.StrOpt(
        "bios_to_disk",
        default="next",
        choices=[
            ("next", "LOCALBOOT -1: the BIOS tries its next boot device"),
            ("chain", "chain.c32 hd0: the first disk"),
            ("zero", "LOCALBOOT 0: the BIOS's own normal boot"),
        ],
        help="How pxelinux leaves for the disk of a machine that has nothing to boot from the "
        "network. Change it when machines stand still there.",
    ),
    cfg.BoolOpt(
        "chap_in_boot_scripts",
        default=False,
        help="Let machines boot from volumes that ask for CHAP: user name and password then stand "
        "in the machine's iPXE script, which anybody on the provisioning network who knows its MAC "
        "address can fetch. Set it only where that network is trusted.",
    ),
    cfg.ListOpt(
        "loader_dirs",
        default=[],
        help="Folders searched first for boot loaders (undionly.kpxe, snponly.efi, pxelinux.0, "
        "bootx64.efi, ...). Set it to use newer loaders than the distribution's.",
    ),
]

GROUPS: list[tuple[str, list[cfg.Opt]]] = [
    ("netboot", [*NETBOOT, *monitor_options.MONITOR]),
    *subnet_options.GROUPS,
    *enlist_options.GROUPS,
    *resource_options.GROUPS,
    *import_options.GROUPS,
    ("ntp", program_options.NTP),
    ("tgt", program_options.TGT),
]
