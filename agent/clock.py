"""Sets a clock that is far off by the conductor's ``Date`` header (RFC 9110 section 5.6.7).

A machine fresh from the factory may live in another year or time zone, and its
certificate would then not be valid yet. Seconds do not matter here; keeping time
is not this agent's work.
"""

from __future__ import annotations

import time

from agent.console import say

TOLERANCE_SECONDS = 30
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def parse_date(text: str) -> int | None:
    """Seconds since 1970 of an HTTP date such as "Sun, 06 Nov 1994 08:49:37 GMT", or None."""
    words = text.replace(":", " ").split()
    if len(words) != 8 or words[7] != "GMT" or words[2] not in _MONTHS:
        return None
    numbers = [words[1], words[3], *words[4:7]]
    if not all(number.isascii() and number.isdigit() and len(number) <= 4 for number in numbers):
        return None
    day, year, hour, minute, second = (int(number) for number in numbers)
    days = _days_since_1970(year, _MONTHS.index(words[2]) + 1, day)
    return ((days * 24 + hour) * 60 + minute) * 60 + second


def _days_since_1970(year: int, month: int, day: int) -> int:
    # Years that begin in March have their leap day last, which makes the months regular.
    year, month = (year, month - 3) if month > 2 else (year - 1, month + 9)
    leap_days = year // 4 - year // 100 + year // 400
    return 365 * year + leap_days + (153 * month + 2) // 5 + day - 1 - 719468


def correct(date: str) -> None:
    """Set the system clock to ``date`` when it is further off than the tolerance (root only)."""
    there = parse_date(date)
    if there is None or abs(there - time.time()) <= TOLERANCE_SECONDS:
        return
    try:
        off = there - time.time()
        time.clock_settime(time.CLOCK_REALTIME, there)
        say(f"clock: was {-off:+.0f} s off the conductor's, set")
    except OSError as error:
        say(f"clock: cannot be set: {error.strerror}")
