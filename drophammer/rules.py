"""Inspection rules: what may be in one, whether it holds for what was found, what it then does.

Pure: works on plain values. ``OPERATORS`` and ``ACTIONS`` are the tables by which the
API checks a rule when it is made; ``apply`` runs rules on a ``Subject``, and the
caller writes down what has changed. The vocabulary is Ironic's.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from drophammer import ruleregex
from drophammer.errors import DrophammerError, Invalid
from drophammer.interpolation import MISSING, interpolated, looked_up
from drophammer.ruleactions import ACTIONS, Action, Subject

MULTIPLE = ("any", "all", "first", "last")
PHASES = ("main",)
_TRUE, _FALSE = ("yes", "true"), ("no", "false")


@dataclass(frozen=True)
class Operator:
    """A condition: the names of its arguments and the test.

    ``raw``: it tests the value that a text names, not the text. An argument ``regex`` is
    taken as it is written.
    """

    required: tuple[str, ...]
    test: Callable[..., bool]
    optional: tuple[str, ...] = ()
    raw: bool = False


@dataclass(frozen=True)
class Rule:
    """One inspection rule. ``name`` is what people call it in errors."""

    name: str
    conditions: Sequence[Mapping[str, Any]]
    actions: Sequence[Mapping[str, Any]]
    priority: int = 0
    sensitive: bool = False


def _equal(values: list[Any], force_strings: bool = False) -> bool:
    same = _comparable(values, force_strings)
    return all(value == same[0] for value in same[1:])


def _ascending(values: list[Any], force_strings: bool = False) -> bool:
    return all(a < b for a, b in pairwise(_ordered(values, force_strings)))


def _descending(values: list[Any], force_strings: bool = False) -> bool:
    return all(a > b for a, b in pairwise(_ordered(values, force_strings)))


def _ordered(values: list[Any], force_strings: bool) -> list[Any]:
    numbers = None if force_strings else _numbers(values)
    same = _comparable(values, force_strings) if numbers is None else numbers
    if numbers is None and not all(isinstance(value, str) for value in same):
        raise Invalid("its values cannot be put in order: they are neither numbers nor texts")
    return same


def _comparable(values: list[Any], force_strings: bool) -> list[Any]:
    """Texts of numbers as numbers where one of the values is a number."""
    if not isinstance(values, list) or not values:
        raise Invalid("its values are not a list with something in it")
    if force_strings:
        return [str(value) for value in values]
    numbers = _numbers(values)
    return values if numbers is None or all(isinstance(v, str) for v in values) else numbers


def _numbers(values: list[Any]) -> list[float] | None:
    """The values as numbers; None when one of them is none."""
    if any(isinstance(value, bool) for value in values):
        return None
    try:
        return [float(value) for value in values]
    except (TypeError, ValueError, ArithmeticError):
        return None


def _in_net(address: Any, subnet: Any) -> bool:
    try:
        network = ipaddress.ip_network(str(subnet), strict=False)
    except ValueError:
        raise Invalid(f"{str(subnet)[:80]!r} is no network such as 192.0.2.0/24") from None
    try:
        return ipaddress.ip_address(str(address)) in network
    except ValueError:
        return False  # What is no address is in no network.


def _is_true(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in _TRUE
    return isinstance(value, bool | int | float) and bool(value)


def _is_false(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in _FALSE
    return value is None or (isinstance(value, bool | int | float) and not value)


OPERATORS: dict[str, Operator] = {
    "eq": Operator(("values",), _equal, ("force_strings",)),
    "lt": Operator(("values",), _ascending, ("force_strings",)),
    "gt": Operator(("values",), _descending, ("force_strings",)),
    "is-empty": Operator(("value",), lambda value: value in (None, "", [], {}), raw=True),
    "is-none": Operator(("value",), lambda value: value is None, raw=True),
    "is-true": Operator(("value",), _is_true, raw=True),
    "is-false": Operator(("value",), _is_false, raw=True),
    "in-net": Operator(("address", "subnet"), _in_net),
    "matches": Operator(("value", "regex"), ruleregex.matches),
    "contains": Operator(("value", "regex"), ruleregex.contains),
    "one-of": Operator(("value", "values"), lambda value, values: value in values),
}
# Known, and not to be had: what it would call is for no rule to choose.
REFUSED_ACTIONS = frozenset({"api-call"})


def check(conditions: Sequence[Any], actions: Sequence[Any]) -> None:
    """Raise Invalid, saying where, unless these can be a rule's conditions and actions."""
    for place, condition in enumerate(conditions):
        _check_item(f"conditions[{place}]", condition, OPERATORS, ("loop", "multiple"))
    if not actions:
        raise Invalid("actions: a rule needs at least one.")
    for place, action in enumerate(actions):
        _check_item(f"actions[{place}]", action, ACTIONS, ("loop",))


