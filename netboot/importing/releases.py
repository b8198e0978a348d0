"""Which releases of Ubuntu and Debian are supported, and which is the stable one.

From the package distro-info-data where it is installed; else from the table below, which
was true when this version was made.
"""

from __future__ import annotations

import csv
import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DATA = Path("/usr/share/distro-info")
_LARGEST = 1 << 20

_BUILT_IN = {
    "ubuntu": """\
version,series,created,release,eol,eol-server
22.04 LTS,jammy,2021-10-14,2022-04-21,2027-06-01,2027-06-01
24.04 LTS,noble,2023-10-12,2024-04-25,2029-05-31,2029-05-31
25.10,questing,2025-04-17,2025-10-09,2026-07-09,
26.04 LTS,resolute,2025-10-09,2026-04-23,2031-05-29,2031-05-29
""",
    "debian": """\
version,series,created,release,eol
11,bullseye,2019-07-06,2021-08-14,2024-08-14
12,bookworm,2021-08-14,2023-06-10,2026-07-11
13,trixie,2023-06-10,2025-08-09,2028-08-09
14,forky,2025-08-09,,
""",
}


@dataclass(frozen=True)
class Release:
    """One release; a date that is not known yet is None."""

    series: str
    created: datetime.date
    released: datetime.date | None
    eol: datetime.date | None


def supported(system: str, today: datetime.date | None = None, data: Path = DATA) -> list[str]:
    """Series that are maintained today, the one in development included, oldest first."""
    day = today or datetime.datetime.now(datetime.UTC).date()
    return [
        release.series
        for release in _releases(system, data)
        if release.created <= day and (release.eol is None or day <= release.eol)
    ]


def stable(system: str, today: datetime.date | None = None, data: Path = DATA) -> str:
    """The series that was released last."""
    day = today or datetime.datetime.now(datetime.UTC).date()
    out = [
        (release.released, release.series)
        for release in _releases(system, data)
        if release.released is not None and release.released <= day
    ]
    return max(out)[1]


def _releases(system: str, data: Path) -> list[Release]:
    """From the installed data if there is some that can be read, else from the table."""
    try:
        with (data / f"{system}.csv").open(encoding="utf-8") as file:
            found = list(_rows(file.read(_LARGEST)))
    except (OSError, ValueError):
        found = []
    if not any(release.released for release in found):
        found = list(_rows(_BUILT_IN[system]))
    return sorted(found, key=lambda release: release.created)


def _rows(text: str) -> Iterator[Release]:
    for row in csv.DictReader(text.splitlines()):
        # Without a version: sid and experimental, which are never released.
        if not row.get("version") or not row.get("series") or not row.get("created"):
            continue
        ends = [end for key in ("eol", "eol-server") if (end := _date(row.get(key)))]
        yield Release(
            series=str(row["series"]),
            created=datetime.date.fromisoformat(str(row["created"])),
            released=_date(row.get("release")),
            eol=max(ends, default=None),
        )


def _date(text: str | None) -> datetime.date | None:
    return datetime.date.fromisoformat(text) if text else None
