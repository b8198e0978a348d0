"""What inspection rules can do to a node: each action on plain values, one table of them.

What a rule may set, and to which values, is in ``rulevalues.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from drophammer import traits
from drophammer.errors import Invalid
from drophammer.interpolation import fixed
from drophammer.masking import mask
from drophammer.rulevalues import NODE, OBJECT, PORT, Settable

LEVELS = ("debug", "info", "warning", "error")


@dataclass
class Subject:
    """What rules look at and change. ``node`` and the ``ports`` are columns by name."""

    node: dict[str, Any]
    inventory: dict[str, Any]
    plugin_data: dict[str, Any]
    ports: list[dict[str, Any]] = field(default_factory=list)
    traits: set[str] = field(default_factory=set)
    log: list[tuple[str, str]] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """What texts may name. They end up in errors and logs: no secrets of the node's."""
        return {
            "node": mask(self.node),
            "inventory": self.inventory,
            "plugin_data": self.plugin_data,
        }


@dataclass(frozen=True)
class Action:
    """An action: the names of its arguments and what it does to a Subject.

    ``change`` of ``known`` attributes is what it comes to, for those that have a path.
    """

    run: Callable[..., None]
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    change: Callable[..., None] | None = None
    known: Settable | None = None

    def check_fixed(self, args: Mapping[str, Any]) -> None:
        """Raise Invalid for what it could never do, whatever a machine tells.

        What is yet to be filled in may be anything.
        """
        if self.change is None or self.known is None or not fixed(args["path"]):
            return
        _path(self.known, args["path"])
        values = {name: value for name, value in args.items() if name != "port_id"}
        if fixed(values):
            self.change({}, self.known, **values)


def _fail(subject: Subject, msg: Any) -> None:
    raise Invalid(str(msg))


def _log(subject: Subject, msg: Any, level: Any = "info") -> None:
    if level not in LEVELS:
        raise Invalid(f"level is none of {', '.join(LEVELS)}")
    subject.log.append((level, str(msg)))


def _set_attribute(subject: Subject, path: Any, value: Any) -> None:
    _put(subject.node, NODE, path, value)


def _extend_attribute(subject: Subject, path: Any, value: Any, unique: Any = False) -> None:
    _extend(subject.node, NODE, path, value, unique)


def _del_attribute(subject: Subject, path: Any) -> None:
    _remove(subject.node, NODE, path)


def _set_port(subject: Subject, port_id: Any, path: Any, value: Any) -> None:
    _put(_port(subject, port_id), PORT, path, value)


def _extend_port(
    subject: Subject, port_id: Any, path: Any, value: Any, unique: Any = False
) -> None:
    _extend(_port(subject, port_id), PORT, path, value, unique)


def _del_port(subject: Subject, port_id: Any, path: Any) -> None:
    _remove(_port(subject, port_id), PORT, path)


def _set_plugin_data(subject: Subject, path: Any, value: Any) -> None:
    _put(subject.plugin_data, None, path, value)


def _extend_plugin_data(subject: Subject, path: Any, value: Any, unique: Any = False) -> None:
    _extend(subject.plugin_data, None, path, value, unique)


def _unset_plugin_data(subject: Subject, path: Any) -> None:
    _remove(subject.plugin_data, None, path)


def _set_capability(subject: Subject, name: Any, value: Any) -> None:
    capabilities = _capabilities(subject)
    if not _plain(name) or not _plain(value):
        raise Invalid("a capability's name and value hold neither ',' nor ':'")
    capabilities[str(name)] = str(value)
    _keep_capabilities(subject, capabilities)


def _unset_capability(subject: Subject, name: Any) -> None:
    capabilities = _capabilities(subject)
    capabilities.pop(str(name), None)
    _keep_capabilities(subject, capabilities)


def _capabilities(subject: Subject) -> dict[str, str]:
    """``properties["capabilities"]``, "name:value,...", as a mapping."""
    text = subject.node["properties"].get("capabilities")
    if isinstance(text, dict):
        return {str(name): str(value) for name, value in text.items()}
    pairs = [item.partition(":") for item in str(text or "").split(",") if item.strip()]
    return {name.strip(): value.strip() for name, _, value in pairs}


def _keep_capabilities(subject: Subject, capabilities: Mapping[str, str]) -> None:
    text = ",".join(f"{name}:{value}" for name, value in capabilities.items())
    subject.node["properties"] = {**subject.node["properties"], "capabilities": text}


def _plain(value: Any) -> bool:
    return bool(str(value)) and not set(str(value)) & {",", ":"}


