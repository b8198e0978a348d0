"""The sources of a configuration: the one table of kinds, and the images given by hand."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from functools import partial
from pathlib import Path

from oslo_config import cfg

from netboot.importing import releases
from netboot.importing.fetch import Fetch
from netboot.importing.settings import UPLOADS, ImportSettings, SourceSettings
from netboot.importing.source import Source
from netboot.importing.sources.local import LocalFiles
from netboot.importing.sources.netboot import NetbootTrees
from netboot.importing.sources.packages import Packages
from netboot.importing.sources.simplestreams import SimpleStreams, Wanted


def sources_from(conf: cfg.ConfigOpts) -> list[Source]:
    """All sources, in the order in which they count. Raises Invalid."""
    settings = ImportSettings.from_conf(conf)
    fetch = Fetch(settings.fetch)
    return [
        LocalFiles(UPLOADS, settings.uploads_dir, optional=True),
        *(_KINDS[source.type](source, fetch, settings.state_dir) for source in settings.sources),
    ]


def _simplestreams(source: SourceSettings, fetch: Fetch, state_dir: Path) -> Source:
    return SimpleStreams(
        source.name,
        source.url,
        fetch,
        keyring=source.keyring,
        state=state_dir / f"{source.name}.json",
        wanted=Wanted(
            source.arches, source.subarches, source.releases, source.labels, source.files
        ),
        max_age=datetime.timedelta(days=source.max_age_days) if source.max_age_days else None,
    )


def _netboot(source: SourceSettings, fetch: Fetch, state_dir: Path) -> Source:
    system = "debian" if source.installer.startswith("debian") else "ubuntu"
    given = source.releases
    return NetbootTrees(
        source.name,
        source.url,
        fetch,
        os=system,
        installer=source.installer,
        arches=source.arches or ("amd64", "i386"),
        # Asked at each import: what is supported changes while we run.
        releases=(lambda: given) if given else partial(releases.supported, system),
        current_release=lambda: source.current_release or releases.stable(system),
        label=source.labels[0] if source.labels else "installer",
    )


def _packages(source: SourceSettings, fetch: Fetch, state_dir: Path) -> Source:
    return Packages(source.name, source.packages, fetch)


def _local(source: SourceSettings, fetch: Fetch, state_dir: Path) -> Source:
    assert source.path is not None  # the settings have seen to it
    return LocalFiles(source.name, source.path)


_KINDS: dict[str, Callable[[SourceSettings, Fetch, Path], Source]] = {
    "simplestreams": _simplestreams,
    "netboot": _netboot,
    "packages": _packages,
    "local": _local,
}
