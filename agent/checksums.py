"""Which digest an image must have: the checksum keys of ``image_info``, or a checksum file.

A checksum file may be GNU style (``digest  name``), BSD style
(``SHA256 (name) = digest``) or a bare digest. Compares nothing itself.
"""

from __future__ import annotations

from agent.errors import InvalidCommandParams
from agent.httpclient import without_credentials

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_HEX_LENGTHS = {32: "md5", 64: "sha256", 128: "sha512"}
_ALGORITHMS = {name: length for length, name in _HEX_LENGTHS.items()}
_MAX_LINES = 10000


class Checksum:
    """An algorithm's name for hashlib and the digest in lower-case hex."""

    def __init__(self, algorithm: str, digest: str) -> None:
        self.algorithm, self.digest = algorithm, digest


def expected(
    image_info: dict[str, Any], fetch: Callable[[str], str], *, md5_allowed: bool = True
) -> Checksum:
    """The digest the image must have; ``fetch(url)`` gives a checksum file's text.

    Raises InvalidCommandParams when there is none, or none that may be used.
    """
    algorithm, value = image_info.get("os_hash_algo"), image_info.get("os_hash_value")
    if algorithm and value:
        found = _of_kind(str(algorithm).lower(), _digest(str(value), image_info, fetch))
    elif image_info.get("checksum"):
        found = _of_kind("", _digest(str(image_info["checksum"]), image_info, fetch))
    else:
        raise InvalidCommandParams(
            "image_info needs os_hash_algo and os_hash_value, or checksum: an image is not"
            " written unverified"
        )
    if found.algorithm == "md5" and not md5_allowed:
        raise InvalidCommandParams("the image's checksum is MD5, which the conductor has disabled")
    return found


def from_file(text: str, image_name: str) -> str:
    """The digest for ``image_name`` in a checksum file's text. Raises InvalidCommandParams."""
    lines = [line.strip() for line in text.splitlines()[:_MAX_LINES]]
    lines = [line for line in lines if line and not line.startswith("#")]
    if len(lines) == 1 and _is_digest(lines[0]):
        return lines[0]
    for line in lines:
        digest, name = _digest_and_name(line)
        if name.rpartition("/")[2] == image_name and _is_digest(digest):
            return digest
    raise InvalidCommandParams(f"the checksum file has no digest for {image_name!r}")


def _digest_and_name(line: str) -> tuple[str, str]:
    if " = " in line and "(" in line and ")" in line:
        name = line[line.index("(") + 1 : line.rindex(")")]
        return line.rpartition(" = ")[2].strip(), name
    digest, _, name = line.partition(" ")
    return digest, name.strip().removeprefix("*")


def _digest(value: str, image_info: dict[str, Any], fetch: Callable[[str], str]) -> str:
    if not value.lower().startswith(("http://", "https://")):
        return value
    urls = image_info.get("urls") or [""]
    plain_url = str(urls[0]).partition("?")[0].partition("#")[0]
    return from_file(fetch(value), plain_url.rpartition("/")[2])


def _is_digest(text: str) -> bool:
    return len(text) in _HEX_LENGTHS and set(text.lower()) <= set("0123456789abcdef")


def _of_kind(algorithm: str, digest: str) -> Checksum:
    digest = digest.strip().lower()
    shown = without_credentials(digest)[:140]
    if algorithm and algorithm not in _ALGORITHMS:
        raise InvalidCommandParams(
            f"os_hash_algo {algorithm!r} is not one of {', '.join(sorted(_ALGORITHMS))}"
        )
    if not _is_digest(digest):
        raise InvalidCommandParams(f"{shown!r} is not an MD5, SHA-256 or SHA-512 digest in hex")
    kind = _HEX_LENGTHS[len(digest)]
    if algorithm and algorithm != kind:
        raise InvalidCommandParams(f"{shown!r} is not a digest of os_hash_algo {algorithm!r}")
    return Checksum(kind, digest)
