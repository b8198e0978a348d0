"""The options of [enlist], declared for oslo.config: what machines that nobody knows boot."""

from __future__ import annotations

from oslo_config import cfg

ENLIST = [
    cfg.BoolOpt(
        "enabled",
        default=False,
        help="Let machines that are no node's boot, so that they can make themselves known. Which "
        "ones may is said by `enlist` of a [subnet:NAME] and by `networks` here.",
    ),
    cfg.ListOpt(
        "networks",
        default=[],
        help="More networks (as 10.1.0.0/16) whose unknown machines may boot: those in which "
        "another DHCP server gives the addresses. Empty means none.",
    ),
    cfg.StrOpt(
        "image",
        default="",
        help="The image that they boot, OS/ARCH/SUBARCH/RELEASE/LABEL of the boot resources; the "
        "same for another architecture is taken where there is one. Empty means vmlinuz and initrd "
        "in [netboot]boot_dir, for amd64.",
    ),
    cfg.StrOpt(
        "kernel_append_params",
        default="",
        help="Kernel parameters for them, behind those that netboot sets. Set it when they have "
        "a serial console.",
    ),
]

GROUPS: list[tuple[str, list[cfg.Opt]]] = [("enlist", ENLIST)]
