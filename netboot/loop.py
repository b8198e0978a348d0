"""An event loop in a thread of its own, for the servers that machines ask."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from drophammer.errors import Unavailable
from netboot.services.tftp_poll import PollLoop

log = logging.getLogger(__name__)

START_SECONDS = 10.0
LOOKUP_THREADS = 8


class LoopThread:
    """Other threads hand it coroutines."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def alive(self) -> bool:
        """Whether anything is answered at all."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Begin."""
        loop = PollLoop()
        self._pool = ThreadPoolExecutor(LOOKUP_THREADS, "netboot-lookup")
        loop.set_default_executor(self._pool)
        self._loop = loop
        self._thread = threading.Thread(target=loop.run_forever, name="netboot", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, None], seconds: float = START_SECONDS) -> None:
        """Run a coroutine there and wait for it.

        Raises what it raises; OSError, and not ending in time, as Unavailable.
        """
        loop = self._loop
        if loop is None:
            work.close()
            raise Unavailable("Netboot is not running.")
        try:
            asyncio.run_coroutine_threadsafe(work, loop).result(seconds)
        except (OSError, TimeoutError) as error:
            raise Unavailable(f"A server of netboot did not answer in time: {error}") from error

    def stop(self) -> None:
        """End the loop, and whatever still runs on it."""
        loop, self._loop = self._loop, None
        if loop is None or self._thread is None:
            return
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join()
        # Not waiting: a lookup may hang in a database that does not answer.
        self._pool.shutdown(wait=False, cancel_futures=True)
        _close(loop)


def _close(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what is left and close the loop, which runs no more."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
