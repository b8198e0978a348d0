"""Which conductors are asked about a node or a driver."""

from __future__ import annotations

from api.reach import of_driver, of_node
from drophammer.hardware import Snapshot


def test_any_conductor_of_the_group_will_do_where_all_have_the_driver() -> None:
    found = Snapshot((("a", "", {"ipmi": {}}), ("b", "", {"ipmi": {}}), ("c", "rack9", {})))
    assert of_node(found, "ipmi", "") == "conductor"


def test_a_group_has_an_address_of_its_own() -> None:
    found = Snapshot((("a", "", {"ipmi": {}}), ("b", "rack9", {"ipmi": {}})))
    assert of_node(found, "ipmi", "rack9") == "conductor.rack9"


def test_where_not_all_have_the_driver_one_that_has_it_is_named() -> None:
    found = Snapshot((("a", "", {"ipmi": {}}), ("b", "", {"manual-management": {}})))
    assert of_node(found, "ipmi", "") == "conductor@a"
    assert of_driver(found, "manual-management") == "conductor@b"


def test_a_group_of_which_nobody_is_alive_is_asked_all_the_same() -> None:
    # The bus says that nobody is there; another group's conductors are not to do it.
    found = Snapshot((("a", "", {"ipmi": {}}),))
    assert of_node(found, "ipmi", "rack9") == "conductor.rack9"
    assert of_driver(Snapshot(()), "ipmi") == "conductor"
