"""Who may use the API: nobody is asked, or HTTP basic with a file of bcrypt passwords.

Every authenticated user may do everything. Which paths are open to all is said in
the table of routes. Refusing to listen to the world without passwords is here too.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import ipaddress
import logging
import pathlib
import secrets
import threading

import bcrypt
from flask import Request

from api.errors import Unauthorized
from api.settings import HTTP_BASIC
from drophammer.errors import Invalid

LOG = logging.getLogger(__name__)

# bcrypt looks at 72 bytes; htpasswd cuts longer passwords there, the library raises.
BCRYPT_BYTES = 72
REMEMBERED = 1000
_PREFIXES = (b"$2y$", b"$2a$", b"$2b$")


class PasswordFile:
    """Users and bcrypt hashes, read anew for each request so that edits count at once.

    bcrypt is slow on purpose; what was once found right is remembered as a keyed
    digest, for as long as the user's line in the file stays the same.
    """

    def __init__(self, path: str) -> None:
        self._path = pathlib.Path(path)
        self._key = secrets.token_bytes(32)
        self._right: dict[bytes, None] = {}
        self._lock = threading.Lock()

    def check(self, request: Request) -> str:
        """The user of a request. Raises Unauthorized."""
        user, password = _credentials(request.headers.get("Authorization"))
        hashes = self._hashes()
        stored = hashes.get(user)
        digest = hashlib.blake2b(
            b"\0".join((user, stored or b"", password)), key=self._key
        ).digest()
        with self._lock:
            if stored is not None and digest in self._right:
                return user.decode(errors="replace")
        # An unknown user costs the same time as a known one: names cannot be tried out.
        right = _matches(password, stored or next(iter(hashes.values()), b""))
        if stored is None or not right:
            raise Unauthorized(401, "Incorrect username or password")
        with self._lock:
            if len(self._right) >= REMEMBERED:
                self._right.clear()
            self._right[digest] = None
        return user.decode(errors="replace")

    def _hashes(self) -> dict[bytes, bytes]:
        try:
            lines = self._path.read_bytes().splitlines()
        except OSError as error:
            LOG.error("the password file cannot be read: %s", error)
            raise Unauthorized(401, "Incorrect username or password") from error
        pairs = (line.strip().partition(b":") for line in lines)
        return {user: hashed for user, _, hashed in pairs if user and hashed.startswith(_PREFIXES)}


def check_exposure(host: str, auth_strategy: str) -> None:
    """Raise Invalid for an address that others reach while nobody is asked for a password."""
    if auth_strategy == HTTP_BASIC or is_loopback(host):
        return
    raise Invalid(
        f"The API would listen on {host or 'every address'} without asking anybody for a "
        "password. Set auth_strategy = http_basic, or [api]host_ip to a loopback address."
    )


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reachable from this host alone."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _credentials(header: str | None) -> tuple[bytes, bytes]:
    if not header:
        raise Unauthorized(401, "Authorization required")
    scheme, _, encoded = header.strip().partition(" ")
    if scheme.lower() != "basic":
        raise Unauthorized(400, "Authorization header is not of the type Basic")
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        user, colon, password = b"", b"", b""
    if not colon:
        raise Unauthorized(400, "Authorization header cannot be parsed")
    return user, password


def _matches(password: bytes, hashed: bytes) -> bool:
    try:
        return bcrypt.checkpw(password[:BCRYPT_BYTES], hashed)
    except ValueError:
        return False
