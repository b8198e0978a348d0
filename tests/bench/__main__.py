"""``make bench``: what is fast and what is not, as ratios and rates. Nothing fails here.

Each benchmark is a script of its own in this folder; run one alone for its options.
"""

from __future__ import annotations

import runpy
import sys
import time
from pathlib import Path

SCRIPTS = ("store.py", "life.py", "ipmi_pool.py")


def main() -> None:
    """Run all, one after the other."""
    folder = Path(__file__).parent
    for name in SCRIPTS:
        print(f"== {name}", flush=True)
        began = time.monotonic()
        sys.argv = [str(folder / name)]
        runpy.run_path(str(folder / name), run_name="__main__")
        print(f"   ({time.monotonic() - began:.1f} s)\n", flush=True)


if __name__ == "__main__":
    main()
