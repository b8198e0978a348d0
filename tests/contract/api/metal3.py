"""What Metal3's baremetal-operator says to a service about a host, in whole actions."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.contract.api.gopher import Gopher, Refused

KINDS = {
    f"{kind}_interface": "fake"
    for kind in ("bios", "boot", "deploy", "firmware", "inspect", "management", "power", "raid")
}
IMAGE = {
    "image_source": "http://images.example/ubuntu.qcow2",
    "image_os_hash_algo": "sha256",
    "image_os_hash_value": "0" * 64,
    "image_disk_format": "qcow2",
}
CONFIG_DRIVE = {
    "meta_data": {"name": "worker-0"},
    "network_data": {"links": [], "networks": [], "services": []},
    "user_data": "#cloud-config\n",
}


def register(gopher: Gopher, **more: Any) -> str:
    """Make known a host, as the operator does when it is new to it."""
    name = f"metal3~{uuid.uuid4().hex[:8]}"
    body = {
        "driver": "fake-hardware",
        "name": name,
        "driver_info": {"deploy_kernel": "http://x.example/k", "ipmi_password": "secret"},
        "properties": {"capabilities": "boot_mode:uefi", "cpu_arch": "x86_64"},
        **KINDS,
        **more,
    }
    if gopher.version >= 95:
        body["disable_power_off"] = False
    node = gopher.call("POST", "/nodes", body).body
    assert (node["name"], node["provision_state"]) == (name, "enroll")
    return str(node["uuid"])


def remove(gopher: Gopher, ident: str) -> None:
    """Delete a host whatever it is doing: maintenance makes that possible."""
    path = f"/nodes/{ident}"
    gopher.until_free("PUT", f"{path}/maintenance", {"reason": "the host is deleted"})
    gopher.until_free("DELETE", path)
    with pytest.raises(Refused) as refused:
        gopher.get(path)
    assert refused.value.status == 404


def provide(gopher: Gopher, ident: str) -> None:
    gopher.ask(ident, "provide")
    gopher.until(ident, "available")


def deploy(gopher: Gopher, ident: str) -> dict[str, Any]:
    image = [("add", f"/instance_info/{name}", value) for name, value in IMAGE.items()]
    gopher.patch(
        ident,
        ("add", "/instance_uuid", str(uuid.uuid4())),
        ("add", "/instance_info/capabilities", {"boot_option": "local"}),
        *image,
    )
    told = gopher.get(f"/nodes/{ident}/validate")
    assert (told["boot"]["result"], told["deploy"]["result"]) == (True, True)
    assert all(isinstance(one["result"], bool | None) for one in told.values())
    assert all(isinstance(one.get("reason"), str | None) for one in told.values())
    gopher.ask(ident, "active", configdrive=CONFIG_DRIVE)
    return gopher.until(ident, "active")
