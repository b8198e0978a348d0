"""What Metal3's baremetal-operator does through gophercloud: a host from first to last."""

from __future__ import annotations

import uuid

import pytest

from tests.contract.api.gopher import Busy, Gopher, Refused, check_times, choose
from tests.contract.api.metal3 import CONFIG_DRIVE, IMAGE

IPMI = {
    "bios_interface": "no-bios",
    "boot_interface": "ipxe",
    "deploy_interface": "direct",
    "firmware_interface": "no-firmware",
    "inspect_interface": "agent",
    "management_interface": "ipmitool",
    "network_interface": "noop",
    "power_interface": "ipmitool",
    "raid_interface": "no-raid",
}


def test_the_endpoint_tells_one_version_and_does_not_redirect(gopher: Gopher) -> None:
    assert set(gopher.found) >= {"id", "status", "min_version", "version"}
    assert (gopher.found["id"], gopher.found["min_version"]) == ("v1", "1.1")
    assert choose(gopher.found["version"]) == 110


@pytest.mark.parametrize(("newest", "chosen"), [("1.89", 89), ("1.94", 93), ("1.109", 109)])
def test_an_older_service_is_spoken_to_in_its_version(newest: str, chosen: int) -> None:
    assert choose(newest) == chosen


def test_both_version_headers_agree_with_the_answers(gopher: Gopher) -> None:
    headers = gopher.call("GET", "/drivers").headers
    assert headers["X-OpenStack-Ironic-API-Version"] == f"1.{gopher.version}"
    assert headers["X-OpenStack-Ironic-API-Minimum-Version"] == "1.1"


def test_readiness_is_a_driver(gopher: Gopher) -> None:
    assert "fake-hardware" in [driver["name"] for driver in gopher.get("/drivers")["drivers"]]


def test_a_host_is_registered_once(gopher: Gopher, register) -> None:
    mac = ":".join(["52:54", *(uuid.uuid4().hex[i : i + 2] for i in range(4))])
    query = f"/ports?address={mac}&fields=node_uuid,uuid,address"
    assert gopher.get(query)["ports"] == []
    ident = register()
    port = {"node_uuid": ident, "address": mac.upper(), "pxe_enabled": True}
    made = gopher.call("POST", "/ports", port).body
    check_times(made, ("created_at", "updated_at"))
    (found,) = gopher.get(query)["ports"]
    assert (found["node_uuid"], found["uuid"]) == (ident, made["uuid"])
    assert [one["uuid"] for one in gopher.get(f"/ports?node_uuid={ident}")["ports"]] == [
        made["uuid"]
    ]
    with pytest.raises(Busy):
        gopher.call("POST", "/ports", port)
    name = gopher.node(ident)["name"]
    assert gopher.node(name)["uuid"] == ident
    with pytest.raises(Busy):
        gopher.call("POST", "/nodes", {"driver": "fake-hardware", "name": name})


def test_a_host_with_an_ipmi_controller_is_registered(gopher: Gopher, register) -> None:
    address = {"ipmi_address": "192.0.2.7", "ipmi_port": 6230, "ipmi_verify_ca": False}
    login = {"ipmi_username": "admin", "ipmi_password": "secret", "ipmi_priv_level": "OPERATOR"}
    ident = register(driver="ipmi", driver_info={**address, **login}, **IPMI)
    node = gopher.node(ident)
    assert {name: node[name] for name in IPMI} == IPMI
    assert node["driver_info"]["ipmi_password"] == "******"
    told = gopher.get(f"/nodes/{ident}/validate")
    assert (told["power"]["result"], told["deploy"]["result"]) == (True, False)
    assert "image_source" in told["deploy"]["reason"]
    # A live system and an agent of the user's own are other ways to deploy.
    for way in ("ramdisk", "custom-agent", "direct"):
        changed = gopher.patch(ident, ("replace", "/deploy_interface", way))
        assert changed["deploy_interface"] == way


def test_a_driver_that_is_not_enabled_is_named(gopher: Gopher) -> None:
    with pytest.raises(Refused, match="no-such-driver") as refused:
        gopher.call("POST", "/nodes", {"driver": "no-such-driver"})
    assert refused.value.status == 400


def test_capacity_is_counted_from_a_list_of_fields(gopher: Gopher, register) -> None:
    ident = register()
    fields = "uuid,name,provision_state,boot_interface"
    shown = {node["uuid"]: node for node in gopher.get(f"/nodes?fields={fields}")["nodes"]}
    assert set(shown[ident]) == {*fields.split(","), "links"}


