"""Choosing steps: what a node's interfaces offer, what an operator names, in which order.

Nothing here touches hardware or the journal. What only the ramdisk can tell is
checked again by ``steps/agent.py`` when it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from drophammer.errors import Invalid
from drophammer.model import Node
from drophammer.operations import ALL_DISKS, RAID_VOLUMES, StepSpec

if TYPE_CHECKING:
    from conductor.drivers.registry import Driver

USER, TEMPLATE = "user", "template"
# Beside a named step: of which template it is.
ORIGIN = "origin"
# Steps of any interface's name that the conductor itself runs.
RESERVED = frozenset({"power_on", "power_off", "reboot", "hold", "wait"})
ON_CHILDREN = "child_nodes"
_FOR_CHILDREN = ("power_on", "power_off", "reboot")
# In which order interfaces come, among steps of equal priority.
INTERFACE_ORDER = ("vendor", "power", "management", "firmware", "deploy", "bios", "raid")
_CORE = ("deploy", "deploy")
# With this step a deployment has sent the ramdisk away.
AGENT_LEAVES = ("deploy", "tear_down_agent")
# The firmware's log of crashes holds nothing of a disk.
_NOT_OF_DISKS = frozenset({"erase_pstore"})

Children = Callable[[], Sequence[str]]


def offered(driver: Driver, node: Node, purpose: str) -> list[StepSpec]:
    """What the node's interfaces offer for "clean", "deploy" or "service"."""
    return [
        spec for kind in INTERFACE_ORDER for spec in driver.interface(kind).steps(node, purpose)
    ]


def rank(spec: StepSpec) -> tuple[int, int]:
    """Sorting key: highest priority first, then by interface."""
    known = spec.interface in INTERFACE_ORDER
    place = INTERFACE_ORDER.index(spec.interface) if known else len(INTERFACE_ORDER)
    return -spec.priority, place


def automatic(specs: Iterable[StepSpec]) -> list[StepSpec]:
    """Those that run without being named, in order."""
    return sorted((spec for spec in specs if spec.priority > 0), key=rank)


def erases(step: str) -> bool:
    """Whether a clean step, by its name, takes a former tenant's data off the disks."""
    return step.startswith("erase") and step not in _NOT_OF_DISKS


def destroyed_by_agent(interface: str, step: str) -> str:
    """On what a step of the ramdisk's destroys data, as far as its name tells."""
    if interface == "raid":
        return RAID_VOLUMES
    return ALL_DISKS if erases(step) else ""


def nothing_to_erase(node: Node, have: Iterable[StepSpec]) -> str:
    """What is said when automated cleaning would leave all data where it is.

    ``have`` is all that there would be, whatever its priority.
    """
    idle = ", ".join(f"{spec.interface}.{spec.step}" for spec in have if erases(spec.step))
    why = f"those of {idle} are 0" if idle else "no step that erases is on offer"
    return (
        f"Automated cleaning of node {node.uuid} has no erase step with a priority above 0 "
        f"({why}). Nothing was erased. Give one a priority (driver_info step_priorities, "
        "[conductor] clean_step_priority_override, [deploy] erase_devices*_priority), or set the "
        "node's automated_clean to false to do without cleaning."
    )


