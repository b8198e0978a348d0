"""What [resources] says, checked once and frozen. Touches no file."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drophammer.errors import Invalid
from netboot.resources.targets import check_prefix
from netboot.resources.tree import Resources

# tgt's configuration has no way to quote.
_PATH = re.compile(r"/[A-Za-z0-9_./@+=,:-]*[A-Za-z0-9_]")


@dataclass(frozen=True)
class ResourceSettings:
    """All of [resources]. ``import_interval`` None: only when told to."""

    root: Path
    import_interval: float | None
    keep: datetime.timedelta
    target_prefix: str

    @classmethod
    def from_conf(cls, conf: Any) -> ResourceSettings:
        """Read and check the group. Raises Invalid, naming the option."""
        group = conf.resources
        if not _PATH.fullmatch(group.root):
            raise Invalid(
                f"[resources] root is {group.root!a}: give an absolute path of letters, digits "
                "and any of _ . / @ + = , : -"
            )
        return cls(
            root=Path(group.root),
            import_interval=group.import_interval or None,
            keep=datetime.timedelta(hours=group.keep_hours),
            target_prefix=check_prefix(group.target_prefix),
        )

    def resources(self) -> Resources:
        """The tree that this names."""
        return Resources(self.root, target_prefix=self.target_prefix)
