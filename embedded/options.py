"""All roles' options together: for loading, and for oslo.config's sample generator."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from oslo_config import cfg

import api.options
import conductor.options
import drophammer.options
import netboot.options
from drophammer.errors import Invalid
from embedded.statedir import settle_paths
from netboot.subnet_options import EXAMPLE as SUBNET_EXAMPLE

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
    cfg.StrOpt(
        "monitor_listen",
        default="",
        help="HOST:PORT where /healthz, /readyz and /metrics of this process are, without a "
        "password. Set it for processes without an API, and to have /metrics elsewhere than "
        "on the API's own address. Empty: the API has them.",
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


def load(files: Sequence[Path], state_dir: Path | None = None) -> cfg.ConfigOpts:
    """Read configuration files, with all our options registered; ``state_dir`` goes before theirs.

    Raises Invalid naming file, option and what is wrong.
    """
    conf = cfg.ConfigOpts()
    for group, options in GROUPS:
        conf.register_opts(options, group=None if group == "DEFAULT" else group)
    missing = [str(path) for path in files if not path.is_file()]
    if missing:
        raise Invalid(f"Configuration file {', '.join(missing)} does not exist.")
    try:
        conf([], project="drophammer", default_config_files=[str(path) for path in files])
    except (cfg.Error, ValueError) as error:
        raise Invalid(f"Configuration: {error}") from error
    # Values are checked when they are read; read all now, not at 3 a.m.
    for group, options in GROUPS:
        holder = conf if group == "DEFAULT" else conf[group]
        for option in options:
            try:
                getattr(holder, option.dest)
            except (cfg.Error, ValueError) as error:
                raise Invalid(
                    f"Configuration: [{group}] {option.name}: {_reason(error)}"
                ) from error
    if state_dir is not None:
        conf.set_override("state_dir", str(state_dir.resolve()))
    settle_paths(conf)
    return conf


def add_arguments(command: argparse.ArgumentParser) -> None:
    """What every command takes that reads the configuration of a service, for ``load``."""
    command.add_argument("--config-file", type=Path, action="append", default=[], metavar="FILE")
    command.add_argument("--state-dir", type=Path, metavar="DIR", help="where all state is kept")


def for_messaging(conf: cfg.ConfigOpts) -> cfg.ConfigOpts:
    """The same files for oslo.messaging.

    It registers its options on oslo.config's global object, and some of them under
    the names of ours, so that the two must be kept apart.
    """
    cfg.CONF([], project="drophammer", default_config_files=list(conf.config_file))
    return cfg.CONF


def for_notifications(conf: cfg.ConfigOpts) -> cfg.ConfigOpts:
    """The same files once more: what the bus sets for itself is not for notifications."""
    made = cfg.ConfigOpts()
    made([], project="drophammer", default_config_files=list(conf.config_file))
    return made


def unknown(files: Sequence[Path]) -> list[str]:
    """Options in the files that nobody reads: most often a slip of the pen.

    Groups that are not ours belong to the libraries and are left alone.
    """
    known = {group: {option.dest for option in options} for group, options in _merged().items()}
    found = []
    for path in files:
        parsed: dict[str, dict[str, list[str]]] = {}
        cfg.ConfigParser(str(path), parsed).parse()
        for group, values in parsed.items():
            options = known.get(SUBNET_EXAMPLE if group.startswith("subnet:") else group)
            if options is not None:
                found += [f"[{group}] {name}" for name in values if name not in options]
    return found


def _merged() -> dict[str, list[cfg.Opt]]:
    merged: dict[str, list[cfg.Opt]] = {}
    for group, options in GROUPS:
        merged.setdefault(group, []).extend(options)
    return merged


def _reason(error: Exception) -> str:
    """oslo.config's reason without its idea of where the value came from."""
    return str(error).rpartition("is not valid: ")[2]
