"""Nothing that a boot loader would read as its own language gets into a boot file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drophammer.bootspec import BootSpec
from drophammer.errors import Invalid
from netboot.boot import grub, ipxe, pxelinux
from netboot.boot.grammar import check_spec

RENDERERS: list[Callable[[BootSpec], str]] = [
    lambda spec: ipxe.boot(spec, "http://172.22.0.1:8080"),
    lambda spec: pxelinux.boot(spec, "52:54:00:22:00:01"),
    lambda spec: grub.boot(spec, "52:54:00:22:00:01"),
]
ATTACKS = [
    "a\nshell",
    "a\rshell",
    "a=${net0/mac}",
    "a={{7*7}}",
    "a='; reboot; '",
    'a="b"',
    "a=`id`",
    "a=$(id)",
    "a=b\\",
    "a b",
    "a=b#c",
    "a=\u2028b",
    "a=\x00",
    "--name",
    "|| shell",
    "a=" + "x" * 10_240,
]


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("render", RENDERERS, ids=["ipxe", "pxelinux", "grub"])
def test_no_attack_gets_in_by_a_kernel_parameter(
    spec: BootSpec, render: Callable[[BootSpec], str], attack: str
) -> None:
    with pytest.raises(Invalid):
        render(replace(spec, parameters=("quiet", attack)))


@pytest.mark.parametrize("field", ["kernel", "ramdisk"])
@pytest.mark.parametrize(
    "url",
    [
        "file:///srv/a\nshell",
        "file:///srv/${net0/mac}",
        "file:///srv/a b",
        "file:///srv/a'b",
        "http://user:word@host/a",
        "ftp://host/a",
        "http://[::1/a",
        "",
        "file:///" + "x" * 10_240,
    ],
)
@pytest.mark.parametrize("render", RENDERERS, ids=["ipxe", "pxelinux", "grub"])
def test_no_attack_gets_in_by_a_url(
    spec: BootSpec, render: Callable[[BootSpec], str], field: str, url: str
) -> None:
    with pytest.raises(Invalid):
        render(replace(spec, **{field: url}))


@pytest.mark.parametrize(
    "change",
    [
        {"node_uuid": "a\nshell"},
        {"node_uuid": ""},
        {"purpose": "deploy\nshell"},
        {"purpose": "${x}"},
        {"loader": "lilo"},
        {"key": "../../etc"},
        {"key": "short"},
        {"key": "k3y abcdefgh"},
    ],
)
@pytest.mark.parametrize("render", RENDERERS, ids=["ipxe", "pxelinux", "grub"])
def test_no_attack_gets_in_by_another_field(
    spec: BootSpec, render: Callable[[BootSpec], str], change: dict[str, str]
) -> None:
    with pytest.raises(Invalid):
        render(replace(spec, **change))


@pytest.mark.parametrize("parameter", ["initrd=other", "BOOTIF=01-aa"])
def test_parameters_that_netboot_sets_itself_are_refused(spec: BootSpec, parameter: str) -> None:
    with pytest.raises(Invalid, match="set by netboot itself"):
        check_spec(replace(spec, parameters=(parameter,)))


def test_the_command_line_leaves_room_for_what_netboot_adds(spec: BootSpec) -> None:
    words = ("a=" + "x" * 1000, "b=" + "x" * 787)
    check_spec(replace(spec, parameters=words))
    with pytest.raises(Invalid, match="a kernel takes at most 1792"):
        check_spec(replace(spec, parameters=(*words, "c")))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(parameter=st.text(st.characters(max_codepoint=0x2100), max_size=40))
def test_a_parameter_is_refused_or_stands_as_one_plain_word(spec: BootSpec, parameter: str) -> None:
    for render in RENDERERS:
        plain = render(replace(spec, parameters=("x",)))
        try:
            text = render(replace(spec, parameters=(parameter,)))
        except Invalid:
            continue
        assert text.count("\n") == plain.count("\n")
        assert not set(parameter) & set("\n\r\0'\"`$\\{}() \t#|<>*")
