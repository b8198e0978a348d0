"""Netboot installers laid out for a TFTP server that is not ours: TFTPROOT/maas/ARCH/base/.

There lie pxelinux.0, and RELEASE/install/ with kernel and initrd. What is the same already
is not touched; what is not is replaced in one step. Nothing half fetched gets here.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from drophammer.errors import Conflict, NotFound, Unavailable
from netboot.importing.exchange import fresh, make_folders, recover, replace_folder
from netboot.importing.fetch import Fetch
from netboot.importing.source import Entry, take
from netboot.importing.sources.netboottree import INITRD, KERNEL, LOADER, NetbootTree

SUBARCH = "base"
_INSTALL = "install"
_TEMPORARY = ".import-netboot-"
_BLOCK = 1 << 20


class Layout:
    """Brings TFTPROOT up to date. ``tell`` gets a line for each thing done or left alone."""

    def __init__(self, tftproot: Path, fetch: Fetch, tell: Callable[[str], None]) -> None:
        self._maas = tftproot / "maas"
        self._fetch = fetch
        self._tell = tell

    def update(
        self,
        archive: str,
        arches: Sequence[str],
        releases: Sequence[str],
        current_release: str,
        installer: str,
    ) -> None:
        """Loader and installers of all architectures. The first failure ends it, and is raised."""
        with _failures_told(self._maas), self._alone():
            for arch in arches:
                self._update_loader(NetbootTree(archive, current_release, arch, installer))
                for release in releases:
                    self._update_install(NetbootTree(archive, release, arch, installer))

    def _update_loader(self, tree: NetbootTree) -> None:
        target = self._maas / tree.arch / SUBARCH / LOADER
        with self._temporary() as folder:
            try:
                self._taken(tree, LOADER, folder, tree.checksums(self._fetch))
            except NotFound:
                self._tell(f"There is no {tree.url(LOADER)}; it is left out.")
                return
            if _identical([LOADER], folder, target.parent):
                self._tell(f"{target} is up to date.")
                return
            make_folders(self._maas, target.parent)
            (folder / LOADER).replace(target)
        self._tell(f"{target} was updated.")

    def _update_install(self, tree: NetbootTree) -> None:
        target = self._maas / tree.arch / SUBARCH / tree.release / _INSTALL
        recover(target)
        names = [KERNEL, INITRD]
        with self._temporary() as folder:
            sums = tree.checksums(self._fetch)
            for name in names:
                self._taken(tree, name, folder, sums)
            if _identical(names, folder, target):
                self._tell(f"{target} is up to date.")
                return
            make_folders(self._maas, target.parent)
            # The same file system, so that nothing is copied when it is put in place.
            new = fresh(target)
            folder.rename(new)
            new.chmod(0o755)
            replace_folder(new, target)
        self._tell(f"{target} was updated.")

    def _taken(self, tree: NetbootTree, name: str, folder: Path, sums: Mapping[str, str]) -> None:
        url = tree.url(name)
        with (folder / name).open("w+b") as out:
            take(Entry(url, sums.get(name), None, "", partial(self._fetch.fetch, url)), out)
            # A TFTP server reads as somebody who is nobody.
            os.fchmod(out.fileno(), 0o644)
            os.fsync(out.fileno())

    @contextmanager
    def _temporary(self) -> Iterator[Path]:
        folder = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=self._maas))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock; what killed runs have left behind is removed. Raises Conflict."""
        make_folders(self._maas.parent, self._maas)
        lock = os.open(self._maas, os.O_RDONLY | os.O_DIRECTORY)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Conflict(
                    f"Another import-netboot works on {self._maas}. Wait until it has ended."
                ) from None
            for left in self._maas.glob(f"{_TEMPORARY}*"):
                shutil.rmtree(left, ignore_errors=True)
            yield
        finally:
            os.close(lock)


def _identical(names: Sequence[str], one: Path, other: Path) -> bool:
    """Whether all the named files are there in both folders, byte for byte the same."""
    return all(_same(one / name, other / name) for name in names)


def _same(one: Path, other: Path) -> bool:
    try:
        if one.stat().st_size != other.stat().st_size:
            return False
        with one.open("rb") as left, other.open("rb") as right:
            while block := left.read(_BLOCK):
                if block != right.read(_BLOCK):
                    return False
            return not right.read(1)
    except (FileNotFoundError, NotADirectoryError):
        return False


@contextmanager
def _failures_told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(
            f"{error.filename or folder} could not be written: {error.strerror}. What was there "
            "before is unchanged; make room or set TFTPROOT, then import again."
        ) from None