def in_order(steps: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """An operator's list as it is to run: as given, or by ``order`` where that is given."""
    ordered = [step for step in steps if step.get("order") is not None]
    if ordered and len(ordered) < len(steps):
        raise Invalid("Give 'order' with every step of the list, or with none.")
    return sorted(ordered, key=lambda step: step["order"]) if ordered else list(steps)


def chosen(
    steps: Iterable[Mapping[str, Any]],
    source: str,
    offers: Iterable[StepSpec],
    *,
    agent: bool,
    children: Children,
) -> list[StepSpec]:
    """The steps that somebody named, checked against what is on offer.

    ``agent``: steps that no interface offers may be the ramdisk's, which tells when
    it runs. Raises Invalid for unknown steps, unknown and missing arguments.
    """
    known = {(spec.interface, spec.step): spec for spec in offers}
    return [
        replace(
            _chosen(step, source, known, agent=agent, children=children),
            origin=str(step.get(ORIGIN) or ""),
        )
        for step in steps
    ]


def _chosen(
    step: Mapping[str, Any],
    source: str,
    known: Mapping[tuple[str, str], StepSpec],
    *,
    agent: bool,
    children: Children,
) -> StepSpec:
    interface, name = str(step["interface"]), str(step["step"])
    args = dict(step.get("args") or {})
    priority = int(step.get("priority") or 0)
    if name in RESERVED:
        checked = _reserved_args(step, name, args, children)
        return StepSpec(interface, name, priority, source, checked, abortable=True)
    if step.get("execute_on_child_nodes"):
        raise Invalid(
            f"Step {interface}.{name} cannot run on child nodes; {', '.join(_FOR_CHILDREN)} can."
        )
    offer = known.get((interface, name))
    if offer is None and not agent:
        have = ", ".join(f"{key[0]}.{key[1]}" for key in known) or "none"
        raise Invalid(f"There is no step {interface}.{name} for this node now; there is: {have}.")
    if offer is None:
        return StepSpec(interface, name, priority, source, args, requires_ramdisk=True)
    if step.get("priority") != 0:  # What is taken out needs no arguments.
        check_arguments(f"{interface}.{name}", args, offer.argsinfo)
    return replace(offer, priority=priority, source=source, args=args)


def refuse_power_off(node: Node, specs: Iterable[StepSpec]) -> None:
    """Raise Invalid for steps that switch a machine off that must stay on."""
    for spec in specs if node.disable_power_off else ():
        if spec.step in ("power_off", "reboot") and ON_CHILDREN not in spec.args:
            raise Invalid(
                f"Step {spec.interface}.{spec.step}: node {node.uuid} has power off disabled "
                "(disable_power_off)."
            )


def check_arguments(name: str, args: Mapping[str, Any], argsinfo: Mapping[str, Any]) -> None:
    """Raise Invalid, naming every one, for arguments that a step does not take or misses."""
    unknown = [key for key in args if key not in argsinfo]
    missing = [
        key
        for key, about in argsinfo.items()
        if isinstance(about, dict) and about.get("required") and key not in args
    ]
    problems = [f"it takes no argument {', '.join(map(repr, unknown))}"] if unknown else []
    problems += [f"argument {', '.join(map(repr, missing))} is missing"] if missing else []
    if problems:
        takes = f" It takes: {', '.join(argsinfo)}." if argsinfo and unknown else ""
        raise Invalid(f"Step {name}: {'; '.join(problems)}.{takes}")


def _reserved_args(
    step: Mapping[str, Any], name: str, args: dict[str, Any], children: Children
) -> dict[str, Any]:
    label = f"{step['interface']}.{name}"
    if name == "wait":
        check_arguments(label, args, {"seconds": {}})
        seconds = args.get("seconds", 0)
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
            raise Invalid(f"Step {label}: seconds must be a number of at least 0.")
    else:
        check_arguments(label, args, {})
    if not step.get("execute_on_child_nodes"):
        if step.get("limit_child_node_execution"):
            raise Invalid(f"Step {label}: a limit needs execute_on_child_nodes.")
        return args
    if name not in _FOR_CHILDREN:
        raise Invalid(f"Step {label} cannot run on child nodes; {', '.join(_FOR_CHILDREN)} can.")
    return {ON_CHILDREN: _children(label, step.get("limit_child_node_execution"), children())}


def _children(label: str, limit: Sequence[str] | None, present: Sequence[str]) -> list[str]:
    """UUIDs of the child nodes that a step is for."""
    if not present:
        raise Invalid(f"Step {label}: this node has no child nodes (parent_node) to run it on.")
    strangers = [uuid for uuid in limit or () if uuid not in present]
    if strangers:
        raise Invalid(f"Step {label}: {', '.join(strangers)} is no child of this node.")
    return list(limit or present)


def merged(
    own: Sequence[StepSpec], templates: Sequence[StepSpec], user: Sequence[StepSpec]
) -> list[StepSpec]:
    """The steps of a deployment: the driver's, replaced by the templates', by the user's.

    Of the same step the user's word counts most; priority 0 takes a step out. The
    conductor's own steps keep their place at the front. Raises Invalid for a step
    that one side names twice, and for a core step that is not merely taken out.
    """
    front = [spec for spec in own if spec.interface == "conductor"]
    steps = {_key(spec): spec for spec in own if spec.interface != "conductor"}
    for given in (templates, user):
        _refuse_twice(given)
        for spec in given:
            _refuse_core(spec)
            steps[_key(spec)] = spec
    return [*front, *automatic(steps.values())]


def left_out(*given: Iterable[StepSpec]) -> list[str]:
    """Names of the steps that the last word about them takes out, with priority 0."""
    last = {_key(spec): spec for specs in given for spec in specs}
    return [f"{spec.interface}.{spec.step}" for spec in last.values() if spec.priority == 0]


def _key(spec: StepSpec) -> tuple[str, ...]:
    return (spec.interface, spec.step)


def _refuse_twice(specs: Sequence[StepSpec]) -> None:
    seen: set[tuple[str, ...]] = set()
    for spec in specs:
        if _key(spec) in seen:
            raise Invalid(
                f"Step {spec.interface}.{spec.step} is given twice by "
                f"{'the deploy templates' if spec.source == TEMPLATE else 'deploy_steps'}."
            )
        seen.add(_key(spec))


def _refuse_core(spec: StepSpec) -> None:
    if _key(spec) == _CORE and spec.priority > 0:
        raise Invalid(
            "Step deploy.deploy is the deployment itself: it can be taken out with priority 0, "
            "not replaced or moved."
        )
