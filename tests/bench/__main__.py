"""``make bench``: what is fast and what is not, as ratios and rates. Nothing fails here.

Each benchmark is a module of its own in this folder: ``python -m tests.bench api --help``
runs one alone, with its options; without a name all of them run.
"""

from __future__ import annotations

import runpy
import sys
import time

NAMES = (
    "api",
    "scale",
    "store",
    "stages",
    "life",
    "beats",
    "sync",
    "waits",
    "ipmi_pool",
    "growth",
    "failover",
    "crowd",
    "imports",
    "boot_files",
)


def main() -> None:
    """Run the one that is named, or all, one after the other."""
    chosen, options = sys.argv[1:2], sys.argv[2:]
    if chosen and chosen[0] not in NAMES:
        raise SystemExit(f"no benchmark {chosen[0]!r}; there are {', '.join(NAMES)}")
    for name in chosen or NAMES:
        print(f"== {name}", flush=True)
        began = time.monotonic()
        sys.argv = [name, *options]
        runpy.run_module(f"tests.bench.{name}", run_name="__main__", alter_sys=True)
        print(f"   ({time.monotonic() - began:.1f} s)\n", flush=True)


if __name__ == "__main__":
    main()
