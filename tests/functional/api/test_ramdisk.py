"""What ramdisks say: look-up, heartbeat, inspection data."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from sqlalchemy import delete, select

from drophammer import agents, operations
from drophammer.events import of_node
from drophammer.model import Agent, Node
from drophammer.states import LOOKUP_ALLOWED, STATES
from tests.patience import AT_ONCE, PATIENCE

MAC = "52:54:00:12:34:56"
URL = "https://192.0.2.9:9999"
NOT_FOUND = "The requested node could not be found, or its state does not expect a ramdisk."

WRONG_BEATS = [
    ({"agent_token": None}, "1.68"),
    ({"agent_token": "x" * 43}, "1.68"),
    ({"agent_token": "\u00e4"}, "1.68"),
    ({"agent_version": None}, "1.68"),
    ({}, "1.35"),
    ({"agent_verify_ca": "x"}, "1.67"),
    ({"agent_verify_ca": "no certificate"}, "1.68"),
    ({"agent_status": "end"}, "1.71"),
    ({"agent_status": "flying"}, "1.72"),
    ({"callback_url": None}, "1.68"),
    ({"callback_url": "http://192.0.2.9:9999"}, "1.68"),
    ({"callback_url": "ftp://192.0.2.9"}, "1.68"),
    ({"callback_url": "https://"}, "1.68"),
    ({"callback_url": "https://[::1"}, "1.68"),
    ({"callback_url": "https://h:99999"}, "1.68"),
    ({"callback_url": "https://u:p@h:1"}, "1.68"),
    ({"callback_url": "https://h:1/\nX"}, "1.68"),
    ({"callback_url": "https://h:1/v1/nodes"}, "1.68"),
    ({"callback_url": "https://h:1?x=1"}, "1.68"),
    ({"callback_url": "https://h:1#x"}, "1.68"),
    ({"callback_url": "https://@h:1"}, "1.68"),
    ({"callback_url": "https://127.0.0.1:9999"}, "1.68"),
    ({"callback_url": "https://127.1:9999"}, "1.68"),
    ({"callback_url": "https://2130706433:9999"}, "1.68"),
    ({"callback_url": "https://localhost.:9999"}, "1.68"),
    ({"callback_url": "https://[::1]:9999"}, "1.68"),
    ({"callback_url": "https://[::ffff:127.0.0.1]:9999"}, "1.68"),
    ({"callback_url": "https://[fe80::1]:9999"}, "1.68"),
    ({"callback_url": "https://169.254.169.254:80"}, "1.68"),
    ({"callback_url": "https://0.0.0.0:9999"}, "1.68"),
    ({"callback_url": "https://224.0.0.1:9999"}, "1.68"),
    ({"colour": "red"}, "1.68"),
    ({"agent_progress": {"done": -1}}, "1.68"),
    ({"agent_progress": {"done": 10**30}}, "1.68"),
    ({"agent_progress": {}}, "1.68"),
]


@pytest.fixture
def node(api):
    made = api.node(name="rack-1", driver_info={"ipmi_address": "192.0.2.77"})
    body = {"node_uuid": made["uuid"], "address": MAC}
    assert api.post("/v1/ports", body).status_code == 201
    api.set(made["uuid"], provision_state="wait call-back", target_provision_state="active")
    return made


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("certificate")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1"
    made = subprocess.run(
        [*command.split(), "-subj", "/CN=agent", "-keyout", "key"],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return made.stdout


def node_id(store, uuid) -> int:
    with store.read() as session:
        return session.execute(select(Node.id).where(Node.uuid == uuid)).scalar_one()


def agent(store) -> Agent:
    with store.read() as session:
        return session.scalars(select(Agent)).one()


def look_up(api, query=f"addresses={MAC}"):
    return api.at("1.62").get(f"/v1/lookup?{query}")


def token_of(api) -> str:
    return look_up(api).json["config"]["agent_token"]


def beat(api, ident, token, version="1.68", **body):
    document = {"callback_url": URL, "agent_token": token, "agent_version": "13.0.0", **body}
    return api.at(version).post(f"/v1/heartbeat/{ident}", document)


def test_a_ramdisk_finds_its_node_by_any_of_its_addresses(api, node) -> None:
    answer = look_up(api, f"addresses=nonsense,00:00:00:00:00:01,{MAC.upper()}")
    assert answer.status_code == 200
    assert answer.json["node"]["uuid"] == node["uuid"]
    assert set(answer.json["node"]) == {
        "uuid",
        "properties",
        "instance_info",
        "driver_internal_info",
        "links",
    }
    config = answer.json["config"]
    assert (config["heartbeat_timeout"], config["tls_min_version"]) == (300, "1.3")
    assert config["drophammer"] == {"progress_interval": 1.0}


def test_the_token_is_told_once(api, node, store) -> None:
    first, second = token_of(api), token_of(api)
    assert len(first) == 43
    assert second == "******"
    assert agent(store).token == first


def test_after_a_wipe_there_is_a_new_token(api, node, store) -> None:
    first = token_of(api)
    with store.write() as session:
        session.execute(delete(Agent))
    assert token_of(api) not in (first, "******")


def test_a_token_made_beforehand_is_told_once(api, node, store) -> None:
    with store.write() as session:
        session.add(Agent(node_id=node_id(store, node["uuid"]), token="t" * 43))
    assert [token_of(api), token_of(api)] == ["t" * 43, "******"]


def test_a_row_without_a_token_gets_one(api, node, store) -> None:
    with store.write() as session:
        session.add(Agent(node_id=node_id(store, node["uuid"])))
    assert len(token_of(api)) == 43


def test_old_ramdisks_get_no_token(api, node, store) -> None:
    answer = api.at("1.61").get(f"/v1/lookup?addresses={MAC}")
    assert answer.status_code == 200
    assert "agent_token" not in answer.json["config"]


def test_no_token_is_given_away_while_the_node_is_worked_on(api, node) -> None:
    api.lease(node["uuid"])
    assert look_up(api).status_code == 409


def test_a_known_agent_may_look_up_while_the_node_is_worked_on(api, node) -> None:
    token_of(api)
    api.lease(node["uuid"])
    assert token_of(api) == "******"


def test_instance_secrets_are_masked(api, node) -> None:
    api.set(node["uuid"], instance_info={"configdrive": "hunter2", "image_source": "http://x"})
    shown = look_up(api).json["node"]["instance_info"]
    assert shown == {"configdrive": "******", "image_source": "http://x"}


def test_a_look_up_answers_where_a_ramdisk_is_expected(api, node) -> None:
    for state in STATES:
        api.set(node["uuid"], provision_state=state)
        assert look_up(api).status_code == (200 if state in LOOKUP_ALLOWED else 404), state


def test_every_failed_look_up_reads_the_same(api, node) -> None:
    other = api.node()["uuid"]
    api.post("/v1/ports", {"node_uuid": other, "address": "52:54:00:00:00:02"})
    wrong_state = f"node_uuid={other}"
    unknown = "addresses=52:54:00:99:99:99"
    two_nodes = f"addresses={MAC},52:54:00:00:00:02"
    for query in (wrong_state, unknown, two_nodes):
        answer = look_up(api, query)
        assert (answer.status_code, api.fault(answer)) == (404, NOT_FOUND)


@pytest.mark.parametrize("query", ["", "addresses=", "addresses=x,y", "node_uuid=x", "colour=1"])
def test_a_look_up_of_nothing_is_400(api, query) -> None:
    assert look_up(api, query).status_code == 400


def test_look_ups_are_unknown_before_1_22(api, node) -> None:
    assert api.at("1.21").get(f"/v1/lookup?addresses={MAC}").status_code == 404


def kinds_of_events(store, node) -> list[str]:
    with store.read() as session:
        return [event.kind for event in of_node(session, node_id(store, node["uuid"]), 0, 99)]


def test_a_look_up_is_an_event_once_per_boot(api, node, store) -> None:
    for _ in range(5):
        look_up(api)
        api.at("1.61").get(f"/v1/lookup?addresses={MAC}")
    assert kinds_of_events(store, node) == ["enroll", "lookup"]
    with store.write() as session:
        agents.forget(session, node_id(store, node["uuid"]), starting=True)
    look_up(api)
    assert kinds_of_events(store, node) == ["enroll", "lookup", "lookup"]


def test_a_heartbeat_is_noted_and_nudges_the_conductor(
    api, node, store, conductor, certificate
) -> None:
    token = token_of(api)
    answer = beat(api, node["uuid"], token, agent_verify_ca=certificate)
    assert (answer.status_code, answer.data) == (202, b"")
    noted = agent(store)
    assert (noted.url, noted.version, noted.certificate) == (URL, "13.0.0", certificate)
    assert (noted.beats, noted.last_beat is not None) == (1, True)
    assert conductor.next() == ("heartbeats", {"node_ids": [node_id(store, node["uuid"])]})
    shown = api.get("/v1/nodes/rack-1").json
    assert shown["driver_internal_info"]["agent_url"] == URL
    assert shown["driver_internal_info"]["agent_secret_token"] == "******"
    assert shown["provision_updated_at"] is not None


def test_each_heartbeat_counts_but_only_the_first_is_an_event(api, node, store) -> None:
    token = token_of(api)
    for _ in range(3):
        assert beat(api, node["uuid"], token).status_code == 202
    assert agent(store).beats == 3
    with store.read() as session:
        kinds = [event.kind for event in of_node(session, node_id(store, node["uuid"]), 0, 9)]
    assert kinds.count("heartbeat") == 1


def test_a_heartbeat_outside_of_a_wait_nudges_nobody(api, node, store, conductor) -> None:
    token = token_of(api)
    api.set(node["uuid"], provision_state="deploying")
    assert beat(api, node["uuid"], token).status_code == 202
    assert agent(store).beats == 1
    assert conductor.nothing_came()


def test_a_heartbeat_does_not_wait_for_whoever_holds_the_node(api, node, store) -> None:
    token = token_of(api)
    api.lease(node["uuid"])
    assert beat(api, node["uuid"], token).status_code == 202
    with store.read() as session:
        assert session.execute(select(Node.lease_host)).scalar_one() == "conductor-7"


def test_progress_goes_to_the_operation_and_nudges_nobody(api, node, store, conductor) -> None:
    found = node_id(store, node["uuid"])
    with store.write() as session:
        operation, _ = operations.create(
            session,
            node_id=found,
            verb="active",
            flow="deploy",
            request={"configdrive": "hunter2"},
            steps=[operations.StepSpec("deploy", "write_image", 80, args={"token": "hunter2"})],
            now=store.clock.now(),
        )
        operation_id = operation.id
    api.set(node["uuid"], operation_id=operation_id)
    token = token_of(api)
    progress = {"command": "execute_deploy_step", "step": "write_image", "done": 5, "total": 9}
    progress["message"] = "5 of 9"
    assert beat(api, node["uuid"], token, agent_progress=progress).status_code == 202
    assert conductor.nothing_came()
    answer = api.get("/v1/nodes/rack-1/operations")
    (shown,) = answer.json["operations"]
    assert shown["progress"].pop("at")
    assert shown["progress"] == {"done": 5, "total": 9, "message": "5 of 9"}
    assert (shown["verb"], shown["state"]) == ("active", "running")
    assert [step["step"] for step in shown["steps"]] == ["write_image"]
    assert "hunter2" not in answer.text


def test_a_wrong_heartbeat_is_400(api, node, store) -> None:
    token = token_of(api)
    for body, version in WRONG_BEATS:
        assert beat(api, node["uuid"], token, version, **body).status_code == 400, body
    assert agent(store).beats == 0


def test_another_url_or_certificate_is_another_agent(api, node, certificate) -> None:
    token = token_of(api)
    assert beat(api, node["uuid"], token, agent_verify_ca=certificate).status_code == 202
    other = beat(api, node["uuid"], token, callback_url="https://192.0.2.10:9999")
    assert other.status_code == 400
    changed = certificate.replace("A", "B")
    assert beat(api, node["uuid"], token, agent_verify_ca=changed).status_code == 400
    assert beat(api, node["uuid"], token, callback_url="").status_code == 202


def test_without_a_token_on_our_side_no_heartbeat_is_right(api, node) -> None:
    assert beat(api, node["uuid"], "x" * 43).status_code == 400


def test_a_heartbeat_of_an_unknown_node_is_404(api) -> None:
    assert beat(api, "nobody", "x" * 43).status_code == 404


def test_plain_http_is_taken_where_the_site_wants_it(settings, store, bus, api, node) -> None:
    import dataclasses

    from api.app import create_app

    lax = dataclasses.replace(settings, agent_require_tls=False)
    token = token_of(api)
    answer = (
        create_app(lax, store, bus)
        .test_client()
        .post(
            f"/v1/heartbeat/{node['uuid']}",
            json={"callback_url": "http://h:1", "agent_token": token, "agent_version": "1"},
            headers={"X-OpenStack-Ironic-API-Version": "1.68"},
        )
    )
    assert answer.status_code == 202


@pytest.mark.parametrize("url", ["https://10.0.2.15:9999/", "https://[fd00::9]:9999", "https://h"])
def test_a_root_of_an_agent_is_taken(api, node, url) -> None:
    assert beat(api, node["uuid"], token_of(api), callback_url=url).status_code == 202


def test_agents_on_this_host_are_taken_where_that_is_wanted(
    settings, store, bus, api, node
) -> None:
    import dataclasses

    from api.app import create_app

    local = dataclasses.replace(settings, allow_local_callbacks=True)
    client = dataclasses.replace(api, client=create_app(local, store, bus).test_client())
    url = "https://127.0.0.1:9999"
    assert beat(client, node["uuid"], token_of(api), callback_url=url).status_code == 202


def test_the_token_is_in_no_log(api, node, caplog) -> None:
    caplog.set_level(0)
    token = token_of(api)
    beat(api, node["uuid"], token)
    beat(api, node["uuid"], token + "x")
    assert token not in caplog.text


def test_switched_off_endpoints_are_403(settings, store, bus, node) -> None:
    import dataclasses

    from api.app import create_app

    off = dataclasses.replace(settings, enable_ramdisk_endpoints=False)
    client = create_app(off, store, bus).test_client()
    newest = {"X-OpenStack-Ironic-API-Version": "1.68"}
    assert client.get(f"/v1/lookup?addresses={MAC}", headers=newest).status_code == 403
    assert client.post("/v1/heartbeat/x", headers=newest).status_code == 403
    assert client.post("/v1/continue_inspection").status_code == 403


# Inspection

DATA = {
    "inventory": {
        "interfaces": [
            {"name": "eth0", "mac_address": MAC.upper()},
            {"name": "eth1", "mac_address": "52:54:00:aa:aa:aa"},
            {"name": "lo", "mac_address": "00:00:00:00:00:00"},
            {"name": "usb0", "mac_address": None},
        ],
        "cpu": {"architecture": "x86_64", "count": 4},
        "boot": {"pxe_interface": MAC},
        "bmc_address": "192.0.2.77",
    },
    "boot_interface": "01-52-54-00-12-34-56",
    "root_disk": {"name": "/dev/vda"},
    "logs": "QUJD",
    "error": None,
}


@pytest.fixture
def inspected(api, node):
    api.set(node["uuid"], provision_state="inspect wait", target_provision_state="manageable")
    return node


def inspect(api, body=DATA, query="", version=None):
    return api.at(version).post(f"/v1/continue_inspection{query}", body)


def test_inspection_data_is_stored_and_handed_on(api, inspected, store, conductor) -> None:
    answer = inspect(api)
    assert (answer.status_code, answer.json) == (202, {"uuid": inspected["uuid"]})
    assert conductor.next() == ("inspected", {"node_id": node_id(store, inspected["uuid"])})
    stored = api.get("/v1/nodes/rack-1/inventory").json
    assert stored["inventory"] == DATA["inventory"]
    plugin_data = stored["plugin_data"]
    assert "logs" not in plugin_data
    assert plugin_data["root_disk"] == {"name": "/dev/vda"}
    assert plugin_data["macs"] == [MAC, "52:54:00:aa:aa:aa"]
    assert set(plugin_data["all_interfaces"]) == {"eth0", "eth1", "lo", "usb0"}
    assert set(plugin_data["valid_interfaces"]) == {"eth0", "eth1"}
    assert plugin_data["valid_interfaces"]["eth0"]["pxe_enabled"] is True
    assert plugin_data["valid_interfaces"]["eth1"]["pxe_enabled"] is False


def test_newer_ramdisks_get_their_token_with_the_answer(api, inspected) -> None:
    answer = inspect(api, query=f"?node_uuid={inspected['uuid']}", version="1.84")
    assert answer.status_code == 202
    assert len(answer.json["config"]["agent_token"]) == 43


@pytest.mark.parametrize("version", ["1.2", "1.31", "1.83"])
def test_in_between_the_path_did_not_exist(api, inspected, version) -> None:
    assert inspect(api, version=version).status_code == 404


@pytest.mark.parametrize(
    ("driver_info", "status"),
    [
        ({"ipmi_address": "192.0.2.77"}, 202),
        ({"redfish_address": "https://192.0.2.77/redfish"}, 202),
        ({"redfish_address": "https://[broken"}, 404),
        ({"ipmi_address": "192.0.2.78"}, 404),
        ({"ipmi_address": 7}, 404),
    ],
)
def test_an_unknown_machine_is_found_by_its_controller(api, inspected, driver_info, status) -> None:
    api.set(inspected["uuid"], driver_info=driver_info)
    interfaces = [{"name": "eth9", "mac_address": "52:54:00:99:99:99"}]
    body = {"inventory": {**DATA["inventory"], "interfaces": interfaces}}
    assert inspect(api, body).status_code == status


@pytest.fixture
def names(monkeypatch):
    """Stands for the system's resolver: names and their addresses; "slow" takes its time."""
    known = {"bmc-1.example": "192.0.2.77", "bmc-2.example": "192.0.2.78"}
    go_on, asked = threading.Event(), []

    system = socket.getaddrinfo

    def resolve(name, port, *how):
        if how:
            return system(name, port, *how)  # A driver of a database, on its way there.
        asked.append(name)
        if name.startswith("slow"):
            go_on.wait(PATIENCE)
            return [(0, 0, 0, "", ("192.0.2.77", 0))]
        if name not in known:
            raise socket.gaierror
        return [(0, 0, 0, "", (known[name], 0))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    yield SimpleNamespace(asked=asked, go_on=go_on)
    go_on.set()


STRANGER = {
    "inventory": {
        "interfaces": [{"name": "eth9", "mac_address": "52:54:00:99:99:99"}],
        "bmc_address": "192.0.2.77",
    }
}


def waiting_node(api, address):
    made = api.node(driver_info={"ipmi_address": address})
    api.set(made["uuid"], provision_state="inspect wait")


def test_a_controller_may_be_known_by_its_name(api, inspected, names) -> None:
    api.set(inspected["uuid"], driver_info={"redfish_address": "https://bmc-1.example/x"})
    waiting_node(api, "bmc-2.example")
    waiting_node(api, "nobody.example")
    answer = inspect(api, STRANGER)
    assert (answer.status_code, answer.json) == (202, {"uuid": inspected["uuid"]})


def test_no_name_is_resolved_where_an_address_fits(api, inspected, names) -> None:
    waiting_node(api, "bmc-2.example")
    assert inspect(api, STRANGER).status_code == 202
    assert names.asked == []


def test_names_that_do_not_answer_hold_up_nobody_for_long(api, inspected, names) -> None:
    api.set(inspected["uuid"], driver_info={"ipmi_address": "slow-1"})
    for number in range(2, 7):
        waiting_node(api, f"slow-{number}")
    started = time.monotonic()
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(lambda _: inspect(api, STRANGER).status_code, range(16)))
    assert set(statuses) == {409}
    assert time.monotonic() - started < AT_ONCE
    assert len(names.asked) == 6


