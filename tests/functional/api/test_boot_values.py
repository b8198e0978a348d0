"""What ends up in a boot file is refused when it is written, with the position of what is wrong."""

from __future__ import annotations

import pytest

FIELDS = [
    "driver_info/deploy_kernel",
    "driver_info/deploy_ramdisk",
    "driver_info/rescue_kernel",
    "driver_info/rescue_ramdisk",
    "instance_info/kernel",
    "instance_info/ramdisk",
    "instance_info/root_image",
]
WORDS = ["driver_info/kernel_append_params", "instance_info/kernel_append_params"]
# What begins a new line, ends a text, or means something to iPXE, GRUB, pxelinux, Jinja or tgt.
EVIL = [
    "\n",
    "\r",
    '"',
    "'",
    "`",
    "${net0/mac}",
    "$(id)",
    "{{7*7}}",
    "</target>",
    "\\",
    "\u2028",
    "\u2029",
    "\u0085",
    "\u00a0",
    " ",
]


def refused(api, field: str, value: object) -> str:
    group, name = field.split("/")
    answer = api.post("/v1/nodes", {"driver": "fake-hardware", group: {name: value}})
    assert answer.status_code == 400, value
    fault: str = api.fault(answer)
    assert field in fault
    return fault


@pytest.mark.parametrize("field", FIELDS)
def test_a_url_that_speaks_a_boot_loaders_language_is_refused(api, field: str) -> None:
    good = "resource:///ubuntu/amd64/generic/xenial/daily/boot"
    for evil in EVIL:
        assert f"position {len(good)} " in refused(api, field, good + evil + "kernel"), evil


@pytest.mark.parametrize("field", WORDS)
def test_a_kernel_parameter_that_does_is_refused(api, field: str) -> None:
    for evil in EVIL:
        if evil != " ":
            assert "position 9 " in refused(api, field, f"quiet a=b{evil}c"), evil


@pytest.mark.parametrize("field", FIELDS + WORDS)
def test_it_is_refused_in_whatever_way_it_is_written(api, field: str) -> None:
    group, name = field.split("/")
    api.node(name="kept")
    fault = refused(api, field, "a\nshell")
    for operation, path, value in (
        ("add", f"/{field}", "a\nshell"),
        ("replace", f"/{group}", {name: "a\nshell"}),
    ):
        change = [{"op": operation, "path": path, "value": value}]
        answer = api.patch("/v1/nodes/kept", change)
        assert answer.status_code == 400
        assert api.fault(answer) == fault
    assert name not in api.get("/v1/nodes/kept").json[group]


def test_a_nul_character_is_refused_wherever_it_is(api) -> None:
    info = {"kernel": "file:///boot/\0kernel"}
    answer = api.post("/v1/nodes", {"driver": "fake-hardware", "instance_info": info})
    assert answer.status_code == 400


@pytest.mark.parametrize("field", FIELDS)
def test_a_url_that_leads_upwards_is_refused(api, field: str) -> None:
    for up in ("..", "%2e%2e", ".%2E"):
        assert f"'{up}' at position 12 " in refused(api, field, f"resource:///{up}/etc/passwd")


@pytest.mark.parametrize("field", FIELDS + WORDS)
def test_ten_kilobytes_are_refused(api, field: str) -> None:
    fault = refused(api, field, "resource:///" + "x" * 10_240 if field in FIELDS else "x" * 10_240)
    assert "characters" in fault
    assert len(fault) < 1000


@pytest.mark.parametrize("field", FIELDS)
def test_what_is_no_text_is_refused(api, field: str) -> None:
    for value in (1, True, ["x"], {"a": 1}):
        assert "expected a text" in refused(api, field, value)


def test_boot_resources_and_other_urls_are_taken(api) -> None:
    image = "resource:///ubuntu/arm64/hwe-16.04-edge/xenial/daily"
    info = {name: f"{image}/{name}" for name in ("kernel", "ramdisk", "root_image")}
    made = api.post("/v1/nodes", {"driver": "fake-hardware", "instance_info": info})
    assert made.status_code == 201
    assert made.json["instance_info"] == info
