"""How many IPMI commands and log-ins a second the pool makes: ``python tests/bench/ipmi_pool.py``.

Starts BMC processes on loopback, which share the machine with the pool: the
figures are a floor. Prints; does not judge.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

from conductor.ipmi.pool import IpmiPool
from conductor.ipmi.target import BmcTarget


def virtual_bmcs() -> ModuleType:
    """The BMC process of the functional tests."""
    path = Path(__file__).parents[1] / "functional" / "ipmi" / "conftest.py"
    spec = importlib.util.spec_from_file_location("ipmi_bench_bmcs", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rate(ask: Callable[[BmcTarget], object], targets: list[BmcTarget], seconds: float) -> str:
    """Asks all targets at once, over and over; one thread per target."""
    until = time.monotonic() + seconds

    def ask_on(target: BmcTarget) -> list[float]:
        taken = []
        while (started := time.monotonic()) < until:
            ask(target)
            taken.append(time.monotonic() - started)
        return taken

    with ThreadPoolExecutor(len(targets)) as threads:
        taken = [one for many in threads.map(ask_on, targets) for one in many]
    worst = statistics.quantiles(taken, n=100)[-1]
    return (
        f"{len(taken) / seconds:7.0f}/s   median {statistics.median(taken) * 1000:6.2f} ms"
        f"   99th percentile {worst * 1000:6.2f} ms"
    )


def main() -> None:
    """Prints commands a second on warm sessions, and log-ins a second."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bmcs", type=int, default=6)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    bmcs = [virtual_bmcs().VirtualBmc({}) for _ in range(options.bmcs)]
    targets = [bmc.target() for bmc in bmcs]
    try:
        with IpmiPool(workers=options.workers) as pool:
            started = time.monotonic()
            pool.get_power(targets[0])
            print(f"first command        {time.monotonic() - started:7.3f} s, child start included")
            list(map(pool.get_power, targets))
            print("warm, one at a time ", rate(pool.get_power, targets[:1], options.seconds))
            print("warm, all at once   ", rate(pool.get_power, targets, options.seconds))
            # Another privilege level is another session: each request logs in anew.
            levels = {target: [target, _as_operator(target)] for target in targets}
            print("log-in and command  ", rate(lambda t: _other(pool, levels[t]), targets,
                                               options.seconds))  # fmt: skip
    finally:
        for bmc in bmcs:
            bmc.stop()


def _as_operator(target: BmcTarget) -> BmcTarget:
    return BmcTarget(**{**vars(target), "privilege": "OPERATOR"})


def _other(pool: IpmiPool, levels: list[BmcTarget]) -> None:
    levels.reverse()
    pool.get_power(levels[0])


if __name__ == "__main__":
    main()