WRONG_INVENTORIES = [
    ("cpu", ["x86_64"], "cpu"),
    ("cpu", {"architecture": {"a": 1}}, "cpu/architecture"),
    ("cpu", {"architecture": "x" * 1_000_000}, "cpu/architecture"),
    ("cpu", {"count": "4"}, "cpu/count"),
    ("cpu", {"flags": [1]}, "cpu/flags/0"),
    ("boot", "uefi", "boot"),
    ("boot", {"pxe_interface": [MAC]}, "boot/pxe_interface"),
    ("memory", 5, "memory"),
    ("memory", {"physical_mb": 1.5}, "memory/physical_mb"),
    ("memory", {"total": -1}, "memory/total"),
    ("disks", {"vda": {}}, "disks"),
    ("disks", [{"name": "/dev/vda", "size": "10 GB"}], "disks/0/size"),
    ("disks", [{"name": "/dev/vda", "size": 10**30}], "disks/0/size"),
    ("disks", [None], "disks/0"),
    ("system_vendor", {"firmware": "x"}, "system_vendor/firmware"),
    ("bmc_address", 7, "bmc_address"),
    ("hostname", {}, "hostname"),
]


@pytest.mark.parametrize(("key", "value", "place"), WRONG_INVENTORIES)
def test_facts_of_a_wrong_kind_are_400_with_the_place(api, inspected, key, value, place) -> None:
    answer = inspect(api, {**DATA, "inventory": {**DATA["inventory"], key: value}})
    assert answer.status_code == 400
    assert f"inventory/{place}: " in api.fault(answer)
    assert len(answer.text) < 2000


