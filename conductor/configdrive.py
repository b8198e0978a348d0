"""Config drives: the small volume from which a new system learns its name and keys.

Given as text (a URL, or base64 of a gzipped image) it is passed on as it is;
given as an object it becomes an ISO 9660 image labelled ``config-2`` with the
files cloud-init looks for (OpenStack's config drive format).
"""

from __future__ import annotations

import base64
import gzip
import io
import json
from typing import Any

import pycdlib

from drophammer.errors import Invalid
from drophammer.model import Node

MAX_BYTES = 64 * 1024 * 1024
_FILES = {
    "meta_data": "meta_data.json",
    "network_data": "network_data.json",
    "vendor_data": "vendor_data.json",
    "user_data": "user_data",
}


def for_agent(node: Node) -> str | None:
    """The config drive of a node in the form the agent takes, or None."""
    given = node.instance_info.get("configdrive")
    if not given:
        return None
    if isinstance(given, str):
        return given
    image = gzip.compress(build(given), mtime=0)
    if len(image) > MAX_BYTES:
        raise Invalid(f"The config drive of node {node.uuid} has {len(image)} bytes, over 64 MiB.")
    return base64.b64encode(image).decode()


def complete(given: dict[str, Any], node: Node) -> dict[str, Any]:
    """The operator's object with what every config drive has: uuid, name, hostname."""
    meta = {"uuid": node.uuid, **(given.get("meta_data") or {})}
    if node.name:
        meta.setdefault("name", node.name)
        meta.setdefault("hostname", node.name)
    return {**given, "meta_data": meta}


def build(given: dict[str, Any]) -> bytes:
    """An ISO 9660 image with Rock Ridge names, labelled config-2, from the object's parts."""
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, vol_ident="config-2", rock_ridge="1.09", joliet=3)
    for path, name in (("/OPENSTACK", "openstack"), ("/OPENSTACK/LATEST", "latest")):
        iso.add_directory(path, rr_name=name, joliet_path=path.lower())
    for number, (key, name) in enumerate(_FILES.items()):
        value = given.get(key)
        if value is None:
            continue
        data = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        iso.add_fp(
            io.BytesIO(data),
            len(data),
            f"/OPENSTACK/LATEST/FILE{number}.;1",
            rr_name=name,
            joliet_path=f"/openstack/latest/{name}",
        )
    out = io.BytesIO()
    iso.write_fp(out)
    iso.close()
    return out.getvalue()
