"""Vendor methods over the bus: listed, checked, answered, done behind the answer."""

from __future__ import annotations

from typing import Any

import pytest

from drophammer.errors import HardwareError, Invalid, NodeLocked, NotFound
from drophammer.store import Holder


def call(scene: Any, method: str, /, **arguments: Any) -> Any:
    return scene.bus.call("conductor", method, **arguments)


def vendor(scene: Any, node_id: int, method: str, verb: str = "POST", /, **arguments: Any) -> Any:
    return call(
        scene,
        "vendor_call",
        node_id=node_id,
        method=method,
        http_method=verb,
        arguments=arguments,
    )


@pytest.fixture
def node_id(scene: Any) -> int:
    scene.start()
    return int(scene.node("manageable"))


def test_the_methods_of_a_node_are_listed_with_all_that_clients_read(
    scene: Any, node_id: int
) -> None:
    found = call(scene, "vendor_methods", node_id=node_id)
    assert set(found) >= {"first_method", "third_method_sync", "fourth_method_shared_lock"}
    for method in found.values():
        assert set(method) == {
            "http_methods",
            "async",
            "description",
            "attach",
            "require_exclusive_lock",
        }
    assert found["first_method"]["async"] is True
    assert found["third_method_sync"]["async"] is False
    assert found["fourth_method_shared_lock"]["require_exclusive_lock"] is False


def test_a_waited_for_method_answers_its_result(scene: Any, node_id: int) -> None:
    answer = vendor(scene, node_id, "third_method_sync", bar="meow")
    assert answer == {"async": False, "result": True, "attach": False}
    answer = vendor(scene, node_id, "echo", "DELETE", a=1, password="x")
    assert answer["result"] == {"method": "DELETE", "arguments": {"a": 1, "password": "******"}}
    assert vendor(scene, node_id, "report", "GET")["attach"] is True


def test_a_method_behind_the_answer_holds_the_node_meanwhile(scene: Any) -> None:
    scene.start(fake_delays={"vendor": (0.5, 0.5)})
    node_id = scene.node("manageable")
    answer = vendor(scene, node_id, "first_method", bar="baz")
    assert answer == {"async": True, "result": None, "attach": False}
    with pytest.raises(NodeLocked, match="first_method"):
        vendor(scene, node_id, "second_method", bar="kazoo")
    scene.until(node_id, lambda node: node.lease_owner is None)


@pytest.mark.parametrize(
    ("method", "verb", "arguments", "said"),
    [
        ("first_method", "POST", {"bar": "bar"}, "must be 'baz'"),
        ("first_method", "GET", {"bar": "baz"}, "takes POST, not GET"),
        ("tenth_method", "POST", {}, "no vendor method 'tenth_method'.*first_method"),
    ],
)
def test_a_wrong_call_is_refused_before_anything_happens(
    scene: Any, node_id: int, method: str, verb: str, arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(Invalid, match=said):
        vendor(scene, node_id, method, verb, **arguments)
    assert scene.get(node_id).lease_owner is None


def test_a_held_node_takes_no_calls_but_shared_ones(scene: Any, node_id: int) -> None:
    with scene.store.write() as session:
        scene.store.reserve(session, node_id, Holder("other", "host-b"), "rescue")
    with pytest.raises(NodeLocked):
        vendor(scene, node_id, "third_method_sync", bar="meow")
    assert vendor(scene, node_id, "fourth_method_shared_lock", bar="woof")["async"] is True


def test_a_fault_reaches_the_caller_that_waits_and_frees_the_node(scene: Any) -> None:
    scene.start()
    node_id = scene.node("manageable", driver_info={"fake_fault": {"vendor": "no answer"}})
    with pytest.raises(HardwareError, match="fake vendor interface failed: no answer"):
        vendor(scene, node_id, "third_method_sync", bar="meow")
    assert scene.get(node_id).lease_owner is None


def test_a_node_without_vendor_methods_says_so(scene: Any) -> None:
    scene.start()
    node_id = scene.node("manageable", vendor_interface="no-vendor")
    assert call(scene, "vendor_methods", node_id=node_id) == {}
    with pytest.raises(Invalid, match="there are none"):
        vendor(scene, node_id, "first_method", bar="baz")


def test_a_hardware_type_has_methods_of_its_own(scene: Any) -> None:
    scene.start()
    fake = {"driver": "fake-hardware"}
    assert set(call(scene, "driver_vendor_methods", **fake)) == {"echo", "ignore"}
    arguments = {"arguments": {"a": 1}}
    answer = call(
        scene, "driver_vendor_call", **fake, method="echo", http_method="PUT", **arguments
    )
    assert answer["result"] == {"method": "PUT", "arguments": {"a": 1}}
    answer = call(
        scene, "driver_vendor_call", **fake, method="ignore", http_method="POST", **arguments
    )
    assert answer["async"] is True
    with pytest.raises(NotFound, match="toaster could not be found"):
        call(scene, "driver_vendor_methods", driver="toaster")


@pytest.mark.parametrize(
    ("method", "arguments", "said"),
    [
        ("send_raw", {}, "raw_bytes: expected"),
        ("send_raw", {"raw_bytes": "0x06"}, "at least two numbers"),
        ("send_raw", {"raw_bytes": "0x06 zz"}, "raw_bytes: expected"),
        ("send_raw", {"raw_bytes": "6 300"}, "fits no byte"),
        ("send_raw", {"raw_bytes": "0x07 1"}, "netfn 7 is not a request"),
        ("bmc_reset", {"warm": "lukewarm"}, "neither true nor false"),
        ("bmc_reset", {"cold": True}, "Unknown arguments cold"),
    ],
)
def test_ipmi_methods_check_their_arguments_at_once(
    scene: Any, method: str, arguments: dict[str, Any], said: str
) -> None:
    scene.start()
    node_id = scene.node("active", driver_info={"ipmi_address": "127.0.0.1"})
    with scene.store.write() as session:
        session.get_one(type(scene.get(node_id)), node_id).driver = "ipmi"
    with pytest.raises(Invalid, match=said):
        vendor(scene, node_id, method, **arguments)
    assert scene.get(node_id).lease_owner is None
