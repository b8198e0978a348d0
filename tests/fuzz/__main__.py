"""``make fuzz``: every parser is fed by a fuzzer that watches which lines its inputs reach.

``python -m tests.fuzz --seconds 60 [NAME ...]``. Needs atheris (pip install atheris). Inputs
that reached something new are kept in .cache/fuzz, and are where the next run begins.
"""

from __future__ import annotations

import argparse
import hashlib
import pathlib
import subprocess
import sys

CACHE = pathlib.Path(__file__).parents[2] / ".cache" / "fuzz"
_FUZZED = ["netboot", "ramdisk", "drophammer"]


def main() -> int:
    """Run the parsers that are named, or all, each in a process of its own. 1 if one failed."""
    options = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    options.add_argument("--seconds", type=int, default=30, help="for each parser")
    options.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options.add_argument("names", nargs="*")
    asked = options.parse_args()
    if asked.alone:
        _fuzz(asked.names[0], asked.seconds)
    from tests.fuzz.parsers import PARSERS

    strange = [name for name in asked.names if name not in PARSERS]
    if strange:
        options.error(f"there is no parser {strange[0]!r}; there are {', '.join(PARSERS)}")
    failed = [name for name in asked.names or PARSERS if not _passes(name, asked.seconds)]
    print(f"fuzz: {len(failed)} failed{': ' if failed else ''}{', '.join(failed)}")
    return 1 if failed else 0


def _passes(name: str, seconds: int) -> bool:
    argv = [sys.executable, "-m", "tests.fuzz", "--alone", "--seconds", str(seconds), name]
    done = subprocess.run(argv, capture_output=True, text=True, errors="replace", check=False)
    runs = [line for line in done.stderr.splitlines() if line.startswith("Done ")]
    print(f"{name:<20}{'ok' if done.returncode == 0 else 'FAILED'}  {''.join(runs)}", flush=True)
    if done.returncode:
        print(done.stdout[-3000:], done.stderr[-3000:], sep="\n", flush=True)
    return done.returncode == 0


def _fuzz(name: str, seconds: int) -> None:
    import atheris

    with atheris.instrument_imports(include=_FUZZED):
        from tests.fuzz import parsers
    corpus = CACHE / name.replace(" ", "-")
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in parsers.PARSERS[name].seeds:
        (corpus / hashlib.sha1(seed).hexdigest()).write_bytes(seed)
    limits = [f"-max_total_time={seconds}", "-max_len=4096", "-rss_limit_mb=1024", "-timeout=10"]
    found = f"-artifact_prefix={corpus.parent}/found-{corpus.name}-"
    atheris.Setup([sys.argv[0], str(corpus), *limits, found], lambda data: parsers.read(name, data))
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
