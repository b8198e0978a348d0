"""From the start to the first heartbeat: inspection, version, look-up, token, certificate."""

import time

from agent.errors import InspectionFailed, LockedDown, LookupFailed
from tests.patience import PATIENCE


def beat_of(conductor):
    return conductor.heartbeats.get(timeout=PATIENCE)


def test_the_agent_asks_version_then_looks_up_then_beats(conductor, start_agent):
    start_agent()
    beat_of(conductor)
    uuid = conductor.node["uuid"]
    assert conductor.paths() == ["/", "/v1/lookup", f"/v1/heartbeat/{uuid}"]


def test_lookup_and_heartbeat_use_their_own_versions(conductor, start_agent):
    start_agent()
    beat_of(conductor)
    assert [version for _, _, version, _ in conductor.heard] == [None, "1.62", "1.68"]


def test_the_lookup_names_the_interfaces(conductor, start_agent):
    start_agent()
    beat_of(conductor)
    assert conductor.heard[1][1] == "/v1/lookup?addresses=52:54:00:22:00:01"


def test_the_first_heartbeat_has_everything_that_1_68_asks_for(conductor, start_agent):
    start_agent()
    beat = beat_of(conductor)
    assert set(beat) == {"callback_url", "agent_token", "agent_version", "agent_verify_ca"}
    assert beat["callback_url"].startswith("https://127.0.0.1:")
    assert beat["agent_token"] == "t" * 43
    assert beat["agent_verify_ca"].startswith("-----BEGIN CERTIFICATE-----")


def test_an_old_server_gets_plain_http_and_no_certificate(conductor, start_agent):
    conductor.version = "1.61"
    start_agent()
    beat = beat_of(conductor)
    assert set(beat) == {"callback_url", "agent_version"}
    assert beat["callback_url"].startswith("http://")


def test_a_server_that_hides_its_version_is_taken_for_1_31(conductor, start_agent):
    conductor.root_statuses = [500]
    start_agent()
    beat = beat_of(conductor)
    assert conductor.heard[1][2] == "1.31"
    assert set(beat) == {"callback_url"}


def test_a_server_that_is_being_started_is_not_taken_for_an_old_one(conductor, start_agent):
    conductor.root_statuses = [503, 502]
    start_agent()
    beat = beat_of(conductor)
    assert [version for _, _, version, _ in conductor.heard] == [None, None, None, "1.62", "1.68"]
    assert beat["agent_token"] == "t" * 43


def test_an_unknown_machine_asks_again(conductor, start_agent):
    conductor.lookups = [(404, {}), (404, {})]
    start_agent()
    beat_of(conductor)
    assert conductor.paths().count("/v1/lookup") == 3


def test_an_unknown_machine_gives_up_after_the_lookup_time(conductor, start_agent):
    conductor.lookups = [(404, {})] * 1000
    agent = start_agent("ipa-lookup-timeout=0.3")
    agent.thread.join(PATIENCE)
    assert isinstance(agent.error, LookupFailed)
    assert "52:54:00:22:00:01" in agent.error.message


def test_a_masked_token_locks_the_agent_down(conductor, start_agent):
    conductor.config["agent_token"] = "******"
    agent = start_agent()
    agent.thread.join(PATIENCE)
    assert isinstance(agent.error, LockedDown)
    assert conductor.heartbeats.empty()


def test_a_token_from_the_command_line_stands_in_for_a_masked_one(conductor, start_agent):
    conductor.config["agent_token"] = "******"
    start_agent(f"ipa-agent-token={'p' * 43}")
    assert beat_of(conductor)["agent_token"] == "p" * 43


def test_a_short_token_is_no_token(conductor, start_agent):
    conductor.config["agent_token"] = "short"
    agent = start_agent()
    agent.thread.join(PATIENCE)
    assert isinstance(agent.error, LookupFailed)


def test_an_answer_without_a_heartbeat_timeout_is_refused(conductor, start_agent):
    del conductor.config["heartbeat_timeout"]
    agent = start_agent()
    agent.thread.join(PATIENCE)
    assert isinstance(agent.error, LookupFailed)


def test_the_second_api_address_is_used_when_the_first_is_dead(conductor, start_agent):
    start_agent(f"ipa-api-url=http://127.0.0.1:9,{conductor.url}")
    assert beat_of(conductor)["callback_url"]


def test_inspection_comes_before_the_lookup_and_names_the_node(conductor, start_agent):
    start_agent(f"ipa-inspection-callback-url={conductor.url}/v1/continue_inspection")
    beat_of(conductor)
    assert conductor.paths()[:3] == ["/v1/continue_inspection", "/", "/v1/lookup"]
    assert conductor.heard[2][1].endswith(f"&node_uuid={conductor.node['uuid']}")


def test_inspection_is_sent_without_a_version(conductor, start_agent):
    start_agent(f"ipa-inspection-callback-url={conductor.url}/v1/continue_inspection")
    conductor.inspections.get(timeout=PATIENCE)
    assert conductor.heard[0][2] is None


def test_the_inspection_body_has_the_keys_of_the_contract(conductor, start_agent):
    start_agent(
        f"ipa-inspection-callback-url={conductor.url}/i BOOTIF=01-52-54-00-22-00-01", api=False
    )
    body = conductor.inspections.get(timeout=PATIENCE)
    assert set(body) >= {"inventory", "boot_interface", "configuration", "error", "logs"}
    assert body["boot_interface"] == "52:54:00:22:00:01"
    assert body["error"] is None
    assert body["inventory"]["interfaces"][0]["mac_address"] == "52:54:00:22:00:01"


def test_without_an_api_address_the_agent_stays_quiet_after_inspection(conductor, start_agent):
    agent = start_agent(f"ipa-inspection-callback-url={conductor.url}/i", api=False)
    conductor.inspections.get(timeout=PATIENCE)
    agent.thread.join(0.3)
    assert agent.thread.is_alive()
    assert conductor.paths() == ["/i"]


def test_a_refused_inspection_is_not_repeated_and_the_lookup_goes_on(conductor, start_agent):
    conductor.inspection_statuses = [404]
    start_agent(f"ipa-inspection-callback-url={conductor.url}/i")
    beat_of(conductor)
    assert conductor.paths().count("/i") == 1


def test_a_refused_inspection_alone_is_an_error(conductor, start_agent):
    conductor.inspection_statuses = [400]
    agent = start_agent(f"ipa-inspection-callback-url={conductor.url}/i", api=False)
    agent.thread.join(PATIENCE)
    assert isinstance(agent.error, InspectionFailed)


def test_an_agent_without_any_address_says_so(start_agent):
    agent = start_agent(api=False)
    agent.thread.join(PATIENCE)
    assert "neither" in str(agent.error)


def test_heartbeats_follow_in_a_part_of_the_timeout(conductor, start_agent):
    conductor.config["heartbeat_timeout"] = 1
    # From before the first: when one is heard says little where the machine stands still.
    begun = time.monotonic()
    start_agent()
    for _ in range(3):
        beat_of(conductor)
    assert time.monotonic() - begun > 2 * 0.3
