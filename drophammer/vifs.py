"""Where a VIF (a tenant's network interface) is noted: in the ``internal_info`` of what it is on.

The keys are those that clients and other services know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TENANT = "tenant_vif_port_id"
_KEYS = (TENANT, "cleaning_vif_port_id", "provisioning_vif_port_id")


def attached(internal_info: Mapping[str, Any]) -> bool:
    """Whether a port or port group with this ``internal_info`` carries any VIF."""
    return any(internal_info.get(key) for key in _KEYS)
