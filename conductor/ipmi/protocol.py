"""The lines between the conductor and its IPMI child processes, and nothing else.

One JSON object per line in both directions. A line to the child may hold a
password, so no line is ever logged; the dataclasses hide it in their repr.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

from conductor.ipmi.commands import Step
from conductor.ipmi.target import BmcTarget
from drophammer.secret import Secret

# How far a request may go when nothing comes back: "always" may be sent again in
# any session, "session" only again within the session it was sent in, "never" not at all.
Repeat = Literal["always", "session", "never"]

# unresolved: no address for the name          refused: the host says nobody listens there
# unreachable: nothing came back at all        auth: the BMC does not let us in
# code: a completion code other than 0         unknown: sent, nothing came back, may be done
# trouble: the BMC answered nonsense           waiting: never sent, the deadline came first
# lost: the child process died or hung         internal: a fault in our own child process
Kind = Literal[
    "unresolved", "unreachable", "refused", "auth", "code", "unknown", "trouble", "waiting",
    "lost", "internal",
]  # fmt: skip


@dataclass(frozen=True)
class Hello:
    """First line to a child: whose child it is, and its manners towards a BMC."""

    parent: int
    min_interval: float


@dataclass(frozen=True)
class Ping:
    """Asks a child whether it is still with us."""


@dataclass(frozen=True)
class Request:
    """IPMI commands for one BMC, to be sent in this order before ``deadline``.

    That is on the monotonic clock, which is the same in all processes of a machine: a
    request that was long on its way is not sent late.
    """

    number: int
    target: BmcTarget
    steps: tuple[Step, ...]
    repeat: Repeat
    deadline: float


@dataclass(frozen=True)
class Pong:
    """The child lives."""


@dataclass(frozen=True)
class Sending:
    """From now on the BMC may have seen the request. Written before the packet leaves."""

    number: int


@dataclass(frozen=True)
class Answer:
    """What each step returned, without completion code."""

    number: int
    data: tuple[bytes, ...]


@dataclass(frozen=True)
class Failure:
    """Why there is no answer: ``detail`` says what came back, or for how long nothing did."""

    kind: Kind
    detail: str


@dataclass(frozen=True)
class Failed:
    """The request has come to an end without an answer."""

    number: int
    failure: Failure


ToChild = Hello | Ping | Request
FromChild = Pong | Sending | Answer | Failed


def encode(message: ToChild | FromChild) -> bytes:
    """The message as one line, newline included."""
    return json.dumps(_plain(message), separators=(",", ":")).encode() + b"\n"


def _plain(message: ToChild | FromChild) -> dict[str, object]:
    match message:
        case Hello():
            return {"hello": message.parent, "min_interval": message.min_interval}
        case Ping():
            return {"ping": True}
        case Request():
            return {
                "request": message.number,
                "target": _plain_target(message.target),
                "steps": [[s.netfn, s.command, s.data.hex(), s.tolerate] for s in message.steps],
                "repeat": message.repeat,
                "deadline": message.deadline,
            }
        case Pong():
            return {"pong": True}
        case Sending():
            return {"sending": message.number}
        case Answer():
            return {"answer": message.number, "data": [data.hex() for data in message.data]}
        case Failed():
            failure = message.failure
            return {"failed": message.number, "kind": failure.kind, "detail": failure.detail}


def _plain_target(target: BmcTarget) -> dict[str, object]:
    return {
        "address": target.address,
        "port": target.port,
        "username": target.username,
        "password": target.password.reveal(),
        "privilege": target.privilege,
        "protocol": target.protocol,
        "cipher_suite": target.cipher_suite,
        "kg": target.kg.reveal() if target.kg else None,
    }


def decode_for_child(line: bytes) -> ToChild:
    """Reads what ``encode`` wrote. ValueError or KeyError for anything else."""
    plain = json.loads(line)
    if "hello" in plain:
        return Hello(plain["hello"], plain["min_interval"])
    if "ping" in plain:
        return Ping()
    target = plain["target"]
    target["password"] = Secret(target["password"])
    target["kg"] = Secret(target["kg"]) if target["kg"] else None
    return Request(
        number=plain["request"],
        target=BmcTarget(**target),
        steps=tuple(
            Step(netfn, command, bytes.fromhex(data), tuple(tolerate))
            for netfn, command, data, tolerate in plain["steps"]
        ),
        repeat=plain["repeat"],
        deadline=plain["deadline"],
    )


def decode_from_child(line: bytes) -> FromChild:
    """Reads what ``encode`` wrote. ValueError or KeyError for anything else."""
    plain = json.loads(line)
    if "pong" in plain:
        return Pong()
    if "sending" in plain:
        return Sending(plain["sending"])
    if "answer" in plain:
        return Answer(plain["answer"], tuple(bytes.fromhex(data) for data in plain["data"]))
    return Failed(plain["failed"], Failure(plain["kind"], plain["detail"]))
