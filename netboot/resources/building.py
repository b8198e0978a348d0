"""Makes a snapshot of a plan and lets it become the current one in a single rename.

Until that rename nothing that machines see has changed; whatever fails before
leaves at most a hidden folder, which is removed at once or by the next run.
"""

from __future__ import annotations

import datetime
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from netboot.resources import durable, index, names, targets
from netboot.resources.cache import Cache
from netboot.resources.durable import disk
from netboot.resources.index import Index
from netboot.resources.loaders import Plan
from netboot.resources.names import ImageId
from netboot.resources.tree import CURRENT, Resources, Snapshot

log = logging.getLogger(__name__)

NEXT = f"{durable.PARTIAL}current"
"""The link that becomes ``current``. It is made first, and so tells what was never current."""


def build(resources: Resources, cache: Cache, plan: Plan, now: datetime.datetime) -> Snapshot:
    """Make the snapshot and swap it in. Raises DiskTrouble; the current one is then as it was."""
    root = resources.root
    kept = resources.snapshots()
    name = names.snapshot_name(now, kept[-1].name if kept else None)
    made = durable.partial(root)
    try:
        with disk("building a snapshot", root):
            _fill(made, cache, plan)
            index.write(made, plan.index())
            found = [
                *_targets(resources, name, plan.index(), plain=True),
                *(target for old in kept for target in targets_of(resources, old)),
            ]
            durable.write(made / targets.NAME, targets.configuration(found))
            _publish(root, made, name)
    except BaseException:
        durable.remove(made)
        if _current(root) != name:
            durable.remove(root / name)
        durable.remove(root / NEXT)
        raise
    return Snapshot(name, root / name)


def write_targets(resources: Resources) -> Path | None:
    """Bring the current snapshot's iSCSI configuration up to what is kept now; returns it."""
    current = resources.current()
    if current is None:
        return None
    path = current.path / targets.NAME
    found = [
        target
        for kept in resources.snapshots()
        for target in targets_of(resources, kept, plain=kept == current)
    ]
    text = targets.configuration(found)
    with disk("writing the iSCSI targets", resources.root):
        if not path.exists() or path.read_text() != text:
            durable.write(path, text, aside=resources.root)
    return path


def targets_of(
    resources: Resources, snapshot: Snapshot, *, plain: bool = False
) -> Iterator[tuple[str, Path]]:
    """(iSCSI name, file) of the snapshot's images; ``plain``: under their plain names as well."""
    try:
        found = snapshot.index()
    except index.Damaged as error:
        log.warning("no targets of %s: %s", snapshot.name, error.message)
        return iter(())
    return _targets(resources, snapshot.name, found, plain=plain)


def _targets(
    resources: Resources, snapshot: str, found: Index, *, plain: bool
) -> Iterator[tuple[str, Path]]:
    for image in found.images():
        name = targets.root_file(image.files)
        if name is None:
            continue
        file = resources.root / snapshot / str(image.id) / name
        for target in _names(resources.target_prefix, image.id, snapshot, plain):
            yield target, file


def _names(prefix: str, image: ImageId, snapshot: str, plain: bool) -> Iterable[str]:
    pinned = targets.target_name(prefix, image, snapshot)
    return (targets.target_name(prefix, image), pinned) if plain else (pinned,)


def _fill(made: Path, cache: Cache, plan: Plan) -> None:
    folders = {made}
    for path, entry in plan.files.items():
        folders.add(_folder_of(made, path))
        os.link(cache.path(entry.sha256), made / path)
    for path, system in plan.system.items():
        folders.add(_folder_of(made, path))
        os.symlink(system, made / path)
    for name, target in plan.root.items():
        os.symlink(target, made / name)
    for folder in {above for lowest in folders for above in _up_to(made, lowest)}:
        durable.sync(folder)


def _folder_of(made: Path, path: str) -> Path:
    folder = (made / path).parent
    durable.make_folder(folder)
    return folder


def _up_to(made: Path, folder: Path) -> Iterator[Path]:
    while folder != made:
        yield folder
        folder = folder.parent
    yield made


def _publish(root: Path, made: Path, name: str) -> None:
    _link_index(root)
    durable.remove(root / NEXT)
    os.symlink(name, root / NEXT)
    os.rename(made, root / name)
    durable.sync(root)
    os.rename(root / NEXT, root / CURRENT)
    durable.sync(root)


def _link_index(root: Path) -> None:
    """The index in the root is always the current snapshot's: a link that never changes."""
    link, target = root / index.NAME, f"{CURRENT}/{index.NAME}"
    if link.is_symlink() and os.readlink(link) == target:
        return
    made = durable.partial(root)
    os.symlink(target, made)
    os.rename(made, link)


def _current(root: Path) -> str | None:
    try:
        return os.readlink(root / CURRENT)
    except OSError:
        return None
