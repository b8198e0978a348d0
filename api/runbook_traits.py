"""A runbook's traits: it is for nodes that have one of them."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy.orm import Session

from api.call import Call, Reply
from api.endpoint import takes
from api.fields import TEXTS, closed
from api.runbooks import RUNBOOKS
from drophammer import traits
from drophammer.errors import Invalid

_TRAITS = closed({"traits": TEXTS}, required=("traits",))


@takes(reply=_TRAITS)
def index(call: Call, ident: str) -> Reply:
    """List the traits of a runbook."""
    with call.store.read() as session:
        row = RUNBOOKS.find(call, session, ident, {"traits"})
    return Reply(body={"traits": row["traits"]})


@takes(body=_TRAITS, status=204)
def replace(call: Call, ident: str) -> Reply:
    """Give a runbook just these traits."""
    wanted = call.body()["traits"]
    return _change(call, ident, lambda present: wanted)


@takes(status=204)
def add(call: Call, ident: str, trait: str) -> Reply:
    """Give a runbook one more trait."""
    if call.body():
        raise Invalid("A trait is named in the URL; there must be no body.")
    done = _change(call, ident, lambda present: [*present, trait])
    location = f"{call.base}/v1/runbooks/{ident}/traits/{trait}"
    return Reply(done.status, headers={"Location": location})


@takes(status=204)
def clear(call: Call, ident: str) -> Reply:
    """Take all traits from a runbook."""
    return _change(call, ident, lambda present: [])


@takes(status=204)
def remove(call: Call, ident: str, trait: str) -> Reply:
    """Take one trait from a runbook, if it has it."""
    return _change(call, ident, lambda present: [one for one in present if one != trait])


def _change(call: Call, ident: str, change: Callable[[list[str]], list[str]]) -> Reply:
    with call.store.write() as session:
        _write(call, session, ident, change)
    return Reply(204)


def _write(
    call: Call, session: Session, ident: str, change: Callable[[list[str]], list[str]]
) -> None:
    row = RUNBOOKS.find(call, session, ident, {"traits"}, lock=True)
    wanted = sorted(set(change(row["traits"])))
    if wanted != row["traits"]:
        traits.check_all(wanted, "a runbook")
        values = {"traits": wanted, "updated_at": call.store.clock.now()}
        RUNBOOKS.rows.change(session, row, values)
