"""What Metal3's baremetal-operator does to the hardware of a host through gophercloud."""

from __future__ import annotations

from tests.contract.api.gopher import Gopher, check_times
from tests.contract.api.metal3 import IMAGE, provide

RAID = {"logical_disks": [{"size_gb": 50, "raid_level": "1", "is_root_volume": True}]}


def test_raid_is_built_by_cleaning(gopher: Gopher, manageable: str) -> None:
    gopher.until_free("PUT", f"/nodes/{manageable}/states/raid", RAID, 204)
    assert gopher.node(manageable)["target_raid_config"] == RAID
    steps = [
        {"interface": "raid", "step": "delete_configuration"},
        {"interface": "raid", "step": "create_configuration"},
    ]
    gopher.ask(manageable, "clean", clean_steps=steps)
    node = gopher.until(manageable, "manageable")
    (disk,) = node["raid_config"]["logical_disks"]
    assert (disk["size_gb"], disk["raid_level"]) == (50, "1")
    gopher.until_free("PUT", f"/nodes/{manageable}/states/raid", {}, 204)
    assert gopher.node(manageable)["target_raid_config"] == {}


def test_bios_settings_are_read_and_written(gopher: Gopher, manageable: str) -> None:
    path = f"/nodes/{manageable}/bios?detail=true"
    settings = {one["name"]: one for one in gopher.get(path)["bios"]}
    detail = settings["ProcVirtualization"]
    check_times(detail, ("created_at", "updated_at"))
    assert (detail["value"], detail["attribute_type"]) == ("Enabled", "Enumeration")
    assert detail["allowable_values"] == ["Enabled", "Disabled"]
    assert isinstance(detail["reset_required"], bool)
    wanted = [{"name": "ProcVirtualization", "value": "Disabled"}]
    step = {"interface": "bios", "step": "apply_configuration", "args": {"settings": wanted}}
    gopher.ask(manageable, "clean", clean_steps=[step])
    gopher.until(manageable, "manageable")
    settings = {one["name"]: one["value"] for one in gopher.get(path)["bios"]}
    assert settings["ProcVirtualization"] == "Disabled"


def test_firmware_is_updated(gopher: Gopher, manageable: str) -> None:
    path = f"/nodes/{manageable}/firmware"
    before = {one["component"]: one for one in gopher.get(path)["firmware"]}
    check_times(before["bmc"], ("created_at", "updated_at"))
    wanted = [{"component": "bmc", "url": "http://x.example/bmc-2.7.bin"}]
    step = {"interface": "firmware", "step": "update", "args": {"settings": wanted}}
    gopher.ask(manageable, "clean", clean_steps=[step])
    gopher.until(manageable, "manageable")
    after = {one["component"]: one for one in gopher.get(path)["firmware"]}
    assert after["bmc"]["current_version"] == "2.7"
    assert after["bmc"]["initial_version"] == before["bmc"]["current_version"]


def test_a_deployed_host_is_serviced(gopher: Gopher, active: str) -> None:
    step = {"interface": "bios", "step": "factory_reset"}
    gopher.ask(active, "service", service_steps=[step])
    gopher.until(active, "active")


def test_service_that_is_held_is_aborted(gopher: Gopher, active: str) -> None:
    gopher.ask(active, "service", service_steps=[{"interface": "deploy", "step": "hold"}])
    gopher.until(active, "service hold")
    gopher.ask(active, "abort")
    node = gopher.until(active, "active", failing=True)
    assert "abort" in node["last_error"].lower()
    assert node["maintenance"] is False


def test_service_that_failed_is_aborted(gopher: Gopher, active: str) -> None:
    gopher.patch(active, ("add", "/driver_info/fake_fault", {"bios": "no answer"}))
    step = {"interface": "bios", "step": "factory_reset"}
    gopher.ask(active, "service", service_steps=[step])
    node = gopher.until(active, "service failed", failing=True)
    assert "no answer" in node["last_error"]
    assert (node["maintenance"], node["fault"]) == (True, "service failure")
    gopher.patch(active, ("remove", "/driver_info/fake_fault"))
    gopher.until_free("DELETE", f"/nodes/{active}/maintenance", code=202)
    gopher.ask(active, "abort")
    gopher.until(active, "active", failing=True)


def test_a_deployment_that_waits_is_aborted_from_1_110(gopher: Gopher, manageable: str) -> None:
    provide(gopher, manageable)
    gopher.patch(manageable, ("add", "/instance_info/image_source", IMAGE["image_source"]))
    hold = {"interface": "deploy", "step": "hold", "priority": 90, "args": {}}
    gopher.ask(manageable, "active", deploy_steps=[hold])
    gopher.until(manageable, "deploy hold")
    gopher.ask(manageable, "abort")
    gopher.until(manageable, "deploy failed", failing=True)
    gopher.ask(manageable, "deleted")
    gopher.until(manageable, "available", failing=True)


def test_virtual_media_is_attached_and_detached(gopher: Gopher, register) -> None:
    ident = register()
    path = f"/nodes/{ident}/vmedia"
    body = {"device_type": "cdrom", "image_url": "http://x.example/config.iso"}
    gopher.until_free("POST", path, body, 204)
    if gopher.version >= 93:
        gopher.get(path)
    gopher.until_free("DELETE", f"{path}?device_types=cdrom", code=204)


def test_vendor_methods_are_named_in_the_query(gopher: Gopher, register) -> None:
    ident = register()
    path = f"/nodes/{ident}/vendor_passthru?method=echo"
    told = gopher.until_free("POST", path, {"Destination": "https://x.example/"}, 200).body
    assert told["arguments"] == {"Destination": "https://x.example/"}
    gopher.until_free("DELETE", path, {"id": "1"}, 200)
