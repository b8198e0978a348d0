"""Files that are made from the code: written by ``make docs``, checked by ``make check``."""

from __future__ import annotations

import io
import logging
import sys
from pathlib import Path

from oslo_config import cfg, generator

from drophammer import states

ROOT = Path(__file__).resolve().parent.parent


def sample_configuration() -> str:
    """Every option with its help and default, commented out."""
    # It warns of the capitals in the examples of groups.
    logging.getLogger(generator.__name__).setLevel(logging.ERROR)
    conf = cfg.ConfigOpts()
    generator.register_cli_opts(conf)
    conf(["--namespace", "drophammer", "--wrap-width", "90"], project="oslo-config-generator")
    out = io.StringIO()
    generator.generate(conf, out)
    return out.getvalue()


FILES = {
    "etc/drophammer/drophammer.conf.sample": sample_configuration,
    "docs/states.md": states.markdown,
}


def main(argv: list[str]) -> int:
    """Write all; with ``--check`` only say what is out of date."""
    stale = []
    for name, make in FILES.items():
        path, text = ROOT / name, make()
        if path.exists() and path.read_text() == text:
            continue
        stale.append(name)
        if "--check" not in argv:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    if stale and "--check" in argv:
        print(f"Out of date: {', '.join(stale)}. Run `make docs`.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
