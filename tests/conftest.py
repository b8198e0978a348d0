"""How much the fuzz tests try: the same in every run of CI, far more on demand."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

_SLOW = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile(
    "quick", max_examples=100, derandomize=True, deadline=None, suppress_health_check=_SLOW
)
settings.register_profile("long", max_examples=3000, deadline=None, suppress_health_check=_SLOW)
settings.load_profile("quick")