def test_a_change_adds_below_parents_that_are_empty(gopher: Gopher, register) -> None:
    ident = register(driver_info={})
    changed = gopher.patch(
        ident,
        ("add", "/instance_info/image_source", "http://x.example/i"),
        ("add", "/driver_info/ipmi_address", "192.0.2.1"),
        ("add", "/driver_info/deploy_ramdisk", "http://x.example/r"),
        ("add", "/properties/root_device", {"name": "s== /dev/sda"}),
        ("replace", "/automated_clean", True),
        ("replace", "/deploy_interface", "fake"),
    )
    assert changed["instance_info"] == {"image_source": "http://x.example/i"}
    assert changed["driver_info"]["ipmi_address"] == "192.0.2.1"
    assert changed["properties"]["root_device"] == {"name": "s== /dev/sda"}
    assert changed["automated_clean"] is True
    changed = gopher.patch(
        ident,
        ("remove", "/instance_info/image_source"),
        ("replace", "/automated_clean", False),
        ("replace", "/driver_info", {"ipmi_password": "other"}),
    )
    assert (changed["instance_info"], changed["automated_clean"]) == ({}, False)
    assert changed["driver_info"] == {"ipmi_password": "******"}
    assert gopher.patch(ident)["driver_info"] == {"ipmi_password": "******"}


def test_inspection_fills_an_inventory_of_go_types(gopher: Gopher, manageable: str) -> None:
    gopher.ask(manageable, "inspect")
    node = gopher.until(manageable, "manageable")
    assert node["inspection_finished_at"] is not None
    told = gopher.get(f"/nodes/{manageable}/inventory")
    inventory = told["inventory"]
    assert isinstance(told["plugin_data"], dict)
    assert isinstance(inventory["cpu"]["frequency"], str)
    assert isinstance(inventory["cpu"]["count"], int)
    assert isinstance(inventory["memory"]["physical_mb"], int)
    assert all(isinstance(disk["size"], int) for disk in inventory["disks"])
    assert all(isinstance(nic["speed_mbps"], int) for nic in inventory["interfaces"])


def test_a_host_that_was_not_inspected_has_no_inventory(gopher: Gopher, manageable: str) -> None:
    with pytest.raises(Refused) as refused:
        gopher.get(f"/nodes/{manageable}/inventory")
    assert refused.value.status == 404


def test_a_host_lives_from_deployment_to_deletion(gopher: Gopher, active: str) -> None:
    node = gopher.node(active)
    assert (node["power_state"], node["instance_info"]["configdrive"]) == ("power on", "******")
    gopher.power(active, "power off", "power off")
    gopher.power(active, "power on", "power on")
    gopher.until_free(
        "PUT", f"/nodes/{active}/states/power", {"target": "soft power off", "timeout": 30}
    )
    gopher.power(active, "rebooting", "power on")
    gopher.patch(active, ("replace", "/automated_clean", False))
    gopher.ask(active, "deleted")
    node = gopher.until(active, "available")
    assert (node["instance_uuid"], node["instance_info"]) == (None, {})
    gopher.ask(active, "manage")
    gopher.until(active, "manageable")


def test_an_image_is_changed_by_a_second_deployment(gopher: Gopher, active: str) -> None:
    gopher.patch(active, ("replace", "/instance_info/image_source", "http://x.example/second"))
    gopher.ask(active, "rebuild", configdrive=CONFIG_DRIVE)
    gopher.until(active, "active")


def test_a_host_with_a_system_is_adopted(gopher: Gopher, manageable: str) -> None:
    gopher.patch(manageable, ("add", "/instance_info/image_source", IMAGE["image_source"]))
    gopher.ask(manageable, "adopt")
    gopher.until(manageable, "active")


def test_a_verb_in_the_wrong_state_is_an_error_and_not_busy(gopher: Gopher, register) -> None:
    ident = register()
    with pytest.raises(Refused, match=r"provide.*enroll") as refused:
        gopher.call("PUT", f"/nodes/{ident}/states/provision", {"target": "provide"})
    assert refused.value.status == 400


def test_maintenance_says_why(gopher: Gopher, register) -> None:
    ident = register()
    gopher.call("PUT", f"/nodes/{ident}/maintenance", {"reason": "detached"})
    node = gopher.node(ident)
    assert (node["maintenance"], node["maintenance_reason"]) == (True, "detached")
    gopher.call("DELETE", f"/nodes/{ident}/maintenance", code=202)
    assert gopher.node(ident)["maintenance"] is False
