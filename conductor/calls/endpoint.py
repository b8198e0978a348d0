"""The bus endpoint of topic "conductor": all of its parts as one object."""

from __future__ import annotations

from conductor.calls.console import ConsoleCalls
from conductor.calls.management import ManagementCalls
from conductor.calls.plan import PlanCalls
from conductor.calls.raid import RaidCalls
from conductor.calls.validation import ValidationCalls
from conductor.calls.vendor import VendorCalls
from conductor.calls.vifs import VifCalls
from conductor.service import Service


class Endpoint(
    Service,
    PlanCalls,
    ValidationCalls,
    ManagementCalls,
    ConsoleCalls,
    RaidCalls,
    VifCalls,
    VendorCalls,
):
    """Each public method is one call that the API can make."""
