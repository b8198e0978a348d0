"""A changed configuration of the subnets is taken over by a service that runs, or refused."""

from __future__ import annotations

import argparse
import json
import os
import signal
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from embedded.serve import reload
from tests.functional.netboot.dhcp.conftest import US, machine, net
from tests.patience import PATIENCE, until

__all__ = ["machine", "net"]
MAC = "52:54:00:22:00:01"
OURS = """
[DEFAULT]
log_level = INFO
[netboot]
address = {us}
interface = br0
network_namespace = {namespace}
monitor_interval = {look}
[dhcp]
subnets = rack1
[subnet:rack1]
cidr = 172.22.0.0/24
range_start = 172.22.0.{start}
range_end = 172.22.0.99
lease_seconds = {lease}
"""
REFUSED = "A new configuration is not in use: "


class Rack:
    """A running service whose configuration is changed."""

    def __init__(self, net: Any, serve: Any, config: Path) -> None:
        self._namespace, self._config = net.server, config
        self.write()
        self.served = serve()
        self.served.until("Ctrl-C stops it.")

    def write(self, *, start: int = 50, lease: object = 3600, look: int = 5) -> None:
        said = {"start": start, "lease": lease, "look": look}
        self._config.write_text(OURS.format(us=US, namespace=self._namespace, **said))

    def reload(self, answer: str) -> None:
        self.served.output = ""
        self.served.process.send_signal(signal.SIGHUP)
        self.served.until(answer)

    def call(self, path: str, body: Any = None) -> Any:
        headers = {"X-OpenStack-Ironic-API-Version": "1.100", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.served.url}/v1/{path}", data, headers)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)

    def told(self, refusal: str) -> bool:
        """Whether dhcp4, which runs, comes to tell of just this refusal; of none when empty."""

        def dhcp4() -> Any:
            return {one["name"]: one for one in self.call("services")["services"]}["dhcp4"]

        def just_this(reason: str) -> bool:
            return refusal in reason and (REFUSED in reason) == bool(refusal)

        found = until(lambda: just_this(str((told := dhcp4())["reason"])) and told, dhcp4)
        return bool(found["actual"] == "running")


@pytest.fixture
def rack(net: Any, serve: Any, config: Path) -> Rack:
    made = Rack(net, serve, config)
    node = made.call("nodes", {"driver": "fake-hardware"})
    made.call("ports", {"node_uuid": node["uuid"], "address": MAC})
    return made


def address(asker: Any) -> int:
    """The last octet of what a machine is offered; it asks until it is known."""
    offers = until(asker.offers, lambda: "nobody answers")
    return int(offers[0].packet.yiaddr.packed[3])


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_other_subnets_are_taken_over_and_what_cannot_be_used_leaves_all_as_it_was(
    rack: Rack, net: Any, machine: Any
) -> None:
    asker = machine(net.client, MAC)
    assert 50 <= address(asker) < 90
    rack.write(start=90)
    rack.reload("the configuration was read again")
    assert address(asker) >= 90
    for change, why in (
        ({"lease": -5}, "lease_seconds"),
        ({"start": 900}, "range_start"),
        ({"look": 7}, "The settings monitor_interval of netboot change when"),
    ):
        rack.write(**{"start": 60, **change})
        rack.reload("the configuration is used as it was: ")
        assert why in rack.served.until("\n"), change
        assert rack.told(why)
        assert address(asker) >= 90
    rack.write(start=95)
    rack.reload("the configuration was read again")
    assert rack.told("")
    assert address(asker) >= 95


def test_a_reload_that_fails_in_any_way_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Breaks:
        """Stands for the service, with a fault that nobody has thought of."""

        def reload(self, configuration: object) -> None:
            raise RuntimeError("that was not to be")

    config = tmp_path / "drophammer.conf"
    config.write_text("")
    told = argparse.Namespace(config_file=[config], state_dir=tmp_path)
    reload(Breaks(), told)  # type: ignore[arg-type]
    assert "the configuration could not be read again" in caplog.text
    assert "that was not to be" in caplog.text
