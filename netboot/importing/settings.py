"""What imports were told, checked once and frozen: how to fetch, and each source.

Reads no file but the configuration's own, to find words in it that nobody reads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oslo_config import cfg

from drophammer.errors import Invalid
from netboot.importing import settingsfile
from netboot.importing.egress import Egress
from netboot.importing.fetch import FetchSettings
from netboot.importing.options import SOURCE, TYPES

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]{0,63}")
_HOST = re.compile(r"[A-Za-z0-9.*:_-]{1,253}")
_NEEDS = {"simplestreams": "url", "netboot": "url", "packages": "packages", "local": "path"}
_LISTS = ("arches", "subarches", "releases", "labels", "files")
UPLOADS = "uploads"
"""The name of the source that is always there."""


@dataclass(frozen=True)
class SourceSettings:
    """One group [source:NAME]; what its type does not know is empty."""

    name: str
    type: str
    url: str
    keyring: Path | None
    max_age_days: int
    arches: tuple[str, ...]
    subarches: tuple[str, ...]
    releases: tuple[str, ...]
    current_release: str
    labels: tuple[str, ...]
    files: tuple[str, ...]
    installer: str
    packages: tuple[str, ...]
    path: Path | None


@dataclass(frozen=True)
class ImportSettings:
    """All of [import] and of its sources."""

    fetch: FetchSettings
    state_dir: Path
    uploads_dir: Path
    sources: tuple[SourceSettings, ...]

    @classmethod
    def from_conf(cls, conf: cfg.ConfigOpts) -> ImportSettings:
        """Read and check. Raises Invalid, naming group and option."""
        group = conf["import"]
        for name in group.sources:
            if not _NAME.fullmatch(name) or name in (UPLOADS, "NAME"):
                raise Invalid(
                    f"[import]sources has {name!a}: a source's name is up to 32 letters, digits, _ "
                    f"and -, and neither {UPLOADS!r} nor 'NAME'."
                )
        if len(set(group.sources)) != len(group.sources):
            raise Invalid("[import]sources names a source twice.")
        fetch = _fetch(group)
        return cls(
            fetch=fetch,
            state_dir=_path("[import]state_dir", group.state_dir),
            uploads_dir=_path("[import]uploads_dir", group.uploads_dir),
            sources=tuple(_source(conf, name, fetch) for name in group.sources),
        )


def _fetch(group: Any) -> FetchSettings:
    for host in group.hosts:
        if not _HOST.fullmatch(host):
            raise Invalid(f"[import]hosts has {host!a}, which is no host name.")
    if group.proxy and not re.fullmatch(r"https?://[!-~]+", group.proxy):
        raise Invalid("[import]proxy is not a URL such as http://HOST:PORT.")
    return FetchSettings(
        download=settingsfile.command(group.download),
        proxy=group.proxy,
        ca_file=_file("[import]ca_file", group.ca_file) if group.ca_file else None,
        hosts=tuple(group.hosts),
        file_roots=tuple(_path("[import]file_roots", text) for text in group.file_roots),
        max_bytes=group.max_file_gib << 30,
    )


def _source(conf: cfg.ConfigOpts, name: str, fetch: FetchSettings) -> SourceSettings:
    title = f"source:{name}"
    conf.register_opts(SOURCE, group=title)
    _check_words(conf, title)
    group = conf[title]
    if group.type not in TYPES:
        raise Invalid(f"[{title}]type is {group.type!a}; it must be one of {', '.join(TYPES)}.")
    if not getattr(group, _NEEDS[group.type]):
        raise Invalid(f"[{title}]{_NEEDS[group.type]} must be set: a {group.type} source needs it.")
    for option in _LISTS:
        for word in getattr(group, option):
            if not _WORD.fullmatch(word):
                raise Invalid(
                    f"[{title}]{option} has {word[:80]!a}: such a name has letters, digits and "
                    "any of . _ + ~ - behind a letter or digit."
                )
    egress = Egress(fetch.hosts, fetch.file_roots)
    if group.url:
        _checked(f"[{title}]url", group.url, egress)
    for package in group.packages:
        if not package.startswith("/"):
            _checked(f"[{title}]packages", package.partition("#")[0], egress)
    if len(group.labels) > 1 and group.type == "netboot":
        raise Invalid(f"[{title}]labels: a netboot source gives one label, not several.")
    return SourceSettings(
        name=name,
        type=group.type,
        url=group.url,
        keyring=_keyring(title, group),
        max_age_days=group.max_age_days,
        installer=_installer(title, group.installer),
        current_release=_release(title, group.current_release),
        packages=tuple(group.packages),
        path=_path(f"[{title}]path", group.path) if group.path else None,
        **{option: tuple(getattr(group, option)) for option in _LISTS},
    )


def _check_words(conf: cfg.ConfigOpts, title: str) -> None:
    """Raise Invalid for an option that no source has: most often a slip of the pen."""
    known = {option.name for option in SOURCE}
    for file in conf.config_file:
        parsed: dict[str, dict[str, list[str]]] = {}
        cfg.ConfigParser(str(file), parsed).parse()
        for word in parsed.get(title, {}):
            if word not in known:
                raise Invalid(
                    f"[{title}] has {word[:80]!a}, which no source knows. There are: "
                    f"{', '.join(sorted(known))}."
                )


def _keyring(title: str, group: Any) -> Path | None:
    if group.type != "simplestreams":
        return None
    if group.signed and not group.keyring:
        raise Invalid(
            f"[{title}]keyring must be set: it has the keys that may sign the index. To take an "
            "index that nobody signed, set signed to false."
        )
    return _file(f"[{title}]keyring", group.keyring) if group.signed else None


def _installer(title: str, text: str) -> str:
    if not _WORD.fullmatch(text):
        raise Invalid(f"[{title}]installer is {text[:80]!a}; give debian-installer, for instance.")
    return text


def _release(title: str, text: str) -> str:
    if text and not _WORD.fullmatch(text):
        raise Invalid(f"[{title}]current_release is {text[:80]!a}, which is no release's name.")
    return text


def _checked(option: str, url: str, egress: Egress) -> None:
    try:
        egress.check(url)
    except Invalid as error:
        raise Invalid(f"{option}: {error.message}") from None


def _path(option: str, text: str) -> Path:
    if not text.startswith("/") or not text.isprintable() or ".." in text.split("/"):
        raise Invalid(f"{option} is {text[:120]!a}: give an absolute path without '..'.")
    return Path(text)


def _file(option: str, text: str) -> Path:
    path = _path(option, text)
    if not path.is_file():
        raise Invalid(f"{option} is {text}: there is no such file.")
    return path
