"""The lab's test image: a small disk that boots anywhere and says so.

One FAT partition with a Debian kernel and a busybox user space (``guest/``).
Boots from BIOS by syslinux and from UEFI, with Secure Boot or without, by
Debian's signed shim and GRUB. Needs neither root nor loop devices. It is no
image for real work: nobody can log in and nothing is stored.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

from drophammer import errors
from lab import kernel
from ramdisk import packages

SIZE_MIB = 64
MARKER = "DROPHAMMER-UP"

_FORMAT = 2  # counts up when the way of building changes the image
_SECTOR = 512
_FIRST_SECTOR = 2048
_LABEL = "DROPHAMMER"
_COMMAND_LINE = "console=ttyS0,115200 no_timer_check panic=10 quiet"
_GUEST = Path(__file__).resolve().parent / "guest"
_MBR = Path("/usr/lib/syslinux/mbr/mbr.bin")
_SHIM = Path("/usr/lib/shim/shimx64.efi.signed")
_GRUB = Path("/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed")
_NEEDED_FILES = {_MBR: "syslinux-common", _SHIM: "shim-signed", _GRUB: "grub-efi-amd64-signed"}
_NEEDED_PROGRAMS = {
    "mkfs.vfat": "dosfstools",
    "mcopy": "mtools",
    "syslinux": "syslinux",
    "cpio": "cpio",
    "depmod": "kmod",
}
_SYSLINUX = f"""DEFAULT linux
PROMPT 0
LABEL linux
  KERNEL /vmlinuz
  INITRD /initrd.gz
  APPEND {_COMMAND_LINE}
