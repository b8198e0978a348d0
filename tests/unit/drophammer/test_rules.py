"""Inspection rules: conditions, actions, loops, texts filled in, and what a failure says."""

from __future__ import annotations

from typing import Any

import pytest

from drophammer.errors import Invalid
from drophammer.interpolation import interpolated
from drophammer.ruleactions import Subject
from drophammer.rules import ACTIONS, OPERATORS, Rule, apply, check


def subject(**node: Any) -> Subject:
    return Subject(
        node={
            "uuid": "u",
            "name": "rack1",
            "driver": "ipmi",
            "driver_info": {"ipmi_password": "hunter2"},
            "properties": {},
            "extra": {"tags": ["a"]},
            "description": None,
            **node,
        },
        inventory={
            "cpu": {"count": 8, "architecture": "x86_64"},
            "bmc_address": "192.0.2.7",
            "system_vendor": {"manufacturer": "Dell Inc."},
            "disks": [{"name": "/dev/sda"}],
            "flag": True,
            "nothing": None,
        },
        plugin_data={"seen": "yes"},
        ports=[
            {"uuid": "p-1", "address": "52:54:00:00:00:01", "extra": {}, "physical_network": None}
        ],
    )


def holds(op: str, args: Any, **extra: Any) -> bool:
    condition = {"op": op, "args": args, **extra}
    check([condition], [{"op": "log", "args": {"msg": "x"}}])
    rule = Rule("r", [condition], [{"op": "log", "args": {"msg": "x"}}])
    return apply([rule], subject()) == ["r"]


def act(op: str, args: Any, found: Subject | None = None, **extra: Any) -> Subject:
    found = found or subject()
    action = {"op": op, "args": args, **extra}
    check([], [action])
    apply([Rule("r", [], [action])], found)
    return found


@pytest.mark.parametrize(
    ("op", "args", "expected"),
    [
        ("eq", {"values": ["{node.driver}", "ipmi"]}, True),
        ("eq", ["{node.driver}", "ipmi"], True),
        ("!eq", {"values": ["{node.driver}", "ipmi"]}, False),
        ("! eq", {"values": ["{node.driver}", "redfish"]}, True),
        ("eq", {"values": ["{inventory[cpu][count]}", 8]}, True),
        ("eq", {"values": [1, "1"], "force_strings": True}, True),
        ("lt", {"values": [4, "{inventory[cpu][count]}", 100]}, True),
        ("lt", {"values": ["{inventory[cpu][count]}", 8]}, False),
        ("gt", {"values": ["{inventory[cpu][count]}", "7.5"]}, True),
        ("is-empty", {"value": "{inventory[nothing]}"}, True),
        ("is-empty", {"value": ""}, True),
        ("is-empty", {"value": 0}, False),
        ("is-none", {"value": "{inventory[gpu]}"}, True),
        ("!is-none", {"value": "{inventory[cpu]}"}, True),
        ("is-true", {"value": "{inventory[flag]}"}, True),
        ("is-true", {"value": "{plugin_data[seen]}"}, True),
        ("is-true", {"value": "maybe"}, False),
        ("is-false", {"value": "{inventory[nothing]}"}, True),
        ("is-false", {"value": "No"}, True),
        ("in-net", {"address": "{inventory[bmc_address]}", "subnet": "192.0.2.0/24"}, True),
        ("in-net", {"address": "{inventory[gone]}", "subnet": "192.0.2.0/24"}, False),
        ("matches", {"value": "{inventory[system_vendor][manufacturer]}", "regex": "Dell"}, False),
        ("contains", {"value": "{inventory[system_vendor][manufacturer]}", "regex": "(?i)dell"}, 1),
        ("one-of", {"value": "{node.driver}", "values": ["ipmi", "redfish"]}, True),
        ("one-of", {"value": 3, "values": [1, 2]}, False),
    ],
)
def test_a_condition_holds_or_not(op: str, args: Any, expected: object) -> None:
    assert holds(op, args) is bool(expected)


