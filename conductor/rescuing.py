"""The password of a rescue system: kept with the node as long as the agent may ask for it.

Only its hash leaves this service. Both are masked wherever the node is shown.
"""

from __future__ import annotations

from typing import Any

import bcrypt

from drophammer.errors import Invalid
from drophammer.model import Node

PLAIN, HASHED = "rescue_password", "hashed_rescue_password"
# What a bcrypt hash is made of; whatever is longer would be cut off silently.
MAX_BYTES = 72
_ROUNDS = 10


def hashed(password: str) -> str:
    """The password as crypt(3) of the rescue system takes it. Raises Invalid when it cannot be."""
    data = password.encode("utf-8", "surrogatepass")
    if not password.strip() or len(data) > MAX_BYTES or b"\0" in data:
        raise Invalid(
            f"rescue_password must have between 1 and {MAX_BYTES} bytes, and not only blanks."
        )
    return bcrypt.hashpw(data, bcrypt.gensalt(_ROUNDS)).decode()


def with_password(node: Node, password: str, hash_: str) -> dict[str, Any]:
    """The columns of a node that is to be rescued."""
    return {"instance_info": {**node.instance_info, PLAIN: password, HASHED: hash_}}


def without_password(node: Node) -> dict[str, Any]:
    """The columns of a node whose rescue is over, well or not."""
    kept = {key: value for key, value in node.instance_info.items() if key not in (PLAIN, HASHED)}
    return {"instance_info": kept} if kept != node.instance_info else {}
