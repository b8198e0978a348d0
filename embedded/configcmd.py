"""``drophammer config``: the sample configuration, or what is wrong with a file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import api.settings
import conductor.settings
import netboot.settings
from conductor.drivers.registry import Drivers
from drophammer.errors import DrophammerError, Invalid
from embedded.apirole import check_users
from embedded.generated import sample_configuration
from embedded.options import load, unknown
from netboot.importing.settings import ImportSettings


def main(argv: list[str]) -> int:
    """``sample`` prints every option; ``check FILE`` reads a file as ``serve`` would."""
    parser = argparse.ArgumentParser(prog="drophammer config")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("sample", help="print every option with its help and default")
    check = commands.add_parser("check", help="read a configuration file as serve would")
    check.add_argument("file", type=Path)
    given = parser.parse_args(argv)
    if given.command == "sample":
        print(sample_configuration(), end="")
        return 0
    try:
        conf = load([given.file])
        strange = unknown([given.file])
        if strange:
            raise Invalid(f"{', '.join(strange)}: no option of that name; it has no effect.")
        for settings in (api.settings, netboot.settings):
            settings.Settings.from_conf(conf)
        ImportSettings.from_conf(conf)
        Drivers.of(conductor.settings.Settings.from_conf(conf))
        if conf.serve.api:
            check_users(api.settings.Settings.from_conf(conf))
    except DrophammerError as error:
        print(f"drophammer config: {error.message}", file=sys.stderr)
        return 1
    print(f"{given.file} is good.")
    return 0
