"""Letters on their way out: one thread sends them, so that nobody else ever waits for a broker.

A letter that has not been sent yet can be withdrawn, and then it surely never is. One that
is being sent may or may not arrive.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from drophammer.errors import Unavailable

LOG = logging.getLogger(__name__)
MOST = 10_000
# For how long the broker may keep the sender waiting before newcomers are turned away.
PATIENCE_SECONDS = 2.5


@dataclass(eq=False)
class Parcel:
    """A letter with its address: a topic, and one server of it or any (empty).

    It is dropped when it has not been sent within ``seconds``. ``lost`` is called with the
    reason when it is known not to have arrived. ``certain`` asks the broker whether
    there is somebody to take it.
    """

    topic: str
    server: str
    text: str
    signature: str
    seconds: float
    certain: bool = False
    lost: Callable[[Unavailable], None] | None = None
    posted_at: float = field(default_factory=time.monotonic)
    tried: bool = False


class Outbox:
    """``send`` puts one parcel on the wire, however long that takes, or raises Unavailable."""

    def __init__(self, send: Callable[[Parcel], None]) -> None:
        self._send = send
        self._changed = threading.Condition()
        self._waiting: deque[Parcel] = deque()
        self._sending_since: float | None = None
        self._sent_at = time.monotonic()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="bus-sender", daemon=True)
        self._thread.start()

    @property
    def stuck(self) -> bool:
        """Whether the broker has not taken a letter for longer than anybody waits."""
        since = self._sending_since
        return since is not None and time.monotonic() - since > PATIENCE_SECONDS

    @property
    def quiet_seconds(self) -> float:
        """For how long the broker has not been tried: nothing was sent, nor is to be."""
        if self._waiting or self._sending_since is not None:
            return 0.0
        return time.monotonic() - self._sent_at

    def post(self, parcel: Parcel) -> None:
        """Have it sent. Raises Unavailable when too many letters wait already."""
        with self._changed:
            if self._closed:
                raise Unavailable("This process is stopping; send the request to another one.")
            self._drop_old()
            if len(self._waiting) >= MOST:
                raise Unavailable(
                    f"{MOST} messages wait for the message bus already; try again in a moment."
                )
            self._waiting.append(parcel)
            self._changed.notify()

    def withdraw(self, parcel: Parcel) -> bool:
        """True: it has not been sent and will not be. False: it is on its way, or has arrived."""
        with self._changed:
            try:
                self._waiting.remove(parcel)
            except ValueError:
                return False
            return True

    def close(self, seconds: float) -> None:
        """Send what waits, for at most so long; take nothing more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(seconds)

    def _drop_old(self) -> None:
        now = time.monotonic()
        while self._waiting and now > self._waiting[0].posted_at + self._waiting[0].seconds:
            self._waiting.popleft()

    def _not_sent(self, parcel: Parcel, error: Unavailable) -> None:
        if parcel.lost is not None:
            parcel.lost(error)
            return
        # Nobody would hear of it. It is an answer or a hint, which may come twice without harm.
        LOG.warning("a message to %s was not sent: %s", parcel.topic, error.message)
        if not parcel.tried:
            parcel.tried = True
            with self._changed:
                self._waiting.appendleft(parcel)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                self._drop_old()
                if not self._waiting:
                    if self._closed:
                        return
                    continue
                parcel = self._waiting.popleft()
                self._sending_since = time.monotonic()
            try:
                self._send(parcel)
            except Unavailable as error:
                self._not_sent(parcel, error)
            except Exception:
                LOG.exception("a message to %s could not be sent", parcel.topic)
            finally:
                self._sent_at = time.monotonic()
                self._sending_since = None
