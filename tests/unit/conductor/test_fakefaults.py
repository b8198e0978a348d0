"""The grammar of the faults of fake hardware."""

from __future__ import annotations

import pytest

from conductor.fakefaults import Fault, parse
from drophammer.errors import BmcUnreachable, HardwareError, Invalid


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        ("no answer", Fault(1.0, HardwareError, "no answer")),
        ("0.25", Fault(0.25, HardwareError, "it was told to fail")),
        (0.25, Fault(0.25, HardwareError, "it was told to fail")),
        ("0.1 no answer.", Fault(0.1, HardwareError, "no answer")),
        ("0.5 BmcUnreachable: gone", Fault(0.5, BmcUnreachable, "gone")),
        (
            "Invalid: is no hardware error",
            Fault(1.0, HardwareError, "Invalid: is no hardware error"),
        ),
        ("", None),
        (None, None),
    ],
)
def test_a_fault_is_a_probability_an_error_and_a_text(told: object, fault: Fault | None) -> None:
    assert parse(told, "here") == fault


@pytest.mark.parametrize("told", ["2", "-1", "nan", True, [], {}])
def test_nonsense_is_refused_with_its_place(told: object) -> None:
    with pytest.raises(Invalid, match="here: "):
        parse(told, "here")


def test_a_probability_of_one_always_strikes_and_of_zero_never() -> None:
    with pytest.raises(BmcUnreachable, match="Node abc: the fake power interface failed: gone"):
        Fault(1.0, BmcUnreachable, "gone").strike("abc", "power")
    Fault(0.0, BmcUnreachable, "gone").strike("abc", "power")
