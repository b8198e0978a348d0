"""The microversions of the API: what each one brought, and which one a request speaks.

A request without a version speaks 1.1. Numbers are plain ints everywhere else:
31 stands for 1.31.
"""

from __future__ import annotations

import re

from werkzeug.datastructures import Headers

from api.errors import RouterError

REQUEST_HEADER = "X-OpenStack-Ironic-API-Version"
SERVICE_HEADER = "OpenStack-API-Version"
MINIMUM_HEADER = "X-OpenStack-Ironic-API-Minimum-Version"
MAXIMUM_HEADER = "X-OpenStack-Ironic-API-Maximum-Version"

CHANGES: tuple[tuple[int, str], ...] = (
    (1, "the base: nodes, ports, chassis, drivers"),
    (2, "nodes at rest read 'available' instead of null"),
    (3, "node.driver_internal_info"),
    (4, "state manageable, verbs manage and provide"),
    (5, "names of nodes"),
    (6, "verb inspect, node.inspection_started_at and inspection_finished_at"),
    (7, "node.clean_step"),
    (8, "fields= chooses what is returned"),
    (9, "nodes by provision_state"),
    (10, "names of nodes may have any unreserved URL character"),
    (11, "new nodes are in state enroll, not available"),
    (12, "RAID: node.raid_config, target_raid_config, states/raid"),
    (13, "verb abort"),
    (14, "node.states, links to a driver's properties"),
    (15, "verb clean"),
    (16, "nodes by driver"),
    (17, "verb adopt"),
    (18, "port.internal_info"),
    (19, "port.local_link_connection and pxe_enabled"),
    (20, "node.network_interface"),
    (21, "node.resource_class"),
    (22, "lookup and heartbeat"),
    (23, "port groups"),
    (24, "port.portgroup_uuid, ports of a port group"),
    (25, "node.chassis_uuid may be removed"),
    (26, "mode and properties of port groups"),
    (27, "soft power off, soft rebooting, time-outs of power requests"),
    (28, "VIFs of nodes"),
    (29, "non-maskable interrupts"),
    (30, "drivers tell their interfaces and type"),
    (31, "interfaces of nodes"),
    (32, "volume connectors and targets"),
    (33, "node.storage_interface"),
    (34, "port.physical_network"),
    (35, "a config drive may come with rebuild"),
    (36, "heartbeats carry the agent's version"),
    (37, "traits of nodes"),
    (38, "verbs rescue and unrescue, node.rescue_interface"),
    (39, "state inspect wait is shown"),
    (40, "BIOS settings, node.bios_interface"),
    (41, "abort in inspect wait"),
    (42, "node.fault"),
    (43, "detail= on lists"),
    (44, "node.deploy_step"),
    (45, "reset_interfaces when the driver changes"),
    (46, "node.conductor_group"),
    (47, "node.automated_clean"),
    (48, "node.protected and protected_reason"),
    (49, "conductors, node.conductor"),
    (50, "node.owner"),
    (51, "node.description"),
    (52, "allocations"),
    (53, "port.is_smartnic"),
    (54, "events of other services"),
    (55, "deploy templates"),
    (56, "a config drive may be an object"),
    (57, "allocations may be changed"),
    (58, "allocations of nodes in use"),
    (59, "vendor data in config drives"),
    (60, "owners of allocations"),
    (61, "node.retired and retired_reason"),
    (62, "tokens for agents"),
    (63, "indicators"),
    (64, "network_type in port.local_link_connection"),
    (65, "node.lessee"),
    (66, "node.network_data"),
    (67, "VIFs on a chosen port or port group"),
    (68, "heartbeats carry the agent's certificate"),
    (69, "deploy steps in a provision request"),
    (70, "cleaning without a ramdisk"),
    (71, "roles have scopes; no change here"),
    (72, "heartbeats carry the agent's status"),
    (73, "verbs deploy and undeploy"),
    (74, "details of BIOS settings"),
    (75, "node.boot_mode and secure_boot"),
    (76, "setting boot mode and secure boot"),
    (77, "fields= on drivers"),
    (78, "history of nodes"),
    (79, "an allocation prefers the node whose name it has"),
    (80, "projects may create and delete nodes of their own; no change here"),
    (81, "inventory of nodes"),
    (82, "shards"),
    (83, "parent and child nodes"),
    (84, "inspection data from the ramdisk"),
    (85, "hold states, verb unhold"),
    (86, "firmware of nodes, node.firmware_interface"),
    (87, "verb service, node.service_step"),
    (88, "port.name"),
    (89, "virtual media may be attached"),
    (90, "OVN gateways in port.local_link_connection"),
    (91, "no .json at the end of paths"),
    (92, "runbooks"),
    (93, "virtual media may be read"),
    (94, "a new port may name its node by name"),
    (95, "node.disable_power_off"),
    (96, "inspection rules"),
    (97, "port.description"),
    (98, "escaped paths in JSON patches"),
    (99, "ports by conductor group"),
    (100, "port.vendor"),
    (101, "port.category"),
    (102, "physical_network of port groups"),
    (103, "category of port groups"),
    (104, "node.instance_name"),
    (105, "OVN gateways are not accepted any more; they still are here"),
    (106, "port groups by shard"),
    (107, "X-OpenStack-Request-Id; always sent here"),
    (108, "servicing without a ramdisk"),
    (109, "node.health"),
    (110, "abort in wait call-back"),
    (111, "port.available_for_dynamic_portgroup, dynamic port groups"),
    (112, "traits and descriptions of runbooks, names of runbooks need not be traits"),
    (113, "project in a node's history"),
    (114, "vendor, model and serial number of firmware components"),
    (115, "states and durations in a node's history"),
)

MINIMUM = 1
MAXIMUM = CHANGES[-1][0]

_NUMBER = re.compile(r"(\d{1,6})\.(\d{1,6})")


class VersionRefused(RouterError):
    """The version cannot be spoken. ``readable``: it was a version at all."""

    def __init__(self, description: str, *, readable: bool) -> None:
        super().__init__(406, description)
        self.readable = readable


def negotiate(headers: Headers) -> int:
    """The minor version that a request speaks. Raises VersionRefused."""
    asked = asked_for(headers)
    if asked is None:
        return MINIMUM
    if asked.lower() == "latest":
        return MAXIMUM
    number = _NUMBER.fullmatch(asked)
    if number is None:
        raise VersionRefused(f"Invalid API version {asked[:40]!r}.", readable=False)
    major, minor = int(number[1]), int(number[2])
    if major != 1 or not MINIMUM <= minor <= MAXIMUM:
        raise VersionRefused(
            f"Version {asked} was requested but is not supported; the supported versions are "
            f"{text(MINIMUM)} to {text(MAXIMUM)}.",
            readable=True,
        )
    return minor


def asked_for(headers: Headers) -> str | None:
    """The version as written in the request, or None. The general header wins over the old one."""
    for entry in headers.get(SERVICE_HEADER, "").split(","):
        service, _, version = entry.strip().partition(" ")
        if service.lower() == "baremetal":
            return version.strip()
    old = headers.get(REQUEST_HEADER)
    return None if old is None else old.strip()


def text(minor: int) -> str:
    """``31`` as ``1.31``."""
    return f"1.{minor}"


def response_headers(version: int | None, *, range_known: bool = True) -> dict[str, str]:
    """The headers that tell a client the range and, when one was agreed on, the version."""
    headers = {}
    if range_known:
        headers = {MINIMUM_HEADER: text(MINIMUM), MAXIMUM_HEADER: text(MAXIMUM)}
    if version is not None:
        headers[REQUEST_HEADER] = text(version)
    return headers
