"""Which thread of the child serves which BMC, and when.

Each BMC has a lane: its requests run one after the other, in the order of their
coming. BMCs that stay silent get a few threads of their own and pauses that
grow, so that they cannot take the threads of those that answer. Every request
is answered by its deadline, even when the thread that serves it is stuck.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from conductor.ipmi.exchange import Line
from conductor.ipmi.protocol import Answer, Failed, Failure, FromChild, Request, Sending
from conductor.ipmi.session import ExchangeFailed

# Threads wait nearly all the time, one per BMC being asked.
_THREADS, _SUSPECT_THREADS = 256, 128
# Seconds that a log-in may take; a BMC that was silent the last time gets less.
_EFFORT, _SUSPECT_EFFORT = 8.0, 3.0
# The answer must be on its way before the deadline is there.
_MARGIN = 0.3
# With less time left it is fairer to the BMC not to begin.
_WORTHWHILE = 0.2
_PAUSES = (1.0, 2.0, 4.0)
# BMCs drop a session after 60 s without traffic (section 6.12.15) and have few of them.
_IDLE_SECONDS = 45.0
_WARM_SESSIONS = 300
_FORGET_SECONDS = 600.0
_TICK = 1.0
_SILENT = frozenset({"unreachable", "refused", "unresolved"})

Post = Callable[[FromChild], None]


class Job:
    """A request in the child, answered exactly once. Times are monotonic."""

    def __init__(self, request: Request, post: Post) -> None:
        self.request = request
        self.deadline = request.deadline
        self.late = request.deadline - time.monotonic() < _MARGIN + _WORTHWHILE
        self._post = post
        self._lock = threading.Lock()
        self.answered = False

    def sending(self) -> None:
        """Tells the conductor that the BMC may see the request from now on.

        Raises ExchangeFailed when the request was given up meanwhile.
        """
        with self._lock:
            if self.answered:
                raise ExchangeFailed("waiting", "the request was given up before it was sent")
            self._post(Sending(self.request.number))

    def answer(self, data: tuple[bytes, ...]) -> None:
        """The BMC did it."""
        self._settle(Answer(self.request.number, data))

    def fail(self, failure: Failure) -> None:
        """It came to nothing; only the first answer or failure counts."""
        self._settle(Failed(self.request.number, failure))

    def _settle(self, message: FromChild) -> None:
        with self._lock:
            if not self.answered:
                self.answered = True
                self._post(message)


class Lane:
    """One BMC: who waits for it, the line to it, and how it behaved."""

    def __init__(self) -> None:
        self.waiting: deque[Job] = deque()
        self.serving: Job | None = None
        self.busy = False
        self.line = Line()
        self.silences = 0
        self.not_before = 0.0
        self.last_used = 0.0


class Lanes:
    """All BMCs of one child. ``post`` sends a message to the conductor; it is thread-safe.

    ``accept``, ``tick`` and ``close`` are for the child's main thread.
    """

    def __init__(self, post: Post, min_interval: float) -> None:
        self._post = post
        self._min_interval = min_interval
        self._lock = threading.Lock()
        self._lanes: dict[tuple[str, int], Lane] = {}
        self._next_tick = 0.0
        self._threads = ThreadPoolExecutor(_THREADS, "lane")
        self._suspect_threads = ThreadPoolExecutor(_SUSPECT_THREADS, "suspect")

    def accept(self, request: Request) -> None:
        """Takes a request; its answer is posted later."""
        now = time.monotonic()
        job = Job(request, self._post)
        key = (request.target.address.lower(), request.target.port)
        with self._lock:
            lane = self._lanes.setdefault(key, Lane())
            lane.waiting.append(job)
            self._start_if_due(lane, now)
            self._next_tick = min(self._next_tick, job.deadline)
            if now < lane.not_before:
                self._next_tick = min(self._next_tick, lane.not_before)

    def tick(self) -> float:
        """Starts what is due, answers what is overdue, closes idle sessions.

        Returns the seconds until it should be called again.
        """
        now = time.monotonic()
        if now < self._next_tick:
            return self._next_tick - now
        next_at = now + _TICK
        overdue: list[tuple[Job, Failure]] = []
        with self._lock:
            for lane in self._lanes.values():
                self._start_if_due(lane, now)
                overdue += _overdue(lane, now)
                if lane.waiting and not lane.busy:
                    next_at = min(next_at, lane.not_before)
                jobs = [*lane.waiting, *([lane.serving] if lane.serving else [])]
                next_at = min([next_at, *(job.deadline for job in jobs if not job.answered)])
            self._close_idle(now)
            self._next_tick = max(next_at, now + 0.01)
        for job, failure in overdue:
            job.fail(failure)
        return self._next_tick - now

    def close(self) -> None:
        """Takes leave of the BMCs that are not being served right now."""
        with self._lock:
            for lane in self._lanes.values():
                # A thread that has just answered may not have come to rest yet.
                if lane.serving is None or lane.serving.answered:
                    lane.line.close()

    def _start_if_due(self, lane: Lane, now: float) -> None:
        if lane.busy or not lane.waiting or now < lane.not_before:
            return
        lane.busy = True
        threads = self._suspect_threads if lane.silences else self._threads
        threads.submit(self._serve, lane).add_done_callback(lambda done: self._ended(lane, done))

    def _serve(self, lane: Lane) -> None:
        while True:
            with self._lock:
                job = _next_job(lane)
                lane.serving = job
                if job is None or time.monotonic() < lane.not_before:
                    if job is not None:
                        lane.waiting.appendleft(job)
                        lane.serving = None
                    lane.busy = False
                    return
            self._run(lane, job)

    def _run(self, lane: Lane, job: Job) -> None:
        until = job.deadline - _MARGIN
        effort = _SUSPECT_EFFORT if lane.silences else _EFFORT
        self._keep_interval(lane, until)
        if until - time.monotonic() < _WORTHWHILE:
            job.fail(Failure("waiting", _waiting_words(lane, job)))
            return
        try:
            data = lane.line.perform(job.request, until, effort, job.sending)
        except ExchangeFailed as failed:
            self._note(lane, failed.failure)
            job.fail(failed.failure)
        else:
            self._note(lane, None)
            job.answer(data)

    def _keep_interval(self, lane: Lane, until: float) -> None:
        wait = min(lane.last_used + self._min_interval, until) - time.monotonic()
        if lane.last_used and wait > 0:
            time.sleep(wait)

    def _note(self, lane: Lane, failure: Failure | None) -> None:
        with self._lock:
            lane.last_used = time.monotonic()
            if failure is None or failure.kind not in _SILENT:
                lane.silences = 0
                return
            pause = _PAUSES[min(lane.silences, len(_PAUSES) - 1)]
            lane.silences += 1
            lane.not_before = lane.last_used + pause

    def _ended(self, lane: Lane, done: Future[None]) -> None:
        """A fault of ours must not leave a request without answer or a lane blocked."""
        fault = done.exception()
        if fault is None:
            return
        traceback.print_exception(fault)
        with self._lock:
            job, lane.serving = lane.serving, None
            lane.line.close()
            lane.busy = False
        if job is not None:
            job.fail(Failure("internal", f"the IPMI process failed: {type(fault).__name__}"))

    def _close_idle(self, now: float) -> None:
        idle = sorted(
            (lane for lane in self._lanes.values() if not lane.busy and not lane.waiting),
            key=lambda lane: lane.last_used,
        )
        warm = [lane for lane in idle if lane.line.session is not None]
        surplus = len(warm) - _WARM_SESSIONS
        for place, lane in enumerate(warm):
            if place < surplus or now - lane.last_used > _IDLE_SECONDS:
                lane.line.close()
        if len(idle) and now - idle[0].last_used > _FORGET_SECONDS:
            gone = {id(lane) for lane in idle if now - lane.last_used > _FORGET_SECONDS}
            self._lanes = {k: lane for k, lane in self._lanes.items() if id(lane) not in gone}


def _next_job(lane: Lane) -> Job | None:
    while lane.waiting:
        job = lane.waiting.popleft()
        if not job.answered:
            return job
    return None


def _overdue(lane: Lane, now: float) -> list[tuple[Job, Failure]]:
    late = [
        (job, Failure("waiting", _waiting_words(lane, job)))
        for job in lane.waiting
        if now >= job.deadline and not job.answered
    ]
    serving = lane.serving
    if serving is not None and now >= serving.deadline and not serving.answered:
        late.append((serving, _stuck(lane)))
    return late


def _stuck(lane: Lane) -> Failure:
    if lane.line.resolving:
        return Failure("unresolved", "the name resolver did not answer in time")
    return Failure("unreachable", "the exchange with the BMC did not end in time")


def _waiting_words(lane: Lane, job: Job) -> str:
    if lane.silences:
        return f"not sent: the BMC was silent {lane.silences} times in a row and is left in peace"
    if job.late:
        return "not sent: the IPMI process got it too late, because this conductor's host is busy"
    return "not sent: earlier requests, to this BMC or to silent ones, took all the time"