@pytest.mark.parametrize(
    ("multiple", "items", "expected"),
    [
        ("any", ["redfish", "ipmi"], True),
        (None, ["redfish", "ipmi"], True),
        ("all", ["redfish", "ipmi"], False),
        ("first", ["redfish", "ipmi"], False),
        ("last", ["redfish", "ipmi"], True),
        ("all", [], False),
    ],
)
def test_a_loop_joins_the_results_of_its_rounds(
    multiple: str | None, items: list[str], expected: bool
) -> None:
    args = {"values": ["{node.driver}", "{item}"]}
    assert holds("eq", args, loop=items, multiple=multiple) is expected


@pytest.mark.parametrize("op", ["matches", "contains"])
def test_a_regex_takes_linear_time(op: str) -> None:
    found = subject()
    found.inventory["told"] = "a" * 100_000 + "b"
    condition = {"op": op, "args": {"value": "{inventory[told]}", "regex": "^(a+)+$"}}
    check([condition], [{"op": "log", "args": {"msg": "x"}}])
    assert apply([Rule("r", [condition], [{"op": "log", "args": {"msg": "x"}}])], found) == []


def test_a_regex_is_taken_as_it_is_written() -> None:
    assert holds("matches", {"value": "aa{{{{", "regex": r"a{2}\{{2}"})
    assert holds("contains", {"value": "\ud800a", "regex": "^.a$"})
    rule = Rule("old", [{"op": "matches", "args": ["8", "{inventory[cpu][count]}"]}], [])
    with pytest.raises(
        Invalid, match=r"rule old: condition 1 \(matches\): its regex names a field"
    ):
        apply([rule], subject())


def test_what_a_machine_tells_is_not_filled_in() -> None:
    found = subject()
    found.inventory["disks"] = ["{node.name}", {"name": "{node.driver}"}]
    message = {"msg": "{item}"}
    act("log", message, found, loop="{inventory[disks]}")
    assert found.log == [("info", "{node.name}"), ("info", "{'name': '{node.driver}'}")]
    act("log", message, found, loop=["{node.name}"])
    assert found.log[2:] == [("info", "rack1")]


@pytest.mark.parametrize("loop", [[], {}, "{inventory[disks]}"])
def test_a_loop_over_nothing_does_nothing(loop: Any) -> None:
    found = subject()
    found.inventory["disks"] = []
    assert act("fail", {"msg": "x"}, found, loop=loop) is found


def test_a_number_too_great_is_no_accident() -> None:
    found = subject()
    found.inventory["huge"] = 10**400
    text = "{inventory[huge]:.2f}"
    assert interpolated(text, found.facts()) == text
    action = {"op": "log", "args": {"msg": "x"}}
    same = Rule("same", [{"op": "eq", "args": [10**400, 8]}], [action])
    assert apply([same], found) == []
    more = Rule("more", [{"op": "gt", "args": [10**400, 8]}], [action])
    with pytest.raises(Invalid, match=r"rule more: condition 1 \(gt\)"):
        apply([more], found)


def test_values_are_kept_in_the_form_that_requests_keep_them_in() -> None:
    found = subject(conductor_group="")
    act("set-attribute", {"path": "/conductor_group", "value": "Rack-A"}, found)
    act("set-attribute", {"path": "/name", "value": "Rack-A.7_~"}, found)
    act("set-attribute", {"path": "/description", "value": "x" * 4096}, found)
    assert (found.node["conductor_group"], found.node["name"]) == ("rack-a", "Rack-A.7_~")


def test_actions_change_the_node_and_leave_other_values_alone() -> None:
    found = subject()
    info = found.node["driver_info"]
    act(
        "set-attribute",
        {"path": "/driver_info/ipmi_address", "value": "{inventory[bmc_address]}"},
        found,
    )
    assert found.node["driver_info"] == {"ipmi_password": "hunter2", "ipmi_address": "192.0.2.7"}
    assert info == {"ipmi_password": "hunter2"}
    act(
        "set-attribute",
        {"path": "extra.where.rack", "value": {"n": "{item}"}},
        found,
        loop=["1", "2"],
    )
    assert found.node["extra"]["where"] == {"rack": {"n": "2"}}
    act("extend-attribute", {"path": "extra/tags", "value": "a", "unique": True}, found)
    act("extend-attribute", {"path": "extra/tags", "value": "b"}, found)
    assert found.node["extra"]["tags"] == ["a", "b"]
    act("del-attribute", {"path": "/extra/tags"}, found)
    act("del-attribute", {"path": "/extra/never/there"}, found)
    act("del-attribute", {"path": "/description"}, found)
    assert found.node["extra"] == {"where": {"rack": {"n": "2"}}}


