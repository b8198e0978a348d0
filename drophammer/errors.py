"""What can go wrong, one small class each.

Every error knows the HTTP status it becomes on the wire; only the API's error
handler turns it into a response. Messages are sentences for an operator: what
was tried, against what, what came back, what to do. They never hold a secret.

Errors cross the bus by class name and message, so a class has no state beyond
its message.
"""

from __future__ import annotations


class DrophammerError(Exception):
    """Base of all expected failures. ``status`` is the HTTP status on the wire."""

    status = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Invalid(DrophammerError):
    """The request or its values cannot be accepted as they are."""

    status = 400


class InvalidState(Invalid):
    """The verb does not exist for the state that the node is in."""


class InMaintenance(Invalid):
    """The operator has taken this node out of automated hands."""


class Unsupported(Invalid):
    """The node's driver or interface has no such ability."""


class Forbidden(DrophammerError):
    """The request is understood and refused (protected node, switched-off endpoint)."""

    status = 403


class NotFound(DrophammerError):
    """No such thing."""

    status = 404


class NotAcceptable(DrophammerError):
    """The asked microversion does not have what the request uses."""

    status = 406


class Conflict(DrophammerError):
    """The request collides with what exists or with what is going on."""

    status = 409


class NodeLocked(Conflict):
    """Somebody else holds the node's lease; the message names holder and purpose."""


class LeaseLost(Conflict):
    """The lease under which a write was to happen is no longer ours."""


class Unavailable(DrophammerError):
    """Nobody is free, or alive, to do this now. Trying again is sensible."""

    status = 503


class DeadlineExceeded(Unavailable):
    """The answer did not come in time; whether the work was done is not known."""


class HardwareError(DrophammerError):
    """A machine or its controller did not do what it was told.

    500, as clients know it: a 502 would be that of a proxy whose service is down, and a
    503 they send again at once.
    """


class BmcUnreachable(HardwareError):
    """Nothing answered at the controller's address within the deadline."""


class BmcAuthFailed(HardwareError):
    """The controller answered and refused the user name, password or key."""


class BmcError(HardwareError):
    """The controller answered with an IPMI completion code other than success."""


class AgentError(HardwareError):
    """The ramdisk agent reported a failure or answered something that is not its protocol."""


class AgentBusy(AgentError):
    """The agent still runs an earlier command."""


class AgentUnreachable(AgentError):
    """The agent did not answer at its call-back URL."""


class ImageError(DrophammerError):
    """The image to be deployed is not there, not what it should be, or does not fit."""

    status = 400


def by_name() -> dict[str, type[DrophammerError]]:
    """All error classes by name: what the bus needs to rebuild one on the other side."""

    def below(cls: type[DrophammerError]) -> list[type[DrophammerError]]:
        return [cls, *(found for sub in cls.__subclasses__() for found in below(sub))]

    return {cls.__name__: cls for cls in below(DrophammerError)}
