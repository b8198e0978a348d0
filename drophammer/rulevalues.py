"""What inspection rules may set on a node and its ports, and which values these take.

Nothing that tells where a node is in its life is here. Whether a driver and interfaces
that are set go together only the conductor can find out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table

from drophammer.errors import Invalid
from drophammer.identity import RESERVED, UNRESERVED, normal_uuid
from drophammer.model import INTERFACES, Node, Port

OBJECT, TEXT, FLAG = "object", "text", "flag"
_GROUP = re.compile(r"[a-z0-9_.-]{0,255}")
_LONGEST_TEXT = 4096


@dataclass(frozen=True)
class Settable:
    """The attributes of a kind of thing that rules may set, and of which kind they are."""

    noun: str
    kinds: Mapping[str, str]
    table: Table

    def kind(self, name: str) -> str:
        """Raises Invalid when rules cannot change ``name``."""
        if name not in self.kinds:
            raise Invalid(f"rules cannot change the attribute {name[:80]!r} of a {self.noun}")
        return self.kinds[name]

    def empty(self, name: str) -> Any:
        """What ``name`` is once it is unset. Raises Invalid when it cannot be."""
        if self.kind(name) == OBJECT:
            return {}
        if not self.table.c[name].nullable:
            raise Invalid(f"the attribute {name!r} of a {self.noun} cannot be unset")
        return None

    def checked(self, name: str, value: Any) -> Any:
        """The value as it is stored. Raises Invalid when ``name`` cannot be it."""
        kind = self.kind(name)
        if value is None and self.table.c[name].nullable:
            return None
        right = {
            OBJECT: isinstance(value, dict),
            TEXT: isinstance(value, str),
            FLAG: value in (True, False),
        }
        if not right[kind]:
            raise Invalid(f"the attribute {name!r} takes {'an' if kind == OBJECT else 'a'} {kind}")
        return self._checked_text(name, value) if isinstance(value, str) else value

    def _checked_text(self, name: str, value: str) -> str:
        longest = getattr(self.table.c[name].type, "length", None) or _LONGEST_TEXT
        if len(value) > longest:
            raise Invalid(
                f"the attribute {name!r} takes a text of at most {longest} characters, and this "
                f"one has {len(value)}"
            )
        if name == "conductor_group":
            value = value.lower()
            if not _GROUP.fullmatch(value):
                raise Invalid("a conductor group is made of letters, digits, '_', '.' and '-'")
        if name == "name" and not _possible_name(value):
            raise Invalid(
                f"{value[:80]!r} cannot be the name of a {self.noun}: a name is made of A-Z, a-z, "
                "0-9, '-', '.', '_' and '~', and is neither a UUID nor a word that URLs use"
            )
        return value


def _possible_name(text: str) -> bool:
    return bool(
        UNRESERVED.fullmatch(text)
        and text not in (".", "..")
        and text not in RESERVED
        and normal_uuid(text) is None
    )


NODE = Settable(
    "node",
    {
        "automated_clean": FLAG,
        "conductor_group": TEXT,
        "description": TEXT,
        "disable_power_off": FLAG,
        "driver": TEXT,
        "driver_info": OBJECT,
        "extra": OBJECT,
        "instance_info": OBJECT,
        "lessee": TEXT,
        "maintenance": FLAG,
        "maintenance_reason": TEXT,
        "name": TEXT,
        "network_data": OBJECT,
        "owner": TEXT,
        "properties": OBJECT,
        "resource_class": TEXT,
        "shard": TEXT,
        **{f"{kind}_interface": TEXT for kind in INTERFACES},
    },
    Node.metadata.tables[Node.__tablename__],
)
PORT = Settable(
    "port",
    {
        "category": TEXT,
        "description": TEXT,
        "extra": OBJECT,
        "is_smartnic": FLAG,
        "local_link_connection": OBJECT,
        "name": TEXT,
        "physical_network": TEXT,
        "pxe_enabled": FLAG,
        "vendor": TEXT,
    },
    Port.metadata.tables[Port.__tablename__],
)