def test_capabilities_traits_ports_and_plugin_data() -> None:
    found = subject(properties={"capabilities": "boot_mode:uefi,raid:true"})
    act("set-capability", {"name": "boot_mode", "value": "bios"}, found)
    act("unset-capability", {"name": "raid"}, found)
    assert found.node["properties"] == {"capabilities": "boot_mode:bios"}
    act("add-trait", {"name": "CUSTOM_{node.name}"}, subject(name="GOLD"))
    act("add-trait", {"name": "CUSTOM_A"}, found)
    act("add-trait", {"name": "CUSTOM_B"}, found)
    act("remove-trait", {"name": "CUSTOM_A"}, found)
    assert found.traits == {"CUSTOM_B"}
    port = {"port_id": "52:54:00:00:00:01"}
    act("set-port-attribute", {**port, "path": "physical_network", "value": "net1"}, found)
    act("extend-port-attribute", {"port_id": "p-1", "path": "extra/x", "value": 1}, found)
    assert found.ports[0]["physical_network"] == "net1"
    assert found.ports[0]["extra"] == {"x": [1]}
    act("del-port-attribute", {**port, "path": "physical_network"}, found)
    assert found.ports[0]["physical_network"] is None
    act("set-plugin-data", {"path": "a/b", "value": 1}, found)
    act("extend-plugin-data", {"path": "l", "value": 1}, found)
    act("unset-plugin-data", {"path": "a/b"}, found)
    act("unset-plugin-data", {"path": "seen"}, found)
    assert found.plugin_data == {"a": {}, "l": [1]}


def test_a_rule_gives_a_node_as_many_traits_as_a_request_could() -> None:
    found = subject()
    act("add-trait", {"name": "CUSTOM_{item}"}, found, loop=[f"A{n}" for n in range(49)])
    act("add-trait", {"name": "HW_CPU_X86_VMX"}, found)
    act("add-trait", {"name": "CUSTOM_A7"}, found)
    assert len(found.traits) == 50
    with pytest.raises(
        Invalid, match=r"\(add-trait\): A node can have at most 50 traits; .* 51\.$"
    ):
        act("add-trait", {"name": "CUSTOM_B"}, found)


def test_rules_run_by_priority_and_see_what_earlier_ones_did() -> None:
    found = subject()
    first = Rule("first", [], [{"op": "set-attribute", "args": ["/description", "one"]}], 10)
    second = Rule(
        "second",
        [{"op": "eq", "args": {"values": ["{node.description}", "one"]}}],
        [{"op": "set-attribute", "args": ["/description", "{node.description}+two"]}],
    )
    never = Rule(
        "never", [{"op": "is-true", "args": {"value": False}}], [{"op": "fail", "args": ["x"]}], 99
    )
    assert apply([second, never, first], found) == ["first", "second"]
    assert found.node["description"] == "one+two"


def test_a_failing_rule_is_named_with_its_action() -> None:
    rule = Rule(
        "u-1 (no small ones)", [], [{"op": "fail", "args": {"msg": "{inventory[cpu][count]} CPU"}}]
    )
    with pytest.raises(
        Invalid, match=r"Inspection rule u-1 \(no small ones\): action 1 \(fail\): 8 CPU\."
    ):
        apply([rule], subject())


def test_a_sensitive_rule_shows_no_value() -> None:
    action = {"op": "fail", "args": {"msg": "the password is hunter2"}}
    with pytest.raises(Invalid) as raised:
        apply([Rule("u-1", [], [action], sensitive=True)], subject())
    assert "hunter2" not in raised.value.message
    assert "u-1" in raised.value.message


def test_a_sensitive_rule_logs_that_it_ran_and_no_more() -> None:
    found = subject()
    action = {"op": "log", "args": {"msg": "hunter2", "level": "warning"}}
    apply([Rule("u-1", [], [action], sensitive=True), Rule("u-2", [], [action])], found)
    assert found.log == [
        ("warning", "rule u-1 is sensitive; its message is not shown"),
        ("warning", "hunter2"),
    ]


