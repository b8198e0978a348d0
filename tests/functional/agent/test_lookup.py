"""Looking up with a locked node: the pauses of the protocol, shortened."""

from agent.cmdline import Options
from agent.conductor import ConductorApi
from agent.lookup import find_node


def test_a_locked_node_is_asked_for_again_until_it_is_free(conductor):
    conductor.lookups = [(409, {}), (409, {}), (409, {}), (409, {})]
    options = Options({})
    api = ConductorApi(options, conductor.url)
    api.discover_version()
    found = find_node([api], ["52:54:00:22:00:01"], options, busy_pauses=(0.01, 0.02))
    assert found.uuid == conductor.node["uuid"]
    assert conductor.paths().count("/v1/lookup") == 5


def test_what_was_found_does_not_show_the_token(conductor):
    options = Options({})
    found = find_node([ConductorApi(options, conductor.url)], ["aa"], options)
    assert found.token not in repr(found)


def test_the_progress_interval_is_our_extension_of_the_config(conductor):
    options = Options({})
    api = ConductorApi(options, conductor.url)
    assert find_node([api], ["aa"], options).progress_interval == 0
    for value, seconds in ((0.5, 0.5), (2, 2.0), ("soon", 0.0), (-1, 0.0), (None, 0.0)):
        conductor.config["drophammer"] = {"progress_interval": value}
        assert find_node([api], ["aa"], options).progress_interval == seconds