"""
_GRUB_CONFIG = f"""set timeout=0
linux /vmlinuz {_COMMAND_LINE}
initrd /initrd.gz
boot
"""


def build(
    output: Path, cache_dir: Path, flavour: str = "cloud", log: packages.Log = lambda line: None
) -> Path:
    """Write the raw image to ``output`` and its SHA-256 to ``output.sha256``.

    Packages and finished images are kept in ``cache_dir``: a second call with
    the same material only copies. ``output`` appears when it is complete; its
    folder is made. Raises Unavailable with the name of the package that is
    missing, Forbidden when ``output`` cannot be written.
    """
    _check_place(output)
    _check_material()
    packages.ensure_lists("busybox-static", log)
    material = packages.lookup([kernel.package(flavour), "busybox-static"])
    key = _content_key(material)
    kept = cache_dir / "images" / f"lab-{flavour}-{key}.raw"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        files = packages.fetch(material, cache_dir, log)
        log(f"building {kept.name}")
        with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
            _assemble(files, Path(scratch)).replace(kept)
    _deliver(kept, output)
    return output


def _content_key(material: list[packages.Package]) -> str:
    digest = hashlib.sha256(f"{_FORMAT} {_SYSLINUX} {_GRUB_CONFIG} {SIZE_MIB}".encode())
    for package in material:
        digest.update(package.digest.encode())
    for file in (*sorted(_GUEST.iterdir()), *_NEEDED_FILES):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _check_place(output: Path) -> None:
    """Make the folder of ``output`` and prove that a file can be written there."""
    partial = _partial(output)
    try:
        if output.is_dir():
            raise errors.Invalid(f"{output} is a folder: name the image file")
        output.parent.mkdir(parents=True, exist_ok=True)
        partial.touch()
        partial.unlink()
    except OSError as error:
        raise errors.Forbidden(
            f"{output} cannot be written ({error.strerror}): choose another place or run it as root"
        ) from error


def _check_material() -> None:
    for program, package in _NEEDED_PROGRAMS.items():
        if shutil.which(program) is None:
            raise errors.Unavailable(f"'{program}' is missing: install the package '{package}'")
    for file, package in _NEEDED_FILES.items():
        if not file.exists():
            raise errors.Unavailable(f"{file} is missing: install the package '{package}'")


def _assemble(material: list[Path], scratch: Path) -> Path:
    unpacked = scratch / "unpacked"
    for package in material:
        packages.unpack(package, unpacked)
    initrd = _initrd(unpacked, scratch)
    partition = _partition(kernel.vmlinuz(unpacked), initrd, scratch)
    image = scratch / "image.raw"
    with open(image, "wb") as disk, open(partition, "rb") as source:
        disk.write(master_boot_record(_MBR.read_bytes(), SIZE_MIB * 2048))
        disk.seek(_FIRST_SECTOR * _SECTOR)
        shutil.copyfileobj(source, disk, 1 << 20)
    return image


def _initrd(unpacked: Path, scratch: Path) -> Path:
    root = scratch / "root"
    for folder in ("bin", "dev", "proc", "sys", "root", "lib/modules"):
        (root / folder).mkdir(parents=True)
    shutil.copy(unpacked / "bin/busybox", root / "bin/busybox")
    for applet in _run([str(root / "bin/busybox"), "--list"]).split():
        # A link of busybox to itself would replace the program: the kernel
        # then finds no init.
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    shutil.copy(_GUEST / "init.sh", root / "init")
    (root / "init").chmod(0o755)
    shutil.copy(_GUEST / "json.awk", root / "lib/json.awk")
    modules = kernel.modules_in_order(unpacked)
    for module in modules:
        shutil.copy(module, root / "lib/modules")
    order = "".join(f"{module.name}\n" for module in modules)
    (root / "lib/modules/load-order").write_text(order)
    names = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
    archive = _run_bytes(["cpio", "-o", "-H", "newc", "--quiet", "-R", "0:0"], names.encode(), root)
    packed = scratch / "initrd.gz"
    packed.write_bytes(gzip.compress(archive, mtime=0))
    return packed


def _partition(vmlinuz: Path, initrd: Path, scratch: Path) -> Path:
    """The FAT partition with loaders, kernel and user space."""
    partition = scratch / "partition.fat"
    with open(partition, "wb") as file:
        file.truncate(SIZE_MIB * 1024 * 1024 - _FIRST_SECTOR * _SECTOR)
    # The loader in the boot sector finds itself by the number of sectors before it.
    options = ["-n", _LABEL, "-i", "D20F4A00", "-h", str(_FIRST_SECTOR)]
    _run(["mkfs.vfat", *options, str(partition)])
    tree = scratch / "tree"
    (tree / "EFI/BOOT").mkdir(parents=True)
    (tree / "EFI/debian").mkdir()
    shutil.copy(_SHIM, tree / "EFI/BOOT/BOOTX64.EFI")
    shutil.copy(_GRUB, tree / "EFI/BOOT/grubx64.efi")
    (tree / "EFI/debian/grub.cfg").write_text(_GRUB_CONFIG)
    (tree / "syslinux.cfg").write_text(_SYSLINUX)
    shutil.copy(vmlinuz, tree / "vmlinuz")
    shutil.copy(initrd, tree / "initrd.gz")
    _run(["mcopy", "-s", "-i", str(partition), *map(str, sorted(tree.iterdir())), "::/"])
    _run(["syslinux", "--install", str(partition)])
    return partition


def master_boot_record(code: bytes, sectors: int) -> bytes:
    """The first sector: boot code and one active EFI system partition from 1 MiB to the end.

    The type (0xEF) is what UEFI firmware looks for; syslinux only wants it active.
    ``code`` is at most 440 bytes; ``sectors`` is the size of the disk.
    """
    beyond_chs = b"\xfe\xff\xff"
    entry = b"\x80" + beyond_chs + b"\xef" + beyond_chs
    entry += struct.pack("<II", _FIRST_SECTOR, sectors - _FIRST_SECTOR)
    return code[:440].ljust(440, b"\0") + b"DHTI\0\0" + entry + bytes(48) + b"\x55\xaa"


def _deliver(kept: Path, output: Path) -> None:
    """Copy to where the caller wants it, whole or not at all, and write the checksum."""
    partial = _partial(output)
    try:
        _run(["cp", "--sparse=always", str(kept), str(partial)])
        with open(partial, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)
    sidecar = output.with_name(output.name + ".sha256")
    sidecar.write_text(f"{digest}  {output.name}\n")


def _partial(output: Path) -> Path:
    return output.with_name(f".{output.name}.{os.getpid()}")


def _run(argv: list[str]) -> str:
    return _run_bytes(argv, b"", None).decode(errors="replace")


def _run_bytes(argv: list[str], stdin: bytes, cwd: Path | None) -> bytes:
    done = subprocess.run(argv, input=stdin, capture_output=True, cwd=cwd, timeout=300)
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip()
        raise errors.Unavailable(f"{' '.join(argv[:3])} ... failed: {words[-1000:]}")
    return done.stdout