def _check_item(
    where: str, item: Any, table: Mapping[str, Operator | Action], extra: tuple[str, ...]
) -> None:
    if not isinstance(item, dict) or not isinstance(item.get("op"), str):
        raise Invalid(f"{where}: not an object with an 'op'.")
    unknown = set(item) - {"op", "args", *extra}
    if unknown:
        raise Invalid(f"{where}: unknown {', '.join(sorted(map(str, unknown)))}.")
    op = _op_name(item["op"])[0] if table is OPERATORS else item["op"]
    if op in REFUSED_ACTIONS and table is not OPERATORS:
        raise Invalid(f"{where}: '{op}' is not available; rules make no calls to other services.")
    if op not in table:
        raise Invalid(f"{where}: {op[:80]!r} is none of {', '.join(table)}.")
    if "loop" in item and not isinstance(item["loop"], list | dict | str | None):
        raise Invalid(f"{where}: loop is not a list.")
    if item.get("multiple") not in (None, *MULTIPLE):
        raise Invalid(f"{where}: multiple is none of {', '.join(MULTIPLE)}.")
    try:
        args = arguments(item.get("args"), table[op])
        if "regex" in args:
            ruleregex.check(args["regex"])
        if isinstance(known := table[op], Action):
            known.check_fixed(args)
    except Invalid as error:
        raise Invalid(f"{where} ({op}): {error.message}.") from error


def arguments(args: Any, known: Operator | Action) -> dict[str, Any]:
    """The arguments by name. Given as a list they go by place, or are the one list it takes."""
    names = (*known.required, *known.optional)
    if isinstance(args, list):
        if known.required == ("values",):
            args = {"values": args}
        elif len(args) > len(names):
            raise Invalid(f"{len(args)} arguments are given; it takes {', '.join(names)}")
        else:
            args = dict(zip(names, args, strict=False))
    if not isinstance(args, dict):
        raise Invalid("args is neither an object nor a list")
    unknown = [str(name) for name in args if name not in names]
    missing = [name for name in known.required if name not in args]
    if unknown or missing:
        said = [f"unknown argument {', '.join(unknown)}"] if unknown else []
        said += [f"argument {', '.join(missing)} is missing"] if missing else []
        raise Invalid(f"{' and '.join(said)}; it takes {', '.join(names)}")
    return args


def apply(rules: Iterable[Rule], subject: Subject) -> list[str]:
    """Run the rules on what was found, the highest priority first; the names of those that held.

    Raises Invalid, naming the rule, when one fails or cannot be run.
    """
    held = []
    for rule in sorted(rules, key=lambda rule: -rule.priority):
        if _holds(rule, subject):
            held.append(rule.name)
            said = len(subject.log)
            for place, action in enumerate(rule.actions):
                _guarded(rule, f"action {place + 1}", action, lambda a: _act(a, subject))
            if rule.sensitive:
                subject.log[said:] = [
                    (level, f"rule {rule.name} is sensitive; its message is not shown")
                    for level, _ in subject.log[said:]
                ]
    return held


def _holds(rule: Rule, subject: Subject) -> bool:
    return all(
        _guarded(rule, f"condition {place + 1}", condition, lambda c: _met(c, subject))
        for place, condition in enumerate(rule.conditions)
    )


def _guarded(
    rule: Rule, where: str, item: Mapping[str, Any], run: Callable[[Mapping[str, Any]], Any]
) -> Any:
    try:
        return run(item)
    except (
        DrophammerError,
        TypeError,
        ValueError,
        KeyError,
        ArithmeticError,
        RecursionError,
    ) as error:
        if rule.sensitive:
            why = "the rule is sensitive, its values are not shown"
        elif isinstance(error, DrophammerError):
            why = error.message.rstrip(".")
        else:
            why = "its values are not of the kind that it takes"
        name = str(item.get("op"))[:80]
        raise Invalid(f"Inspection rule {rule.name}: {where} ({name}): {why}.") from error


def _op_name(op: str) -> tuple[str, bool]:
    """The operator's name and whether it is turned round by a leading "!"."""
    inverted = op.startswith("!")
    return (op[1:].lstrip() if inverted else op), inverted


def _met(condition: Mapping[str, Any], subject: Subject) -> bool:
    name, inverted = _op_name(str(condition["op"]))
    operator = OPERATORS[name]
    args = arguments(condition.get("args"), operator)
    fill = looked_up if operator.raw else interpolated

    def once(facts: Mapping[str, Any]) -> bool:
        values = {
            key: value if key == "regex" else fill(value, facts) for key, value in args.items()
        }
        values = {key: None if value is MISSING else value for key, value in values.items()}
        return bool(operator.test(**values)) is not inverted

    rounds = _rounds(condition, subject)
    if rounds is None:
        return once(subject.facts())
    results = [once(facts) for facts in rounds]
    if not results:
        return False
    return {
        "any": any(results),
        "all": all(results),
        "first": results[0],
        "last": results[-1],
    }[condition.get("multiple") or "any"]


def _act(action: Mapping[str, Any], subject: Subject) -> None:
    known = ACTIONS[str(action["op"])]
    args = arguments(action.get("args"), known)
    rounds = _rounds(action, subject)
    for facts in [subject.facts()] if rounds is None else rounds:
        known.run(subject, **{key: interpolated(value, facts) for key, value in args.items()})


def _rounds(item: Mapping[str, Any], subject: Subject) -> list[dict[str, Any]] | None:
    """The facts of each round of a loop; None without one."""
    loop = item.get("loop")
    if loop is None:
        return None
    facts = subject.facts()
    found = looked_up(loop, facts)
    things = list(found.items()) if isinstance(found, dict) else found
    if not isinstance(things, list):
        raise Invalid("its loop is not a list")
    if isinstance(found, dict):
        things = [{"key": key, "value": value} for key, value in things]
    return [{**facts, "item": thing} for thing in things]
