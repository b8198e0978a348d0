"""Very many connections at once: all are served, and the service does not burn its time."""

from __future__ import annotations

import http.client
import os
import threading
from contextlib import closing
from pathlib import Path

CONNECTIONS, EACH = 256, 4
# It takes one. A loop that fights its own workers takes thirty.
CPU_SECONDS = 8


def cpu(pid: int) -> float:
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def test_two_hundred_and_fifty_six_connections_are_served_at_once(serve, tmp_path) -> None:
    served = serve("--no-netboot", "--log-file", str(tmp_path / "log"))
    served.until("http://127.0.0.1")
    host = served.url.removeprefix("http://")
    answers: list[int] = []

    def ask(times: int) -> None:
        with closing(http.client.HTTPConnection(host, timeout=60)) as client:
            for _ in range(times):
                client.request("GET", "/v1/drivers/fake-hardware")
                answer = client.getresponse()
                answer.read()
                answers.append(answer.status)

    def crowd(connections: int, times: int) -> None:
        threads = [threading.Thread(target=ask, args=(times,)) for _ in range(connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    crowd(8, 50)
    began = cpu(served.process.pid)
    crowd(CONNECTIONS, EACH)
    # CPU, not time: what else the machine does must not matter here.
    assert cpu(served.process.pid) - began < CPU_SECONDS
    assert answers == [200] * (8 * 50 + CONNECTIONS * EACH)
