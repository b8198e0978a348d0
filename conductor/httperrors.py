"""What went wrong with an HTTP exchange, in words. Asks nothing, and knows no URL."""

from __future__ import annotations

import urllib3


def reason(error: Exception) -> str:
    """Why an exchange by urllib3 failed, as the operating system or TLS puts it.

    Without URLs, which may hold tokens, and without what urllib3 calls its own parts.
    """
    if isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason is not None:
        error = error.reason
    nearest = (error, *error.args, error.__cause__)
    inner = next((one for one in nearest if isinstance(one, OSError) and one.strerror), None)
    if inner is not None:
        return str(inner.strerror)
    if isinstance(error, urllib3.exceptions.TimeoutError | TimeoutError):
        return "no answer came in time"
    return str(error).rsplit(": ", 1)[-1].rstrip(".") or type(error).__name__


def never_arrived(error: Exception) -> bool:
    """Whether there was no connection to send anything over: whatever was asked is not done."""
    if isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason is not None:
        error = error.reason
    return isinstance(error, urllib3.exceptions.ConnectTimeoutError)
