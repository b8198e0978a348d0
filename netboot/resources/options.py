"""The options of boot resources, declared for oslo.config."""

from __future__ import annotations

from oslo_config import cfg

RESOURCES = [
    cfg.StrOpt(
        "root",
        default="/var/lib/drophammer/boot-resources",
        help="Folder for imported kernels, ramdisks, root file systems and boot loaders. Move it "
        "to where there is room; all of it must lie on one file system.",
    ),
    cfg.IntOpt(
        "import_interval",
        default=3600,
        min=0,
        max=86400 * 30,
        help="Seconds between two looks for new boot resources, the first one being at start. "
        "Raise it to spare the mirrors; 0 imports only when told to.",
    ),
    cfg.IntOpt(
        "keep_hours",
        default=24,
        min=1,
        max=24 * 365,
        help="How many hours replaced boot resources are kept at least. Those that a machine still "
        "boots are kept for as long as it does.",
    ),
    cfg.StrOpt(
        "target_prefix",
        default="iqn.2004-05.com.ubuntu:maas",
        help="What the iSCSI names of images begin with. Change it when several installations "
        "export images on one network.",
    ),
]

GROUPS: list[tuple[str, list[cfg.Opt]]] = [("resources", RESOURCES)]