def test_what_ramdisks_really_send_is_taken(api, inspected) -> None:
    inventory = {
        "interfaces": [
            {
                "name": "ens3",
                "mac_address": MAC,
                "ipv4_address": "172.22.0.66",
                "ipv6_address": "fe80::5054:ff:fe12:3456%ens3",
                "has_carrier": True,
                "lldp": [[0, ""], [1, "04112233aabbcc"]],
                "vendor": "0x1af4",
                "product": "0x0001",
                "client_id": None,
                "biosdevname": None,
                "speed_mbps": -1,
                "pci_address": "0000:00:03.0",
                "driver": "virtio_net",
                "firmware_version": {"of": "a later release"},
            },
            {"name": "ens4", "mac_address": "52:54:00:aa:aa:aa", "lldp": None, "speed_mbps": None},
        ],
        "cpu": {
            "model_name": "QEMU Virtual CPU",
            "frequency": "2099.998",
            "count": 2,
            "architecture": "x86_64",
            "flags": ["fpu", "vme"],
            "socket_count": None,
        },
        "disks": [
            {
                "name": "/dev/vda",
                "model": "",
                "size": 10737418240,
                "rotational": True,
                "wwn": None,
                "serial": None,
                "vendor": "0x1af4",
                "wwn_with_extension": None,
                "wwn_vendor_extension": None,
                "hctl": None,
                "by_path": "/dev/disk/by-path/pci-0000:00:04.0",
                "logical_sectors": 512,
                "physical_sectors": 512,
                "tran": "virtio",
            }
        ],
        "memory": {"total": None, "physical_mb": 2048},
        "bmc_address": "0.0.0.0",
        "bmc_v6address": "::/0",
        "bmc_mac": None,
        "system_vendor": {
            "product_name": "Standard PC",
            "serial_number": "",
            "manufacturer": "QEMU",
            "firmware": {"vendor": "SeaBIOS", "version": "1.16", "build_date": "04/01/2014"},
        },
        "boot": {"current_boot_mode": "bios", "pxe_interface": None},
        "hostname": "localhost",
        "usb_devices": [{"x": 1}],
    }
    nothing = ["cpu", "disks", "memory", "system_vendor", "boot", "bmc_address", "hostname"]
    body = {**DATA, "inventory": inventory, "configuration": {"collectors": [], "managers": []}}
    assert inspect(api, body).status_code == 202
    body["inventory"] = {**inventory, **dict.fromkeys(nothing)}
    body.update(root_disk=None, boot_interface=None, logs=None, configuration=None)
    assert inspect(api, body).status_code == 202


