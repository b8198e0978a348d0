"""A node's traits: ``/v1/nodes/{ident}/traits``."""

from __future__ import annotations

from sqlalchemy.orm import Session

from api import nodes
from api.call import Call, Reply
from api.endpoint import takes
from api.fields import closed
from drophammer import traits
from drophammer.errors import Invalid, NotFound

_TRAITS = closed(
    {"traits": {"type": "array", "items": {"type": "string", "minLength": 1}}},
    required=("traits",),
)


@takes(reply=_TRAITS)
def index(call: Call, ident: str) -> Reply:
    """List the traits of a node."""
    row = nodes.find(call, ident, ())
    with call.store.ask() as connection:
        found = traits.of_node(connection, row["id"])
    return Reply(body={"traits": found})


@takes(body=_TRAITS, status=204)
def replace(call: Call, ident: str) -> Reply:
    """Give a node just these traits."""
    wanted = set(call.body()["traits"])
    traits.check_all(wanted, "a node")

    def change(session: Session) -> None:
        row = nodes.find_locked(session, call, ident)
        traits.replace(session, row["id"], wanted)

    call.write_when_free(change)
    return Reply(204)


@takes(status=204)
def add(call: Call, ident: str, trait: str) -> Reply:
    """Give a node one more trait."""
    if call.body():
        raise Invalid("A trait is named in the URL; there must be no body.")
    traits.check(trait)

    def change(session: Session) -> None:
        row = nodes.find_locked(session, call, ident)
        present = traits.of_node(session, row["id"])
        if trait not in present:
            traits.check_all([*present, trait], "a node")
            traits.add(session, row["id"], trait)

    call.write_when_free(change)
    return Reply(204, headers={"Location": f"{call.base}/v1/nodes/{ident}/traits/{trait}"})


@takes(status=204)
def clear(call: Call, ident: str) -> Reply:
    """Take all traits from a node."""

    def change(session: Session) -> None:
        row = nodes.find_locked(session, call, ident)
        traits.replace(session, row["id"], ())

    call.write_when_free(change)
    return Reply(204)


@takes(status=204)
def remove(call: Call, ident: str, trait: str) -> Reply:
    """Take one trait from a node."""

    def change(session: Session) -> None:
        row = nodes.find_locked(session, call, ident)
        if not traits.remove(session, row["id"], trait):
            raise NotFound(f"Node {row['uuid']} doesn't have a trait '{trait[:80]}'.")

    call.write_when_free(change)
    return Reply(204)
