"""Builds the deploy ramdisk from Debian packages: ``vmlinuz`` and ``initrd``.

Works on a bare Debian host with its own apt configuration and needs no root
rights. Nothing is installed on the host; packages are kept in a cache folder.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from drophammer.errors import DrophammerError, Invalid, NotFound, Unsupported
from ramdisk import cpio, modules, packages, tree

FLAVOURS = ("cloud-amd64", "amd64")
DEFAULT_CACHE = Path("/var/cache/drophammer")
_PROGRAMS = (
    *("libc6", "libexpat1", "zlib1g", "libssl3", "libbz2-1.0", "liblzma5", "libffi8"),
    *("busybox-static", "openssl", "ca-certificates"),
    # For rescue: an SSH server.
    *("dropbear-bin", "libcrypt1", "libtomcrypt1", "libtommath1", "libgmp10"),
)
_ISCSI_PROGRAMS = ("open-iscsi", "libopeniscsiusr", "libkmod2", "libzstd1")

Log = Callable[[str], None]


@dataclass(frozen=True)
class Ramdisk:
    """A built ramdisk: the two files, and a version that tells any two different ones apart."""

    kernel: Path
    initrd: Path
    version: str


def build(
    output_dir: Path,
    *,
    cache_dir: Path,
    kernel_flavour: str = "cloud-amd64",
    iscsi: bool = True,
    log: Log = lambda text: None,
) -> Ramdisk:
    """Build into ``output_dir`` unless just this ramdisk is there; replaces another at the end.

    Packages are kept in ``cache_dir``, also for other builds.
    The same packages and agent give the same bytes. ``cloud-amd64`` is small and
    for virtual machines, ``amd64`` has the drivers of real ones. Without ``iscsi`` it can
    neither mount a root over iSCSI nor export a disk. Raises Invalid,
    NotFound, Unavailable or Unsupported, saying what is missing.
    """
    if kernel_flavour not in FLAVOURS:
        raise Invalid(f"kernel flavour {kernel_flavour!r} is not one of {', '.join(FLAVOURS)}")
    packages.ensure_lists("python3-minimal", log)
    python, kernel = _python_name(), _kernel_package(kernel_flavour)
    # Its programs run from another folder.
    output_dir = Path(os.path.abspath(output_dir))
    names = [f"{python}-minimal", f"lib{python}-minimal", f"lib{python}-stdlib", *_PROGRAMS]
    names += _ISCSI_PROGRAMS if iscsi else ()
    *files, kernel_file = packages.fetch(packages.lookup([*names, kernel]), cache_dir, log)
    version = f"{_digest([*files, kernel_file])} {kernel_file.name.partition('_')[0]}"
    ready = Ramdisk(output_dir / "vmlinuz", output_dir / "initrd", version)
    if _is_built(ready):
        log(f"{version} is there already")
        return ready
    output_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".ramdisk-", dir=output_dir) as folder:
        _build_in(Path(folder), ready, files, kernel_file, python, iscsi, log)
    return ready


def _build_in(
    work: Path,
    ready: Ramdisk,
    files: list[Path],
    kernel_file: Path,
    python: str,
    iscsi: bool,
    log: Log,
) -> None:
    log(f"unpacking {kernel_file.name}")
    kernel_root, root = work / "kernel", work / "root"
    packages.unpack(kernel_file, kernel_root)
    release = _release(kernel_root)
    for file in files:
        packages.unpack(file, root)
    log(f"assembling {ready.version}")
    tree.assemble(root, python, ready.version)
    first = modules.copy_modules(kernel_root, release, root, iscsi=iscsi)
    (root / "etc/modules").write_text("\n".join(first) + "\n")
    log("compressing")
    archive = work / "archive"
    with archive.open("wb") as out:
        cpio.write_archive(root, out)
    compressed = _compressed(archive, _config(kernel_root, release))
    vmlinuz = kernel_root / f"boot/vmlinuz-{release}"
    for path in (compressed, vmlinuz):
        path.chmod(0o644)
    # Without its version a half replaced pair counts as not built.
    _version_file(ready).unlink(missing_ok=True)
    os.replace(vmlinuz, ready.kernel)
    os.replace(compressed, ready.initrd)
    _version_file(ready).write_text(ready.version + "\n")
    log(f"done: initrd of {ready.initrd.stat().st_size / 1e6:.1f} MB")


def _version_file(ramdisk: Ramdisk) -> Path:
    return ramdisk.initrd.with_name("ramdisk.version")


def _is_built(ramdisk: Ramdisk) -> bool:
    try:
        known = _version_file(ramdisk).read_text().strip()
    except FileNotFoundError:
        return False
    return known == ramdisk.version and ramdisk.kernel.is_file() and ramdisk.initrd.is_file()


def _python_name() -> str:
    found = [name for name in packages.dependencies("python3-minimal") if name.endswith("-minimal")]
    if not found:
        raise NotFound("python3-minimal does not say which Python it stands for")
    return found[0].removesuffix("-minimal")


def _kernel_package(flavour: str) -> str:
    found = packages.dependencies(f"linux-image-{flavour}")
    images = [name for name in found if name.startswith("linux-image-")]
    if not images:
        raise NotFound(f"linux-image-{flavour} does not say which kernel it stands for")
    return images[0]


def _release(kernel_root: Path) -> str:
    found = sorted((kernel_root / "lib/modules").iterdir())
    if len(found) != 1:
        raise Unsupported("the kernel package does not hold exactly one kernel release")
    return found[0].name


def _config(kernel_root: Path, release: str) -> str:
    return (kernel_root / f"boot/config-{release}").read_text()


def _digest(files: list[Path]) -> str:
    """A short name for exactly these packages, this agent and this builder."""
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.name.encode() + b"\n")
    for folder in (tree.agent_folder(), Path(__file__).parent):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def _compressed(archive: Path, config: str) -> Path:
    """The archive packed as well as the kernel can read and this host can write."""
    target = archive.with_suffix(".packed")
    if "CONFIG_RD_ZSTD=y" in config and shutil.which("zstd"):
        subprocess.run(["zstd", "-q", "-15", "-T1", archive, "-o", target], check=True)
        return target
    with (
        archive.open("rb") as source,
        target.open("wb") as out,
        gzip.GzipFile("", "wb", 9, out, mtime=0) as packed,
    ):
        shutil.copyfileobj(source, packed)
    return target


def main(argv: Sequence[str] | None = None) -> int:
    """``drophammer ramdisk build``: the exit status."""
    parser = argparse.ArgumentParser(
        prog="drophammer ramdisk build",
        description="Build the kernel and ramdisk that machines boot, from Debian packages.",
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder for vmlinuz and initrd; it is made",
    )
    parser.add_argument(
        "--cache-dir",
        type=Path,
        default=DEFAULT_CACHE,
        metavar="DIR",
        help="folder for downloaded packages (default: %(default)s)",
    )
    parser.add_argument(
        "--kernel",
        choices=FLAVOURS,
        default=FLAVOURS[0],
        help="cloud-amd64 is small and for virtual machines, amd64 knows real hardware"
        " (default: %(default)s)",
    )
    parser.add_argument(
        "--iscsi",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="with what a root over iSCSI and the deploy interface iscsi need (default: with it)",
    )
    wanted = parser.parse_args(argv)
    try:
        built = build(
            wanted.output,
            cache_dir=wanted.cache_dir,
            kernel_flavour=wanted.kernel,
            iscsi=wanted.iscsi,
            log=_to_stderr,
        )
    except (DrophammerError, OSError, subprocess.SubprocessError) as error:
        print(f"drophammer ramdisk build: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("drophammer ramdisk build: interrupted", file=sys.stderr)
        return 130
    print(f"{built.kernel}\n{built.initrd}")
    return 0


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
