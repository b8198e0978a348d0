"""Starting, preparing, stopping: what a NetbootServer says when something is in its way."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from drophammer.bus import LocalBus
from drophammer.errors import Forbidden, Invalid, NotFound, Unavailable
from netboot.server import NetbootServer
from tests.patience import AT_ONCE

MAC = "52:54:00:22:00:01"

Get = Callable[[NetbootServer, str], tuple[int, bytes]]


def test_a_taken_http_port_is_named(deployment: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(Unavailable, match=rf"HTTP.*127\.0\.0\.1 port {port}.*http_port"):
            deployment.server(http_port=port).start()


def test_a_taken_tftp_port_is_named(deployment: Any) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        with pytest.raises(Unavailable, match=rf"TFTP.*127\.0\.0\.1 port {port}.*tftp_port"):
            deployment.server(tftp_port=port).start()


def test_an_address_of_another_host_is_named(deployment: Any) -> None:
    with pytest.raises(Unavailable, match=r"192\.0\.2\.7 .*no such address"):
        deployment.server(address="192.0.2.7").start()


def test_a_missing_network_namespace_is_named(deployment: Any) -> None:
    with pytest.raises(Unavailable, match="no-such-ns"):
        deployment.server(network_namespace="no-such-ns").start()


def test_a_missing_dnsmasq_is_named_and_nothing_keeps_running(deployment: Any) -> None:
    before = threading.active_count()
    server = deployment.server(
        address="127.0.0.1",
        interface="lo",
        dhcp_enabled=True,
        dhcp_netmask="255.255.255.0",
        dhcp_range_start="127.0.0.50",
        dhcp_range_end="127.0.0.60",
        dnsmasq="/nowhere/dnsmasq",
    )
    with pytest.raises(Unavailable, match=r"/nowhere/dnsmasq.*dnsmasq-base"):
        server.start()
    assert threading.active_count() <= before


def test_a_state_folder_that_cannot_be_made_is_named(deployment: Any) -> None:
    (deployment.folder / "file").write_text("")
    with pytest.raises(Unavailable, match="state_dir"):
        deployment.server(state_dir=str(deployment.folder / "file" / "below")).start()


def test_stopping_is_quick_and_frees_ports_and_threads(deployment: Any, http_get: Get) -> None:
    before = {thread.name for thread in threading.enumerate()}
    server = deployment.server()
    server.start()
    http_get(server, "boot.ipxe")
    port = int(server.base_url.rpartition(":")[2])
    begun = time.monotonic()
    server.stop()
    assert time.monotonic() - begun < AT_ONCE
    left = {thread.name for thread in threading.enumerate()} - before
    # The pool's idle threads end by themselves once they are told.
    assert not {name for name in left if not name.startswith("netboot-lookup")}
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))


def test_stopping_cuts_off_a_client_that_does_not_read(deployment: Any) -> None:
    server = deployment.server()
    server.start()
    with open(deployment.images_dir / "big", "wb") as big:
        big.truncate(256 << 20)
    host, _, port = server.base_url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(b"GET /images/big HTTP/1.1\r\nHost: x\r\n\r\n")
        client.recv(100)
        begun = time.monotonic()
        server.stop()
        assert time.monotonic() - begun < AT_ONCE


def test_stopping_twice_and_without_start_does_nothing(deployment: Any) -> None:
    server = deployment.server()
    server.stop()
    server.stop()


def test_what_listens_is_told(deployment: Any) -> None:
    server = deployment.server(tftp_enabled=False)
    server.start()
    told = {service: (address, state) for service, address, state in server.listening()}
    assert told["http"] == (
        server.base_url.removeprefix("http://") + "/tcp",
        "running, 0 connections",
    )
    assert told["tftp"][1] == "switched off"
    assert told["dhcp"] == ("", "switched off")


def test_ipv6_addresses_stand_in_brackets(deployment: Any, http_get: Get) -> None:
    server = deployment.server(address="::1")
    server.start()
    assert server.base_url.startswith("http://[::1]:")
    assert http_get(server, "boot.ipxe")[0] == 200


def test_a_node_that_could_boot_is_prepared_over_the_bus(deployment: Any) -> None:
    server = deployment.server()
    server.start()
    node_id = deployment.node(MAC)
    deployment.boots(node_id)
    bus = LocalBus()
    bus.serve("netboot", server, "test")
    assert bus.call("netboot", "prepare", node_id=node_id) is None
    assert bus.call("netboot", "refresh") is None
    bus.close()


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ("no ports", Invalid, "no port with pxe_enabled"),
        ("no spec", NotFound, "nothing to boot"),
        ("no file", NotFound, "initrd"),
        ("outside", Forbidden, "file_url_allowed_paths"),
        ("evil", Invalid, "not allowed in kernel parameters"),
        ("http for tftp", Invalid, "http URL"),
        ("tftp off", Invalid, "tftp_enabled"),
    ],
)
def test_what_stands_in_the_way_of_a_boot_is_said(
    deployment: Any, given: str, error: type[Exception], words: str
) -> None:
    server = deployment.server(tftp_enabled=given != "tftp off")
    server.start()
    node_id = deployment.node(*([] if given == "no ports" else [MAC]))
    changes: dict[str, dict[str, Any]] = {
        "no ports": {},
        "no file": {"ramdisk": f"file://{deployment.boot_dir}/initrd.gone"},
        "outside": {"kernel": "file:///etc/hostname"},
        "evil": {"parameters": ("a=${net0/mac}",)},
        "http for tftp": {"loader": "pxe", "kernel": "http://mirror.example/k"},
        "tftp off": {"loader": "pxe"},
    }
    if given in changes:
        deployment.boots(node_id, **changes[given])
    with pytest.raises(error, match=words):
        server.prepare(node_id)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open any port")
def test_a_privileged_port_is_explained(deployment: Any) -> None:
    with pytest.raises(Unavailable, match="CAP_NET_BIND_SERVICE"):
        deployment.server(tftp_port=69).start()


def test_missing_loaders_are_told_where_one_looks(deployment: Any) -> None:
    server = deployment.server()
    state = next(state for service, _, state in server.listening() if service == "loaders")
    installed = shutil.which("dpkg") and os.path.exists("/usr/lib/PXELINUX/pxelinux.0")
    assert ("pxelinux.0" in state) != bool(installed)
