"""Kernel parameters of a machine whose root file system is an iSCSI target of ours.

Pure: where the target is in, parameters out, as open-iscsi's and overlayroot's scripts in
an initramfs read them. Which target belongs to which image is not known here.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from drophammer.errors import Invalid

PORT = 3260
LUN = 1

# RFC 3721, section 1.1, with ASCII only; RFC 3720 allows 223 octets.
_IQN = re.compile(r"iqn\.[0-9]{4}-[0-9]{2}\.[a-z0-9.-]+(:[A-Za-z0-9._:+~-]+)?")
_LONGEST_IQN = 223
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


@dataclass(frozen=True)
class IscsiRoot:
    """``address`` is the IP address of the target's server; ``host`` the machine's own name."""

    iqn: str
    address: str
    host: str
    port: int = PORT


def parameters(root: IscsiRoot) -> tuple[str, ...]:
    """The parameters, in the order that they are documented in. Raises Invalid."""
    iqn = _checked_iqn(root.iqn)
    host = host_name(root.host)
    address = _address(root.address)
    portal = f"[{address}]" if address.version == 6 else str(address)
    return (
        f"iscsi_target_name={iqn}",
        f"iscsi_target_ip={portal}",
        f"iscsi_target_port={root.port}",
        f"iscsi_initiator={initiator(iqn, host)}",
        *network(host, ipv6=address.version == 6),
        "ro",
        f"root=/dev/disk/by-path/ip-{portal}:{root.port}-iscsi-{iqn}-lun-{LUN}",
        "overlayroot=tmpfs",
        # The overlay must not be configured by what is on the machine's own disks (LP:1533822).
        "overlayroot_cfgdisk=disabled",
    )


def network(host: str, *, ipv6: bool) -> tuple[str, ...]:
    """How the initramfs gets an address: by DHCP on the card that BOOTIF names, under ``host``."""
    return ("ip=off", "ip6=dhcp") if ipv6 else (f"ip=::::{host}:BOOTIF",)


def initiator(iqn: str, host: str) -> str:
    """The machine's own iSCSI name: below the authority that named the target."""
    return f"{iqn.partition(':')[0]}:{host}"


def host_name(text: str) -> str:
    """``text`` when it can be the name of a host (RFC 1123); raises Invalid."""
    if not _HOST.fullmatch(text):
        raise Invalid(
            f"{text[:80]!r} cannot be a machine's host name: letters, digits and '-', 63 at most."
        )
    return text


def _checked_iqn(iqn: str) -> str:
    found = _IQN.match(iqn)
    good = found.end() if found else 0
    if good != len(iqn):
        raise Invalid(f"{iqn[:300]!r} is not an iSCSI name, from position {good} on.")
    if len(iqn) > _LONGEST_IQN:
        raise Invalid(f"An iSCSI name has at most {_LONGEST_IQN} characters, not {len(iqn)}.")
    return iqn


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        # Without a scope ("%eth0"): the interfaces of the machine are not ours.
        return ipaddress.ip_address(text if "%" not in text else "")
    except ValueError:
        raise Invalid(f"{text[:80]!r} is not the IP address of an iSCSI target.") from None
