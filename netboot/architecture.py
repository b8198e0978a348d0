"""Architectures under one name each, as Debian writes them, whoever spells them otherwise."""

from __future__ import annotations

AMD64, I386, ARM64, PPC64EL = "amd64", "i386", "arm64", "ppc64el"

_OTHER_NAMES = {
    "x86_64": AMD64,
    "i486": I386,
    "i586": I386,
    "i686": I386,
    "aarch64": ARM64,
    "ppc64le": PPC64EL,
    "powerpc64le": PPC64EL,
}


def normal(name: str) -> str:
    """Debian's name of an architecture; one that is not known stays as it is."""
    return _OTHER_NAMES.get(name.lower(), name.lower())
