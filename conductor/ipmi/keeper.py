"""Keeps one IPMI child process: starts it, feeds it, replaces it when it dies or hangs.

One thread per child owns the pipes and the clock, so that a child that stops
reading can never hold up a caller. What the requests mean is not known here.
"""

from __future__ import annotations

import logging
import os
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from conductor.ipmi.child import Child, Gone
from conductor.ipmi.commands import Step
from conductor.ipmi.protocol import (
    Answer,
    Failed,
    Failure,
    FromChild,
    Hello,
    Ping,
    Pong,
    Repeat,
    Request,
    Sending,
)
from conductor.ipmi.target import BmcTarget

_LOG = logging.getLogger(__name__)

# The child answers by the deadline itself; what comes later comes from a child in trouble.
_GRACE = 1.0
_MISSED_DEADLINES = 2
# With requests in flight: seconds of silence until a ping, and from ping to verdict.
_PING_AFTER, _PONG_WITHIN = 2.0, 3.0
_ATTEMPTS = 2
_WORTHWHILE = 0.5
_LEAVE_SECONDS = 1.0

_CLOSED = Failure("lost", "the IPMI service of this conductor is shutting down")

Outcome = tuple[bytes, ...] | Failure


@dataclass
class _Pending:
    """A caller's request. ``deadline`` is monotonic; all but ``done`` is the keeper thread's."""

    target: BmcTarget
    steps: tuple[Step, ...]
    repeat: Repeat
    deadline: float
    attempts: int = 0
    sending: bool = False
    outcome: Outcome | None = None
    done: threading.Event = field(default_factory=threading.Event)

    def settle(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.done.set()

    def lose(self, why: str) -> None:
        """Fails the request because of its child; says what may have happened to the machine."""
        if self.repeat == "always":
            consequence = ""
        elif self.sending:
            consequence = " after the command was sent; whether it was done is not known"
        else:
            consequence = " before the command was sent"
        self.settle(Failure("lost", f"the IPMI process {why}{consequence}"))

    @property
    def may_go_again(self) -> bool:
        """Whether another child may take it over: a command that may have left may not."""
        harmless = self.repeat == "always" or not self.sending
        left = self.deadline - time.monotonic()
        return harmless and self.attempts < _ATTEMPTS and left > _WORTHWHILE


class Keeper:
    """One child and the thread that keeps it. Thread-safe. Both start with the first request."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        min_interval: float,
    ) -> None:
        self._name = name
        self._launch = (tuple(command), dict(environment))
        self._min_interval = min_interval
        self._lock = threading.Lock()
        self._inbox: deque[_Pending] = deque()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._bell: socket.socket | None = None
        self._keeping: _Keeping | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the child that runs now."""
        keeping = self._keeping
        return keeping.pid if keeping is not None else None

    def ask(
        self, target: BmcTarget, steps: tuple[Step, ...], repeat: Repeat, seconds: float
    ) -> Outcome:
        """Blocks until the answer, the failure, or ``seconds`` plus a short grace."""
        pending = _Pending(target, steps, repeat, time.monotonic() + seconds)
        with self._lock:
            if self._closing:
                return _CLOSED
            self._inbox.append(pending)
            self._start_thread()
            self._ring()
        # The keeper's thread keeps the deadline; this bound only guards against its death.
        pending.done.wait(seconds + 4 * _GRACE)
        return pending.outcome or Failure("lost", "the keeper of the IPMI process is stuck")

    def close(self) -> None:
        """Ends the child, and fails what is still in flight. May be called twice."""
        with self._lock:
            self._closing = True
            thread = self._thread
            self._ring()
        if thread is not None:
            thread.join()

    def take_inbox(self) -> list[_Pending]:
        """What callers have asked since the last call."""
        with self._lock:
            taken = list(self._inbox)
            self._inbox.clear()
        return taken

    def start_child(self, selector: selectors.BaseSelector) -> Child:
        """A new child that knows whose it is. OSError when it cannot start."""
        command, environment = self._launch
        child = Child(command, environment, selector)
        child.send(Hello(os.getpid(), self._min_interval))
        return child

    def log_replacement(self, pid: int, why: str, in_flight: int) -> None:
        """The one line that an operator finds about a lost child."""
        _LOG.warning(
            "IPMI process %s (pid %d) %s and is replaced, %d requests in flight",
            *(self._name, pid, why, in_flight),
        )

    def _start_thread(self) -> None:
        if self._thread is None:
            self._bell, hearing = socket.socketpair()
            self._bell.setblocking(False)
            hearing.setblocking(False)
            self._keeping = _Keeping(self, hearing)
            self._thread = threading.Thread(
                target=self._keep, args=(self._keeping,), name=self._name, daemon=True
            )
            self._thread.start()

    def _ring(self) -> None:
        if self._bell is not None:
            try:
                self._bell.send(b"\0")
            except BlockingIOError:
                pass  # So many rings are waiting that one more changes nothing.

    def _keep(self, keeping: _Keeping) -> None:
        try:
            while not self._closing:
                keeping.turn()
        finally:
            with self._lock:
                self._closing = True
                if self._bell is not None:
                    self._bell.close()
                    self._bell = None
            keeping.end()


class _Keeping:
    """The state of the keeper's thread. Used by that thread only, but for ``pid``."""

    def __init__(self, keeper: Keeper, bell: socket.socket) -> None:
        self.pid: int | None = None
        self._keeper = keeper
        self._bell = bell
        self._selector = selectors.DefaultSelector()
        self._selector.register(bell, selectors.EVENT_READ)
        self._child: Child | None = None
        self._flight: dict[int, _Pending] = {}
        self._number = 0
        self._missed = 0
        self._heard_at = 0.0
        self._pinged_at: float | None = None

    def turn(self) -> None:
        """Waits for something to happen and deals with it."""
        for key, _ in self._selector.select(self._patience()):
            if key.fileobj is self._bell:
                self._bell.recv(4096)
        for pending in self._keeper.take_inbox():
            self._dispatch(pending)
        self._exchange()
        self._keep_deadlines()
        self._check_pulse()

    def end(self) -> None:
        """Lets the child go, and everybody who still waits."""
        if self._child is not None:
            self._child.stop(_LEAVE_SECONDS)
        for pending in [*self._flight.values(), *self._keeper.take_inbox()]:
            pending.settle(_CLOSED)
        self._selector.close()
        self._bell.close()
        self.pid = None

    def _dispatch(self, pending: _Pending) -> None:
        child = self._child
        try:
            child = child or self._start()
        except OSError as problem:
            detail = f"the IPMI process does not start: {problem.strerror}"
            pending.settle(Failure("internal", detail))
            return
        if not self._flight:
            self._heard_at = time.monotonic()
        self._number += 1
        pending.sending = False
        pending.attempts += 1
        self._flight[self._number] = pending
        child.send(
            Request(self._number, pending.target, pending.steps, pending.repeat, pending.deadline)
        )

    def _start(self) -> Child:
        child = self._child = self._keeper.start_child(self._selector)
        self.pid = child.pid
        self._missed, self._pinged_at = 0, None
        self._heard_at = time.monotonic()
        return child

    def _exchange(self) -> None:
        if self._child is None:
            return
        self._child.flush()
        try:
            for message in self._child.receive():
                self._take(message)
        except Gone as gone:
            self._replace(str(gone))

    def _take(self, message: FromChild) -> None:
        self._heard_at, self._pinged_at = time.monotonic(), None
        match message:
            case Sending(number):
                if number in self._flight:
                    self._flight[number].sending = True
            case Answer(number, data):
                self._settle(number, data)
            case Failed(number, failure):
                self._settle(number, failure)
            case Pong():
                pass

    def _settle(self, number: int, outcome: Outcome) -> None:
        self._missed = 0
        pending = self._flight.pop(number, None)
        if pending is not None:
            pending.settle(outcome)

    def _patience(self) -> float | None:
        if not self._flight:
            return None
        first = min(pending.deadline for pending in self._flight.values()) + _GRACE
        return max(0.0, min(first - time.monotonic(), 0.5))

    def _keep_deadlines(self) -> None:
        now = time.monotonic()
        late = [number for number, p in self._flight.items() if now >= p.deadline + _GRACE]
        for number in late:
            self._missed += 1
            self._flight.pop(number).lose("did not answer in time")
        if self._missed >= _MISSED_DEADLINES:
            self._replace(f"missed {self._missed} deadlines in a row")

    def _check_pulse(self) -> None:
        if self._child is None or not self._flight:
            self._pinged_at = None
            return
        now = time.monotonic()
        if self._pinged_at is None and now - self._heard_at > _PING_AFTER:
            self._pinged_at = now
            self._child.send(Ping())
        elif self._pinged_at is not None and now - self._pinged_at > _PONG_WITHIN:
            self._replace(f"hung for {now - self._heard_at:.1f} s")

    def _replace(self, why: str) -> None:
        """Ends the child and hands what it had to the next one, where that is safe."""
        child, self._child = self._child, None
        if child is None:
            return
        # What it still said decides what may be repeated.
        for message in child.stop(0.0):
            self._take(message)
        flight, self._flight = list(self._flight.values()), {}
        self._missed, self.pid = 0, None
        self._keeper.log_replacement(child.pid, why, len(flight))
        for pending in flight:
            if pending.may_go_again:
                self._dispatch(pending)
            else:
                pending.lose(why)
