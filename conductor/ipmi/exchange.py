"""One request against one BMC: warm session or log-in, steps, and when to try again.

Knows what may be sent twice and what may not. Runs in the child process, on
the one thread that serves the BMC; threads and queues are ``lanes``' business.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from conductor.ipmi import codes
from conductor.ipmi.commands import GET_DEVICE_ID, Step
from conductor.ipmi.protocol import Request
from conductor.ipmi.session import ExchangeFailed, LanSession, SessionSilent, log_in, resolve

_BUSY_RETRIES = 3
_BUSY_PAUSE = 0.5
_COLD_RESET, _WARM_RESET = (0x06, 0x02), (0x06, 0x03)


class Line:
    """The connection to one BMC: nothing, or a session that stays open between requests.

    ``resolving`` is true while the name resolver, which knows no deadline, has the thread.
    """

    def __init__(self) -> None:
        self.session: LanSession | None = None
        self.resolving = False

    def close(self) -> None:
        """Ends the session, if there is one, without waiting for the BMC."""
        session, self.session = self.session, None
        if session is not None:
            session.close()

    def perform(
        self, request: Request, until: float, effort: float, sending: Callable[[], None]
    ) -> tuple[bytes, ...]:
        """Runs the steps of ``request``, at the latest until ``until`` (monotonic).

        ``effort`` limits a log-in, in seconds. ``sending`` is called before the
        first packet that must not be repeated in another session. Raises
        ExchangeFailed.
        """
        if self.session is not None and self.session.target != request.target:
            self.close()
        warm = self.session is not None
        while True:
            attempt = _Attempt(self, request, until, effort, sending)
            try:
                return attempt.run(probe=warm and request.repeat != "always")
            except SessionSilent as silence:
                self.close()
                if attempt.committed or not warm:
                    raise _no_answer(request, attempt, silence) from None
                warm = False


class _Attempt:
    """One try of a request within one session."""

    def __init__(
        self,
        line: Line,
        request: Request,
        until: float,
        effort: float,
        sending: Callable[[], None],
    ) -> None:
        self._line, self._request, self._until, self._effort = line, request, until, effort
        self._sending = sending
        self.committed = False

    def run(self, probe: bool) -> tuple[bytes, ...]:
        session = self._session()
        if probe:
            # A session that the BMC has forgotten looks like a lost answer. A
            # harmless question first keeps the two apart.
            session.exchange(GET_DEVICE_ID, resend=True, until=self._until)
        if self._request.repeat != "always":
            self._sending()
            self.committed = True
        return tuple(self._step(session, step) for step in self._request.steps)

    def _session(self) -> LanSession:
        line, target = self._line, self._request.target
        if line.session is None:
            line.resolving = True
            addresses = resolve(target)
            line.resolving = False
            line.session = log_in(
                target, addresses, min(self._until, time.monotonic() + self._effort)
            )
        return line.session

    def _step(self, session: LanSession, step: Step) -> bytes:
        resend = self._request.repeat != "never"
        for retry in range(_BUSY_RETRIES + 1):
            code, data = session.exchange(step, resend=resend, until=self._until)
            last = retry == _BUSY_RETRIES or time.monotonic() + _BUSY_PAUSE > self._until
            if code != codes.BUSY or last:
                break
            time.sleep(_BUSY_PAUSE)
        if (step.netfn, step.command) in (_COLD_RESET, _WARM_RESET):
            self._line.close()
        if code == 0:
            return data
        if code in step.tolerate:
            return b""
        raise ExchangeFailed("code", codes.completion(code, step.netfn, step.command))


def _no_answer(request: Request, attempt: _Attempt, silence: SessionSilent) -> ExchangeFailed:
    waited = f"nothing came back in {silence.waited:.1f} s after the log-in had worked"
    if attempt.committed:
        return ExchangeFailed("unknown", f"{waited}; whether the BMC did it is not known")
    return ExchangeFailed("unreachable", waited)