def _add_trait(subject: Subject, name: Any) -> None:
    wanted = subject.traits | {str(name)}
    traits.check_all(wanted, "a node")
    subject.traits = wanted


def _remove_trait(subject: Subject, name: Any) -> None:
    subject.traits.discard(str(name))


def _port(subject: Subject, port_id: Any) -> dict[str, Any]:
    wanted = str(port_id).lower()
    for port in subject.ports:
        if wanted in (port["uuid"], port["address"]):
            return port
    raise Invalid(f"the node has no port {str(port_id)[:80]!r} (a MAC address or UUID)")


def _keys(path: Any) -> list[str]:
    """The keys of "/driver_info/address", "driver_info/address" or "driver_info.address"."""
    text = str(path).removeprefix("/")
    keys = text.split("/") if "/" in text or str(path).startswith("/") else text.split(".")
    if not all(keys):
        raise Invalid(f"{str(path)[:80]!r} is no path such as /driver_info/address")
    return [key.replace("~1", "/").replace("~0", "~") for key in keys]


def _path(known: Settable | None, path: Any) -> list[str]:
    keys = _keys(path)
    if known is not None and known.kind(keys[0]) != OBJECT and len(keys) > 1:
        raise Invalid(f"the attribute {keys[0]!r} of a {known.noun} has nothing below it")
    return keys


def _put(thing: dict[str, Any], known: Settable | None, path: Any, value: Any) -> None:
    keys = _path(known, path)
    if known is not None and len(keys) == 1:
        value = known.checked(keys[0], value)
    _set(thing, keys, value)


def _set(thing: dict[str, Any], keys: list[str], value: Any) -> None:
    """Put ``value`` at ``keys``, without changing any object that is there: it may be shared."""
    key, *rest = keys
    if not rest:
        thing[key] = value
        return
    inner = thing.get(key)
    if inner is not None and not isinstance(inner, dict):
        raise Invalid(f"{key[:80]!r} is not an object")
    copy = dict(inner or {})
    _set(copy, rest, value)
    thing[key] = copy


def _get(thing: Any, keys: list[str]) -> Any:
    for key in keys:
        if not isinstance(thing, dict) or key not in thing:
            return None
        thing = thing[key]
    return thing


def _extend(
    thing: dict[str, Any], known: Settable | None, path: Any, value: Any, unique: Any = False
) -> None:
    keys = _path(known, path)
    if known is not None and len(keys) == 1:
        raise Invalid(f"the attribute {keys[0]!r} of a {known.noun} is not a list")
    present = _get(thing, keys)
    if present is not None and not isinstance(present, list):
        raise Invalid(f"{str(path)[:80]!r} is not a list")
    items = list(present or [])
    if unique is True and value in items:
        return
    _set(thing, keys, [*items, value])


def _remove(thing: dict[str, Any], known: Settable | None, path: Any) -> None:
    keys = _path(known, path)
    if known is not None and len(keys) == 1:
        thing[keys[0]] = known.empty(keys[0])
        return
    holder = _get(thing, keys[:-1])
    if isinstance(holder, dict) and keys[-1] in holder:
        left = {key: value for key, value in holder.items() if key != keys[-1]}
        if keys[:-1]:
            _set(thing, keys[:-1], left)
        else:
            del thing[keys[-1]]


ACTIONS: dict[str, Action] = {
    "fail": Action(_fail, ("msg",)),
    "log": Action(_log, ("msg",), ("level",)),
    "set-attribute": Action(_set_attribute, ("path", "value"), (), _put, NODE),
    "extend-attribute": Action(_extend_attribute, ("path", "value"), ("unique",), _extend, NODE),
    "del-attribute": Action(_del_attribute, ("path",), (), _remove, NODE),
    "set-port-attribute": Action(_set_port, ("port_id", "path", "value"), (), _put, PORT),
    "extend-port-attribute": Action(
        _extend_port, ("port_id", "path", "value"), ("unique",), _extend, PORT
    ),
    "del-port-attribute": Action(_del_port, ("port_id", "path"), (), _remove, PORT),
    "set-capability": Action(_set_capability, ("name", "value")),
    "unset-capability": Action(_unset_capability, ("name",)),
    "add-trait": Action(_add_trait, ("name",)),
    "remove-trait": Action(_remove_trait, ("name",)),
    "set-plugin-data": Action(_set_plugin_data, ("path", "value")),
    "extend-plugin-data": Action(_extend_plugin_data, ("path", "value"), ("unique",)),
    "unset-plugin-data": Action(_unset_plugin_data, ("path",)),
}
