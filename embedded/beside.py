"""For commands that operators run beside the service: its configuration, and its user.

``serve`` itself is told its files by its unit and takes none of this.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from oslo_config import cfg

from drophammer.errors import Forbidden
from embedded.options import load

FOLDER = Path("/etc/drophammer")
NAMES = ("drophammer.conf", "api.conf", "conductor.conf", "netboot.conf")
"""What the units of etc/systemd read, in this order; not every host has all of them."""


def files(
    given: Sequence[Path], state_dir: Path | None = None, folder: Path = FOLDER
) -> list[Path]:
    """The configuration files that were named, or else those of the service on this host.

    Who names a state folder means another service than that.
    """
    if given or state_dir is not None:
        return list(given)
    return [folder / name for name in NAMES if os.access(folder / name, os.R_OK)]


def configured(given: argparse.Namespace) -> cfg.ConfigOpts:
    """The configuration of that service, by ``options.add_arguments``. Raises Invalid."""
    return load(files(given.config_file, given.state_dir), given.state_dir)


def become_owner(path: Path) -> None:
    """Go on as the user whose folder this is, when we are root.

    What root wrote there the service could neither change nor, most of it, read.
    """
    while not path.exists():
        path = path.parent
    owner = path.stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        return
    try:
        os.setgroups([owner.st_gid])
        os.setgid(owner.st_gid)
        os.setuid(owner.st_uid)
    except OSError as error:
        raise Forbidden(
            f"{path} belongs to user {owner.st_uid}, and this cannot be done as that user: "
            f"{error.strerror}; run the command as that user."
        ) from error