def test_texts_never_show_a_secret_of_the_node_nor_an_attribute_of_an_object() -> None:
    found = act("log", {"msg": "{node.driver_info[ipmi_password]} {inventory[cpu]}"})
    assert found.log == [("info", "****** {'count': 8, 'architecture': 'x86_64'}")]
    for text in ("{inventory.__class__}", "{inventory[disks].__len__}", "{nobody}", "{", "{0}"):
        assert interpolated(text, subject().facts()) == text
    assert interpolated("{inventory[cpu][count]:999999999}", subject().facts()).startswith("{")


@pytest.mark.parametrize(
    ("op", "args", "said"),
    [
        ("set-attribute", {"path": "/provision_state", "value": "x"}, "cannot change"),
        ("set-attribute", {"path": "/description", "value": 7}, "takes a text"),
        ("set-attribute", {"path": "/conductor_group", "value": None}, "takes a text"),
        ("set-attribute", {"path": "/conductor_group", "value": "a b"}, "conductor group"),
        ("set-attribute", {"path": "/driver", "value": None}, "takes a text"),
        ("set-attribute", {"path": "/deploy_interface", "value": 7}, "takes a text"),
        ("set-attribute", {"path": "/driver/x", "value": "ipmi"}, "nothing below"),
        ("del-attribute", {"path": "/driver"}, "cannot be unset"),
        ("set-attribute", {"path": "/resource_class", "value": "x" * 81}, "at most 80"),
        ("set-attribute", {"path": "/description", "value": "x" * 4097}, "at most 4096"),
        ("set-attribute", {"path": "/name", "value": "a b"}, "cannot be the name"),
        ("set-attribute", {"path": "/name", "value": ".."}, "cannot be the name"),
        ("set-attribute", {"path": "/name", "value": "detail"}, "cannot be the name"),
        ("set-attribute", {"path": "/name", "value": "A" * 32}, "cannot be the name"),
        (
            "set-port-attribute",
            {"port_id": "p-1", "path": "physical_network", "value": "x" * 65},
            "at most 64",
        ),
        ("set-port-attribute", {"port_id": "p-1", "path": "name", "value": "a/b"}, "of a port"),
        ("set-port-attribute", {"port_id": "p-1", "path": "pxe_enabled", "value": None}, "a flag"),
        ("set-attribute", {"path": "/driver_info", "value": "x"}, "takes an object"),
        ("set-attribute", {"path": "/name/x", "value": "x"}, "nothing below"),
        ("set-attribute", {"path": "/extra/tags/x", "value": "x"}, "not an object"),
        ("set-attribute", {"path": "//", "value": "x"}, "no path"),
        ("extend-attribute", {"path": "/extra", "value": "x"}, "not a list"),
        ("del-attribute", {"path": "/conductor_group"}, "cannot be unset"),
        ("set-port-attribute", {"port_id": "p-9", "path": "name", "value": "x"}, "no port"),
        ("add-trait", {"name": "gold"}, "'gold' is no trait"),
        ("add-trait", {"name": "HW_NOTHING"}, "'HW_NOTHING' is no trait"),
        ("add-trait", {"name": "CUSTOM_" + "A" * 249}, "at most 255"),
        ("add-trait", {"name": 7}, "'7' is no trait"),
        ("set-capability", {"name": "a:b", "value": "c"}, "neither"),
        ("log", {"msg": "x", "level": "loud"}, "level"),
    ],
)
def test_what_an_action_cannot_do_is_said(op: str, args: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        act(op, args)


@pytest.mark.parametrize(
    ("conditions", "actions", "said"),
    [
        ([], [], "at least one"),
        ([{"op": "eq"}], [{"op": "fail", "args": ["x"]}], r"conditions\[0\] \(eq\): args"),
        ([{"op": "dance", "args": []}], [], "'dance' is none of"),
        ([{"op": "eq", "args": [1], "multiple": "some"}], [], "multiple"),
        ([{"op": "eq", "args": [1], "loop": 7}], [], "loop"),
        ([{"op": "matches", "args": ["a", "("]}], [], r"missing \): \("),
        ([{"op": "matches", "args": ["a", "(?=a)"]}], [], "none that RE2 takes"),
        ([{"op": "matches", "args": ["a", "\ud800"]}], [], "half a character"),
        ([{"op": "matches", "args": ["a", ["a"]]}], [], "regex is not a text"),
        ([{"op": "contains", "args": ["a", "{inventory[cpu]}"]}], [], "names a field"),
        ([{"op": "contains", "args": ["a", "^{item}$"], "loop": ["a"]}], [], "names a field"),
        ([{"op": "is-none", "args": {"value": 1, "more": 2}}], [], "unknown argument more"),
        ([{"op": "in-net", "args": {"address": "a"}}], [], "subnet is missing"),
        ([], [{"op": "api-call", "args": {"url": "http://x"}}], "not available"),
        ([], [{"op": "!fail", "args": ["x"]}], "is none of"),
        ([], [{"op": "fail", "args": ["x"], "multiple": "any"}], "unknown multiple"),
        ([], ["fail"], "not an object"),
        ([], [{"op": "fail", "args": ["a", "b"]}], "2 arguments"),
    ],
)
def test_a_rule_is_checked_when_it_is_made(conditions: Any, actions: Any, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        check(conditions, actions)


@pytest.mark.parametrize(
    ("op", "args", "said"),
    [
        (
            "set-attribute",
            ["/power_state", "power on"],
            "cannot change the attribute 'power_state'",
        ),
        ("set-attribute", ["provision_state", "{inventory[flag]}"], "attribute 'provision_state'"),
        ("set-attribute", ["/uuid", None], "attribute 'uuid'"),
        ("set-attribute", [5, 5], "attribute '5'"),
        ("set-attribute", ["/name/first", "{node.uuid}"], "nothing below"),
        ("set-attribute", ["/name", "a/b"], "cannot be the name"),
        ("set-attribute", ["/driver_info", []], "takes an object"),
        ("extend-attribute", ["/traits", "CUSTOM_A"], "attribute 'traits'"),
        ("extend-attribute", ["/extra", "x"], "not a list"),
        ("del-attribute", ["/instance_uuid"], "attribute 'instance_uuid'"),
        ("del-attribute", ["/conductor_group"], "cannot be unset"),
        ("set-port-attribute", ["{item}", "/address", "{item}"], "attribute 'address' of a port"),
        ("set-port-attribute", ["{item}", "/pxe_enabled", "maybe"], "takes a flag"),
        ("del-port-attribute", ["{item}", "/uuid"], "attribute 'uuid' of a port"),
    ],
)
def test_what_can_never_be_set_is_refused_when_the_rule_is_made(
    op: str, args: list[Any], said: str
) -> None:
    action = {"op": op, "args": args, "loop": [{"a": 1}]}
    with pytest.raises(Invalid, match=rf"actions\[0\] \({op}\): .*{said}"):
        check([], [action])


@pytest.mark.parametrize(
    ("op", "args"),
    [
        ("set-attribute", ["/{item[key]}", "x"]),
        ("set-attribute", ["/name", "{inventory[system_vendor][serial_number]}/a"]),
        ("set-attribute", ["/extra/deep/down", {"a": ["{item}"]}]),
        ("set-attribute", ["/owner", None]),
        ("extend-attribute", ["/extra/tags", "x", True]),
        ("del-attribute", ["/driver_info/none"]),
        ("set-port-attribute", ["52:54:00:00:00:99", "/physical_network", "a"]),
        ("set-plugin-data", ["/uuid", "x"]),
    ],
)
def test_what_depends_on_what_a_machine_tells_is_taken(op: str, args: list[Any]) -> None:
    check([], [{"op": op, "args": args, "loop": [{"a": 1}]}])


def test_every_operation_of_the_vocabulary_is_there() -> None:
    assert set(OPERATORS) == {
        "eq", "lt", "gt", "is-empty", "is-none", "is-true", "is-false", "in-net", "matches",
        "contains", "one-of",
    }  # fmt: skip
    assert len(ACTIONS) == 15
