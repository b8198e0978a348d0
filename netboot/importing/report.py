"""How an import ended, and how far one is: for the API, the command line and events."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Failure:
    """What could not be had: a file, or all of a source when ``path`` is empty."""

    source: str
    path: str
    message: str

    def __str__(self) -> str:
        what = f"{self.path} of {self.source}" if self.path else f"source {self.source}"
        return f"{what}: {self.message}"


@dataclass
class Report:
    """What one run has done. ``changed``: there is a new snapshot."""

    snapshot: str | None = None
    changed: bool = False
    files: int = 0
    bytes: int = 0
    failures: list[Failure] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything was had that sources promised."""
        return not self.failures

    def as_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)

    def __str__(self) -> str:
        new = f"snapshot {self.snapshot} is current" if self.changed else "nothing new"
        text = f"{new}; {self.files} files fetched ({self.bytes / 1e6:.1f} MB)"
        if self.failures:
            text += f"; {len(self.failures)} failed, first {self.failures[0]}"
        return text
