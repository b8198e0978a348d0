"""All roles' options together: for loading, and for oslo.config's sample generator."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from oslo_config import cfg

import api.options
import conductor.options
import drophammer.options
import netboot.options
from drophammer.errors import Invalid

_SERVICES: list[cfg.Opt] = [
    cfg.BoolOpt(
        "api",
        default=True,
        help="Serve the REST API in this process.",
    ),
    cfg.BoolOpt(
        "conductor",
        default=True,
        help="Work on nodes in this process.",
    ),
    cfg.BoolOpt(
        "netboot",
        default=True,
        help="Answer booting machines in this process.",
    ),
    cfg.StrOpt(
        "ramdisk_listen",
        default="",
        help="HOST:PORT on the provisioning network (in [netboot] network_namespace) where "
        "ramdisks find the few parts of the API they need. Empty: they use the API itself.",
    ),
]

GROUPS: list[tuple[str, list[cfg.Opt]]] = [
    *drophammer.options.GROUPS,
    *api.options.GROUPS,
    *conductor.options.GROUPS,
    *netboot.options.GROUPS,
    ("serve", _SERVICES),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """For oslo-config-generator."""
    return GROUPS


def load(files: Sequence[Path], conf: cfg.ConfigOpts | None = None) -> cfg.ConfigOpts:
    """Read configuration files, with all options registered.

    Into oslo.config's global object unless told otherwise, because oslo.messaging
    registers its own options there. Raises Invalid naming what is wrong.
    """
    conf = cfg.CONF if conf is None else conf
    for group, options in GROUPS:
        conf.register_opts(options, group=None if group == "DEFAULT" else group)
    missing = [str(path) for path in files if not path.is_file()]
    if missing:
        raise Invalid(f"Configuration file {', '.join(missing)} does not exist.")
    try:
        conf([], project="drophammer", default_config_files=[str(path) for path in files])
        # Values are checked when they are read; read all now, not at 3 a.m.
        for group, options in GROUPS:
            holder = conf if group == "DEFAULT" else conf[group]
            for option in options:
                getattr(holder, option.dest)
    except (cfg.Error, ValueError) as error:
        raise Invalid(f"Configuration: {error}") from error
    return conf
