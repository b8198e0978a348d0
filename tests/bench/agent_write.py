#!/usr/bin/env python3
r"""Writes one image with the agent's own writer, for measurements against other programs.

    imagewrite_bench.py run ... \
        --extra 'ours=PYTHON tests/bench/agent_write.py {url} {target} {sha256}'

Prints a line of JSON with the digest, the seconds and the CPU seconds without the
start-up. Exits with 1 and a sentence when the image is not what the digest says.
"""

import json
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from agent.blockdev import BlockTarget
from agent.checksums import Checksum
from agent.cmdline import Options
from agent.download import ImageSource
from agent.errors import AgentError
from agent.imagewriter import Progress, write_image


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main(url: str, path: str, digest: str) -> int:
    begun, cpu = time.monotonic(), cpu_seconds()
    try:
        with BlockTarget(path) as target, ImageSource({}, Options({}), [url]) as source:
            source.open()
            write_image(source, target, Checksum("sha256", digest), Progress())
    except AgentError as error:
        print(error.message, file=sys.stderr)
        return 1
    seconds = time.monotonic() - begun
    print(json.dumps({"sha": digest, "s": seconds, "cpu_s": cpu_seconds() - cpu}))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
