"""What the variable parts of a request mean: query arguments, parts of paths, headers.

One line per name, whatever endpoint takes it; the endpoints say which they take and
since when. Values of ``fields`` and ``sort_key`` depend on the noun: ``openapi.py``
takes those from its table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api.fields import BOOLEAN, LONGEST, UUID
from api.query import LARGEST
from drophammer.states import STATES, VERBS

_LINE: dict[str, Any] = {"type": "string"}
_LIST: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": LARGEST}
_EVENT: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}


@dataclass(frozen=True)
class Argument:
    """The meaning and the schema of one name. Lists are written with commas."""

    description: str
    schema: Mapping[str, Any]


# fmt: off
QUERY: dict[str, Argument] = {
    # Lists
    "limit": Argument("Most items in the answer; the service has a limit of its own.", _COUNT),
    "marker": Argument("The item after which the page begins: the last one of the page before.",
                       _LINE),
    "sort_key": Argument("The field to sort by; by default the order of creation.", _LINE),
    "sort_dir": Argument("The direction to sort in.", {"enum": ["asc", "desc"]}),
    "fields": Argument("The fields to show, instead of all or of those that lists show.", _LIST),
    "detail": Argument("Show all fields of each item.", BOOLEAN),
    "after": Argument("The id of the last event that is known already.", _EVENT),

    # Filters
    "address": Argument("Only those with this MAC address.", _LINE),
    "associated": Argument("Only nodes that have an instance, or have none.", BOOLEAN),
    "chassis_uuid": Argument("Only nodes in this chassis.", UUID),
    "conductor": Argument("Only nodes that the conductor of this host name looks after.", _LINE),
    "conductor_group": Argument("Only nodes of this conductor group.", _LINE),
    "conductor_groups": Argument("Only those on nodes of one of these conductor groups.", _LIST),
    "description_contains": Argument("Only those with these words in their description.",
                                     {"type": "string", "maxLength": LONGEST}),
    "driver": Argument("Only nodes of this hardware type.", _LINE),
    "fault": Argument("Only nodes with this fault.",
                      {"enum": ["power failure", "clean failure", "rescue abort failure",
                                "service failure"]}),
    "include_children": Argument("Nodes that have a parent too.", BOOLEAN),
    "instance_name": Argument("Only nodes whose instance has this name.", _LINE),
    "instance_uuid": Argument("Only the node of this instance.", UUID),
    "lessee": Argument("Only nodes lent to this project.", _LINE),
    "maintenance": Argument("Only nodes in maintenance, or only others.", BOOLEAN),
    "node": Argument("The UUID or name of the node that is meant.", _LINE),
    "node_uuid": Argument("The UUID of the node that is meant.", _LINE),
    "owner": Argument("Only those owned by this project.", _LINE),
    "parent_node": Argument("Only children of this node.", UUID),
    "phase": Argument("Only rules of this phase.", _LINE),
    "portgroup": Argument("Only ports of this port group, by its UUID or name.", _LINE),
    "project": Argument("Only those that this project owns or has been lent.", _LINE),
    "provision_state": Argument("Only nodes in this state.", {"enum": list(STATES)}),
    "resource_class": Argument("Only those of this resource class.", _LINE),
    "retired": Argument("Only retired nodes, or only others.", BOOLEAN),
    "shard": Argument("Only those of one of these shards.", _LIST),
    "sharded": Argument("Only nodes that have a shard, or have none.", BOOLEAN),
    "state": Argument("Only allocations in this state.", _LINE),
    "kind": Argument("Only events of one of these kinds, such as state or power.", _LIST),
    "source": Argument("Only events that this role tells of, such as conductor.", _LINE),
    "type": Argument("The kind of hardware types; those of today are dynamic.",
                     {"enum": ["classic", "dynamic"]}),

    # Others
    "addresses": Argument("The MAC addresses of the machine.", _LIST),
    "device_types": Argument("The kinds of devices to detach; without it, all.", _LIST),
    "method": Argument("The name of the vendor's method.", _LINE),
    "only": Argument("The checks that are to count, such as database; without it, all.", _LIST),
    "reason": Argument("Why, for those who read the node's history.",
                       {"type": "string", "maxLength": LONGEST}),
    "reset_interfaces": Argument("Bring the interfaces to the new driver's defaults, but those "
                                 "that the patch names.", BOOLEAN),
    "runbook": Argument("The UUID or name of the runbook whose steps are meant.", _LINE),
    "stream": Argument("Stay connected and be told of each event as it happens, or get a page "
                       "of them now; without it, what the Accept header prefers.", BOOLEAN),
    "target": Argument("The verb, as PUT states/provision takes it.", {"enum": list(VERBS)}),
}

PATH: dict[str, Argument] = {
    "component": Argument("What the indicator is on, such as system.", _LINE),
    "hostname": Argument("The host name of a conductor, or of a netboot host.", _LINE),
    "ident": Argument("A UUID, or a name where there are names.", _LINE),
    "method": Argument("The name of the vendor's method.", _LINE),
    "name": Argument("A name.", _LINE),
    "setting": Argument("The name of a BIOS setting.", _LINE),
    "trait": Argument("A trait, such as CUSTOM_GPU.", {"type": "string", "maxLength": 255}),
    "uuid": Argument("A UUID.", _LINE),
    "vif": Argument("The id of a VIF.", _LINE),
}

HEADER: dict[str, Argument] = {
    "Last-Event-ID": Argument("The same as after, and it wins: clients of event streams send it "
                              "by themselves when they come back.", _EVENT),
}
# fmt: on