def test_millions_of_nothings_are_refused_at_once(api, inspected) -> None:
    started = time.thread_time()
    for part in ("[],", "{},"):
        assert inspect(api, "[" + part * 5_000_000 + "0]").status_code == 400
    assert time.thread_time() - started < 5


def test_data_that_nobody_waits_for_is_404(api, node) -> None:
    answer = inspect(api)
    assert (answer.status_code, api.fault(answer)) == (404, NOT_FOUND)


def test_data_of_an_unknown_node_is_404(api, inspected) -> None:
    query = "?node_uuid=6b0ae3a1-3a53-4b02-9a3f-1f7d1a7d1c55"
    assert inspect(api, query=query, version="1.84").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"inventory": {}},
        {"inventory": {"interfaces": []}},
        {"inventory": {"interfaces": [{}]}},
        {"inventory": {"interfaces": [{"mac_address": "x"}]}},
        {"inventory": {"interfaces": [{"mac_address": 5}]}},
        {"inventory": {"interfaces": {"eth0": {}}}},
        [],
    ],
)
def test_data_without_a_usable_address_is_400(api, inspected, body) -> None:
    assert inspect(api, body).status_code == 400


def test_odd_characters_from_firmware_do_no_harm(api, inspected) -> None:
    vendor = {"product_name": "x", "serial_number": "A\x00B\ud800"}
    body = {**DATA, "inventory": {**DATA["inventory"], "system_vendor": vendor}}
    assert inspect(api, body).status_code == 202
    stored = api.get("/v1/nodes/rack-1/inventory").json["inventory"]["system_vendor"]
    assert stored["serial_number"].startswith("A\ufffdB")


def test_a_second_inspection_replaces_the_first(api, inspected) -> None:
    assert inspect(api).status_code == 202
    other = {**DATA, "root_disk": {"name": "/dev/vdb"}}
    assert inspect(api, other).status_code == 202
    stored = api.get("/v1/nodes/rack-1/inventory").json
    assert stored["plugin_data"]["root_disk"] == {"name": "/dev/vdb"}


def test_a_node_that_was_never_inspected_has_no_inventory(api, node) -> None:
    assert api.get("/v1/nodes/rack-1/inventory").status_code == 404
    assert api.at("1.80").get("/v1/nodes/rack-1/inventory").status_code == 404
