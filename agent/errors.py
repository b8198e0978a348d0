"""What can go wrong in the ramdisk, one small class each.

Every error carries the HTTP status of the command API's error reply and turns
into the ``command_error`` object of a command result. Messages are sentences
for an operator and never hold a token, a password or a config drive.
"""

from __future__ import annotations


class AgentError(Exception):
    """Base of all expected failures; ``code`` is the HTTP status on the wire."""

    code = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def as_wire(self) -> dict[str, object]:
        """The object ``{type, code, message, details}`` of a command result."""
        return {
            "type": type(self).__name__,
            "code": self.code,
            "message": self.message,
            "details": self.message,
        }


class ConfigurationError(AgentError):
    """The kernel command line holds a value that cannot be understood."""


class ApiUnreachable(AgentError):
    """The conductor's API did not answer, or answered something that is not HTTP."""


class LookupFailed(AgentError):
    """The API did not know this machine within the look-up time."""


class LockedDown(AgentError):
    """The API gave this node's token to somebody else before us."""


class InspectionFailed(AgentError):
    """The API did not take the inspection data."""


class Unauthorized(AgentError):
    """The command came without our token or with a wrong one."""

    code = 401


class InvalidCommand(AgentError):
    """The body is not a command: not JSON, no name, an unknown command."""

    code = 400


class InvalidCommandParams(AgentError):
    """The command is known, its parameters are not what it takes."""

    code = 400


class ExtensionNotFound(AgentError):
    """No such group of commands."""

    code = 404


class NotFound(AgentError):
    """No such path or command id."""

    code = 404


class AgentBusy(AgentError):
    """The latest command still runs."""

    code = 409


class BodyTooLarge(AgentError):
    """The request body does not fit this machine's memory."""

    code = 413


class VersionMismatch(AgentError):
    """The steps of this ramdisk are not the ones the conductor asked for."""


class DeviceNotFound(AgentError):
    """No disk is what the root device hints describe."""


class DeviceError(AgentError):
    """A disk refused to be opened, read, written or erased."""


class InvalidHint(AgentError):
    """A root device hint has an unknown name, operator or value."""

    code = 400


class ImageDownloadFailed(AgentError):
    """The image could not be fetched from any of its URLs."""


class ImageChecksumMismatch(AgentError):
    """The image's bytes are not the ones the checksum was made of."""


class ImageTooLarge(AgentError):
    """The image does not fit the disk."""


class ImageFormatUnsupported(AgentError):
    """This ramdisk cannot write an image of this kind."""


class PartitionTableError(AgentError):
    """The disk holds no partition table that we understand."""


class ConfigDriveError(AgentError):
    """The config drive cannot be read, or there is no room for it."""


class BootloaderError(AgentError):
    """The written disk would not boot."""


class TargetError(AgentError):
    """The disk could not be made an iSCSI target, or be taken back."""


class RescueError(AgentError):
    """This ramdisk cannot be made a system to log in to."""


class CertificateError(AgentError):
    """No certificate could be made for the command API."""
