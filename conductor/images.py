"""What a node's instance_info says of the image to deploy: checked, asked for, handed on."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import urllib3

from conductor.http import exchange
from conductor.httperrors import reason
from drophammer.errors import ImageError, Invalid, Unavailable
from drophammer.model import Node
from drophammer.netns import Namespace

_DIGEST_LENGTH = {"md5": 32, "sha256": 64, "sha512": 128}
_HEAD_SECONDS = 10
# What a server answers that is overloaded, or a proxy whose server is being restarted.
_MOMENTARY = (429, 502, 503, 504)


def validate(node: Node) -> None:
    """Raise Invalid, naming every problem, when instance_info does not describe an image."""
    info = node.instance_info
    problems = []
    source = info.get("image_source")
    if not isinstance(source, str) or not source:
        problems.append("image_source is missing: give the http(s) URL of an image")
    elif not _is_url(source):
        problems.append(f"image_source {shown(source)!r} is not an http:// or https:// URL")
    problems += _checksum_problems(info)
    if info.get("kernel") or info.get("ramdisk") or info.get("image_type") == "partition":
        problems.append("partition images are not supported; use a whole-disk image")
    if problems:
        raise Invalid(f"Cannot deploy node {node.uuid}: instance_info: {'; '.join(problems)}.")


def check_reachable(namespace: Namespace, node: Node) -> int | None:
    """Ask the image server for the image's size in bytes (None: it does not say).

    Raises ImageError with what was tried and what came back; Unavailable when that may be
    better in a moment, because the server is being restarted or is busy.
    """
    url = str(node.instance_info["image_source"])
    try:
        with exchange(namespace, 2 * _HEAD_SECONDS) as manager:
            response = manager.request(
                "HEAD",
                url,
                retries=False,
                timeout=urllib3.Timeout(connect=_HEAD_SECONDS, read=_HEAD_SECONDS),
            )
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise Unavailable(
            f"The image {shown(url)} cannot be reached: {reason(error)}. Check the URL and that "
            "its server runs and is reachable from the provisioning network."
        ) from error
    # Some servers refuse HEAD but serve GET; only the agent's download can tell then.
    if response.status in (403, 405, 501):
        return None
    if response.status >= 400:
        failure = Unavailable if response.status in _MOMENTARY else ImageError
        raise failure(
            f"The image server answered HTTP {response.status} for {shown(url)}. Check the URL."
        )
    length = response.headers.get("Content-Length")
    return int(length) if length and length.isdigit() else None


def image_info(node: Node, *, stream_raw: bool) -> dict[str, Any]:
    """The ``image_info`` of the agent's write_image."""
    info = node.instance_info
    source = str(info["image_source"])
    result: dict[str, Any] = {
        "id": urlsplit(source).path.rsplit("/", 1)[-1] or "image",
        "urls": [source],
        "disk_format": info.get("image_disk_format"),
        "container_format": info.get("image_container_format"),
        "stream_raw_images": stream_raw,
        "image_type": "whole-disk",
        "node_uuid": node.uuid,
    }
    for key in ("image_checksum", "image_os_hash_algo", "image_os_hash_value"):
        if info.get(key):
            result[key.removeprefix("image_")] = info[key]
    return result


def _checksum_problems(info: dict[str, Any]) -> list[str]:
    algorithm, value = info.get("image_os_hash_algo"), info.get("image_os_hash_value")
    checksum = info.get("image_checksum")
    if bool(algorithm) != bool(value):
        return ["image_os_hash_algo and image_os_hash_value go together"]
    if algorithm and value:
        length = _DIGEST_LENGTH.get(str(algorithm))
        if length is None:
            return [f"image_os_hash_algo {algorithm!r} is not one of {', '.join(_DIGEST_LENGTH)}"]
        if not _is_digest(value, length):
            return [f"image_os_hash_value is not a {algorithm} digest of {length} hex digits"]
        return []
    if not checksum:
        return ["a checksum is missing: give image_checksum, or image_os_hash_algo and _value"]
    if isinstance(checksum, str) and _is_url(checksum):
        return []
    if not any(_is_digest(checksum, length) for length in _DIGEST_LENGTH.values()):
        return ["image_checksum is neither an md5, sha256 or sha512 digest nor a URL of one"]
    return []


def _is_digest(value: object, length: int) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(rf"[0-9a-fA-F]{{{length}}}", value))


def _is_url(text: str) -> bool:
    """Whether it is an http(s) URL as it may stand on a wire: no white space, a host."""
    try:
        parts = urlsplit(text)
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and not re.search(r"[\s\x00-\x20\x7f]", text)
        )
    except ValueError:
        return False


def shown(url: str) -> str:
    """A URL without what may be secret in it: user name, password, query (signed URLs)."""
    return re.sub(r"\?.*", "?***", re.sub(r"//[^/@]*@", "//***@", url), flags=re.DOTALL)
