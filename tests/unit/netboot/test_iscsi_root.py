"""Kernel parameters of an iSCSI root, letter by letter, and what cannot be one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drophammer.bootspec import check_parameters
from drophammer.errors import Invalid
from netboot.boot.iscsiroot import IscsiRoot, parameters

IQN = (
    "iqn.2004-05.com.ubuntu:maas:ephemeral-ubuntu-amd64-generic-xenial-daily:"
    "snapshot-20260101-000000"
)
V4 = (
    f"iscsi_target_name={IQN}",
    "iscsi_target_ip=172.22.0.1",
    "iscsi_target_port=3260",
    "iscsi_initiator=iqn.2004-05.com.ubuntu:rack-1",
    "ip=::::rack-1:BOOTIF",
    "ro",
    f"root=/dev/disk/by-path/ip-172.22.0.1:3260-iscsi-{IQN}-lun-1",
    "overlayroot=tmpfs",
    "overlayroot_cfgdisk=disabled",
)
V6 = (
    f"iscsi_target_name={IQN}",
    "iscsi_target_ip=[fd00:22::1]",
    "iscsi_target_port=3260",
    "iscsi_initiator=iqn.2004-05.com.ubuntu:rack-1",
    "ip=off",
    "ip6=dhcp",
    "ro",
    f"root=/dev/disk/by-path/ip-[fd00:22::1]:3260-iscsi-{IQN}-lun-1",
    "overlayroot=tmpfs",
    "overlayroot_cfgdisk=disabled",
)


@pytest.mark.parametrize(("address", "words"), [("172.22.0.1", V4), ("fd00:22::1", V6)])
@pytest.mark.seed("s31", "s32")
def test_all_parameters_are_there_in_their_order(address: str, words: tuple[str, ...]) -> None:
    found = parameters(IscsiRoot(IQN, address, "rack-1"))
    assert found == words
    # They stand in boot files, whose grammar is stricter than the kernel's.
    assert check_parameters(" ".join(found), "root") == found


@pytest.mark.parametrize("address", ["172.22.0.1", "fd00:22::1"])
@pytest.mark.seed("s31")
def test_a_machine_configures_one_version_of_ip_only(address: str) -> None:
    found = parameters(IscsiRoot(IQN, address, "rack-1"))
    four = [word for word in found if word.startswith("ip=::::")]
    six = [word for word in found if word.startswith("ip6=")]
    assert sorted((len(four), len(six))) == [0, 1]
    assert ("ip=off" in found) == bool(six)


@pytest.mark.parametrize(
    ("iqn", "address", "host"),
    [
        (IQN + "\n", "172.22.0.1", "a"),
        (IQN + " x", "172.22.0.1", "a"),
        (IQN + "</target>", "172.22.0.1", "a"),
        ("iqn.2004-05.com.ubuntu:" + "x" * 10_240, "172.22.0.1", "a"),
        ("maas", "172.22.0.1", "a"),
        (IQN, "172.22.0.256", "a"),
        (IQN, "172.22.0.1 x", "a"),
        (IQN, "fe80::1%eth0", "a"),
        (IQN, "host.example", "a"),
        (IQN, "172.22.0.1", "a:b"),
        (IQN, "172.22.0.1", "a b"),
        (IQN, "172.22.0.1", "-a"),
        (IQN, "172.22.0.1", "a" * 64),
        (IQN, "172.22.0.1", ""),
        (IQN, "172.22.0.1", "a\u2028"),
    ],
)
def test_what_could_break_out_of_a_parameter_is_refused(iqn: str, address: str, host: str) -> None:
    with pytest.raises(Invalid):
        check_parameters(" ".join(parameters(IscsiRoot(iqn, address, host))), "root")


@given(host=st.text(max_size=70), iqn=st.text(max_size=60).map(IQN.__add__))
def test_whatever_passes_is_one_word_each(host: str, iqn: str) -> None:
    try:
        found = parameters(IscsiRoot(iqn, "172.22.0.1", host))
    except Invalid:
        return
    assert check_parameters(" ".join(found), "root") == found
