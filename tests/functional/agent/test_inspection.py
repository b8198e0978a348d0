"""Sending inspection data to a conductor that is slow to take it."""

import pytest

from agent import inspection
from agent.cmdline import Options
from agent.errors import InspectionFailed

NO_PAUSE = (0.0, 0.0)


def options(conductor):
    return Options({"ipa-inspection-callback-url": f"{conductor.url}/v1/continue_inspection"})


@pytest.mark.parametrize("statuses", [[409], [500, 503], [502] * 4])
def test_passing_troubles_are_sat_out(conductor, statuses):
    conductor.inspection_statuses = list(statuses)
    assert inspection.send({}, options(conductor), NO_PAUSE) == conductor.node["uuid"]
    assert len(conductor.heard) == len(statuses) + 1


def test_after_five_attempts_it_is_over(conductor):
    conductor.inspection_statuses = [503] * 9
    with pytest.raises(InspectionFailed, match="503"):
        inspection.send({}, options(conductor), NO_PAUSE)
    assert len(conductor.heard) == 5


def test_a_dead_address_is_named():
    dead = Options({"ipa-inspection-callback-url": "http://127.0.0.1:9/x"})
    with pytest.raises(InspectionFailed, match=r"127\.0\.0\.1:9"):
        inspection.send({}, dead, NO_PAUSE)
