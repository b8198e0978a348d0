"""Services of netboot hosts over the API: what the hosts told, and what they are asked to do."""

from __future__ import annotations

import datetime

import pytest

from drophammer import services
from drophammer.errors import Conflict, NotFound
from drophammer.services import Told

TFTP = Told("tftp", None, "process", "on", "[netboot]tftp_enabled is true", "running", "pid 7")
TGT = Told("tgt", "tgt.service", "systemd", "on", "always on", "dead", "failed: exit-code")
RESTARTED = {
    "name": "tgt",
    "unit": "tgt.service",
    "managed_by": "systemd",
    "expected": "on",
    "expected_reason": "always on",
    "actual": "running",
    "reason": "pid 9",
}


@pytest.fixture
def rack(store):
    """A host that told of its services a moment ago."""
    with store.write() as session:
        services.put_all(session, "netboot-1", [TFTP, TGT], store.clock.now())


@pytest.fixture
def silent_rack(store):
    """Another one, that has not been heard of for two minutes."""
    before = store.clock.now() - datetime.timedelta(minutes=2)
    with store.write() as session:
        services.put_all(session, "netboot-2", [TFTP], before)


@pytest.mark.seed("s1")
def test_both_states_of_all_services_are_shown(api, rack) -> None:
    found = api.get("/v1/services").json["services"]
    assert [(one["name"], one["expected"], one["actual"]) for one in found] == [
        ("tftp", "on", "running"),
        ("tgt", "on", "dead"),
    ]
    one = api.get("/v1/services/netboot-1/tgt").json
    assert one == found[1]
    assert (one["hostname"], one["unit"], one["managed_by"]) == (
        "netboot-1",
        "tgt.service",
        "systemd",
    )
    assert (one["expected_reason"], one["reason"]) == ("always on", "failed: exit-code")


def test_without_a_netboot_host_there_are_no_services(api) -> None:
    assert api.get("/v1/services").json == {"services": []}


def test_all_services_are_read_in_one_statement(api, rack, silent_rack, sql) -> None:
    api.get("/v1/services")
    sql.clear()
    assert len(api.get("/v1/services").json["services"]) == 3
    assert sql.count == 1


def test_a_host_that_fell_silent_is_not_taken_at_its_word(api, silent_rack) -> None:
    one = api.get("/v1/services/netboot-2/tftp").json
    assert one["actual"] == "unknown"
    assert one["reason"] == f"not heard of since {one['seen_at']}; it was running then"
    answer = api.post("/v1/services/netboot-2/tftp/restart")
    assert answer.status_code == 503
    assert "not heard of since" in api.fault(answer)


@pytest.mark.seed("s1")
def test_a_restart_goes_to_the_host_and_shows_what_came_of_it(api, rack, netboot) -> None:
    netboot.answers["restart_service"] = RESTARTED
    assert api.post("/v1/services/netboot-1/tgt/restart").json == RESTARTED
    assert netboot.next() == ("restart_service", {"hostname": "netboot-1", "name": "tgt"})
    netboot.answers["restart_service"] = Conflict("tgt on netboot-1 is expected off.")
    assert api.post("/v1/services/netboot-1/tgt/restart", {}).status_code == 409


@pytest.mark.seed("s20")
def test_logs_are_switched_on_the_host(api, rack, netboot) -> None:
    netboot.answers["switch_service_log"] = {"level": "debug", "requests": True}
    change = {"level": "debug", "requests": True}
    assert api.put("/v1/services/netboot-1/tftp/log", change).json == change
    assert netboot.next() == (
        "switch_service_log",
        {"hostname": "netboot-1", "name": "tftp", "change": change},
    )
    netboot.answers["show_service_log"] = {"level": None, "requests": False}
    assert api.get("/v1/services/netboot-1/tftp/log").json == {"level": None, "requests": False}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"level": "loud"},
        {"level": 3},
        {"requests": "yes"},
        {"requests": None},
        {"level": "debug", "more": 1},
        [],
        None,
        "{",
    ],
)
def test_what_is_no_change_of_a_log_is_refused(api, rack, netboot, body) -> None:
    assert api.put("/v1/services/netboot-1/tftp/log", body).status_code == 400
    assert netboot.nothing_came()


@pytest.mark.parametrize(
    "path",
    [
        "netboot-1/sshd",
        "netboot-9/tftp",
        "netboot-1/TFTP",
        "netboot-1/%00",
        "netboot-1/..%2Ftgt",
        f"netboot-1/{'a' * 9000}",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST restart", "GET log", "PUT log"])
def test_names_that_no_host_has_are_not_found(api, rack, netboot, path, method) -> None:
    verb, _, more = method.partition(" ")
    url = f"/v1/services/{path}/{more}".rstrip("/")
    body = {"level": "debug"} if verb == "PUT" else None
    assert api.call(verb, url, body).status_code in (400, 404)
    assert netboot.nothing_came()


def test_the_names_that_there_are_stand_in_the_refusal(api, rack) -> None:
    assert "it has tftp, tgt" in api.fault(api.get("/v1/services/netboot-1/sshd"))


def test_an_argument_or_a_body_that_nobody_knows_is_refused(api, rack, netboot) -> None:
    assert api.get("/v1/services?x=1").status_code == 400
    assert api.post("/v1/services/netboot-1/tgt/restart", {"force": True}).status_code == 400


def test_without_netboot_a_restart_is_unavailable(api, rack) -> None:
    assert api.post("/v1/services/netboot-1/tgt/restart").status_code == 503


def test_a_service_that_went_meanwhile_is_not_found(api, rack, netboot) -> None:
    netboot.answers["restart_service"] = NotFound("Host netboot-1 has no service 'tgt'.")
    assert api.post("/v1/services/netboot-1/tgt/restart").status_code == 404
