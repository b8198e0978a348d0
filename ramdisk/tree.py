"""Puts the ramdisk's files together below a folder: programs, Python, agent, init.

Unpacked Debian packages, cut down to what the agent uses. Nothing is run but the
ramdisk's own Python, once to compile and once to prove that it imports.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from drophammer.errors import NotFound, Unsupported

FILES = Path(__file__).parent / "files"
ISCSISTART = "sbin/iscsistart"
_LOADER = "lib64/ld-linux-x86-64.so.2"
_UNUSED = (
    "usr/share",
    "usr/include",
    "usr/lib/x86_64-linux-gnu/gconv",
    "usr/lib/x86_64-linux-gnu/audit",
    "usr/lib/x86_64-linux-gnu/engines-3",
    "usr/lib/x86_64-linux-gnu/ossl-modules",
    "usr/lib/systemd",
    *("sbin/iscsid", "sbin/iscsiadm", "sbin/iscsi_discovery", "sbin/iscsi-iname", "lib/open-iscsi"),
    *("usr/bin/iscsiadm", "usr/lib/udev", "lib/udev"),
    "usr/lib/mime",
    "usr/bin/c_rehash",
    "usr/lib/ssl/misc",
    "lib/systemd",
    "etc",
    "var",
)
_UNUSED_LIBRARIES = ("libmvec", "libthread_db", "libmemusage", "libpcprofile", "libc_malloc_debug")
_UNUSED_STDLIB = (
    *(
        "__phello__",
        "_pydecimal.py",
        "asyncio",
        "cgi.py",
        "concurrent",
        "config-3*",
        "ctypes/macholib",
    ),
    *("curses", "dbm", "distutils", "doctest.py", "ensurepip", "idlelib", "imaplib.py"),
    *(
        "lib2to3",
        "mailbox.py",
        "msilib",
        "multiprocessing",
        "nntplib.py",
        "pdb.py",
        "pickletools.py",
    ),
    *("pydoc.py", "pydoc_data", "smtpd.py", "smtplib.py", "sqlite3", "statistics.py", "tarfile.py"),
    *("test", "tkinter", "tomllib", "turtle.py", "turtledemo", "unittest", "venv", "wsgiref"),
    *("xml", "xmlrpc", "zipfile.py", "zoneinfo", "_aix_support.py", "_osx_support.py"),
    *("sitecustomize.py", "telnetlib.py", "ftplib.py", "poplib.py", "_pyio.py", "optparse.py"),
    *("lib-dynload/_test*", "lib-dynload/_dbm*", "lib-dynload/_curses*", "lib-dynload/_sqlite3*"),
    *("lib-dynload/_codecs_*", "lib-dynload/_decimal*", "lib-dynload/_elementtree*"),
    *(
        "lib-dynload/_xx*",
        "lib-dynload/ossaudiodev*",
        "lib-dynload/audioop*",
        "lib-dynload/_zoneinfo*",
    ),
    *("lib-dynload/_lsprof*", "lib-dynload/_multi*", "lib-dynload/readline*", "lib-dynload/xx*"),
)
_KEPT_ENCODINGS = ("__init__", "aliases", "ascii", "idna", "latin_1", "utf_8", "utf_16_le")
#: Everything that a running agent may import: proved at the end of the build.
_PROOF = (
    "import ctypes, hashlib, http.server, json, socketserver, ssl, subprocess, zlib;"
    " import agent.main, agent.tls, agent.server, agent.commands, agent.heartbeat, agent.lookup,"
    " agent.convert, agent.clock, agent.power; ssl.create_default_context();"
    " 'x'.encode('idna'), 'x'.encode('utf-16-le'); hashlib.sha256(b''), hashlib.md5(b'');"
    " import urllib.parse, tempfile"
)


def assemble(root: Path, python: str, version: str) -> None:
    """Turn unpacked packages below ``root`` into the ramdisk's tree.

    ``python`` is the interpreter's name such as "python3.11". Raises NotFound or
    Unsupported when the packages do not hold what the agent needs.
    """
    certificates = _certificate_bundle(root)
    for name in _UNUSED:
        _remove(root / name)
    _prune_libraries(root)
    _prune_stdlib(root / "usr/lib" / python)
    shutil.copytree(
        agent_folder(),
        root / "usr/lib" / python / "agent",
        ignore=shutil.ignore_patterns("__pycache__", "*.pyc"),
    )
    _compile(root, python)
    (root / "usr/bin/python3").symlink_to(python)
    _busybox_links(root)
    _own_files(root, certificates, version)
    _prove(root, python)


def agent_folder() -> Path:
    """Where the agent package lies, without importing it. Raises NotFound."""
    spec = importlib.util.find_spec("agent")
    if spec is None or not spec.submodule_search_locations:
        raise NotFound("the agent package is not installed beside this one")
    return Path(spec.submodule_search_locations[0])


def _certificate_bundle(root: Path) -> bytes:
    paths = sorted((root / "usr/share/ca-certificates/mozilla").glob("*.crt"))
    if not paths:
        raise NotFound("the ca-certificates package holds no certificates")
    return b"".join(path.read_bytes().strip() + b"\n" for path in paths)


def _prune_libraries(root: Path) -> None:
    for folder in (root / "lib/x86_64-linux-gnu", root / "usr/lib/x86_64-linux-gnu"):
        for path in folder.glob("*.so*") if folder.is_dir() else []:
            if path.name.startswith(_UNUSED_LIBRARIES):
                _remove(path)


def _prune_stdlib(stdlib: Path) -> None:
    for pattern in _UNUSED_STDLIB:
        for path in stdlib.glob(pattern):
            _remove(path)
    for path in (stdlib / "encodings").glob("*.py"):
        if path.stem not in _KEPT_ENCODINGS:
            path.unlink()


def _compile(root: Path, python: str) -> None:
    """Compile beside the sources and drop these: they are half of the size and never read."""
    stdlib = root / "usr/lib" / python
    run_inside(root, python, ["-m", "compileall", "-q", "-b", "-s", str(root), str(stdlib)])
    for path in stdlib.rglob("*.py"):
        path.unlink()
    for path in list(stdlib.rglob("__pycache__")):
        _remove(path)


def _busybox_links(root: Path) -> None:
    said = subprocess.run(
        [root / "bin/busybox", "--list"], capture_output=True, text=True, check=True
    )
    (root / "sbin").mkdir(exist_ok=True)
    for name in said.stdout.split():
        # A link from busybox to itself would leave the machine without a first program.
        if name != "busybox" and not (root / "bin" / name).exists():
            (root / "bin" / name).symlink_to("busybox")


def _own_files(root: Path, certificates: bytes, version: str) -> None:
    for name in ("dev", "proc", "sys", "run", "tmp", "root", "etc/ssl/certs"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "etc/ssl/certs/ca-certificates.crt").write_bytes(certificates)
    (root / "usr/lib/ssl").mkdir(parents=True, exist_ok=True)
    for path in (root / "usr/lib/ssl").iterdir():
        _remove(path)
    (root / "usr/lib/ssl/cert.pem").symlink_to("/etc/ssl/certs/ca-certificates.crt")
    (root / "etc/resolv.conf").symlink_to("/run/resolv.conf")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
    (root / "etc/nsswitch.conf").write_text("hosts: files dns\n")
    (root / "etc/drophammer-ramdisk").write_text(version + "\n")
    files = {"init": "init", "udhcpc.script": "etc/udhcpc.script"}
    if (root / ISCSISTART).exists():
        files["iscsiroot"] = "etc/iscsiroot"
    for name, target in files.items():
        shutil.copyfile(FILES / name, root / target)
        (root / target).chmod(0o755)


def run_inside(root: Path, python: str, arguments: Sequence[str]) -> str:
    """Run the ramdisk's Python with its own libraries; neither chroot nor root is needed."""
    libraries = ":".join(str(root / name) for name in _library_folders(root))
    program = [str(root / _LOADER), "--library-path", libraries, str(root / "usr/bin" / python)]
    environment = {"PYTHONHOME": str(root / "usr"), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    # Hash seeds would end up in compiled sets, and make every build another one.
    environment["PYTHONHASHSEED"] = "0"
    environment["SOURCE_DATE_EPOCH"] = "0"
    done = subprocess.run(
        [*program, "-S", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=environment,
        cwd="/",
    )
    if done.returncode != 0:
        raise Unsupported(
            f"the ramdisk's {python} cannot run {arguments[0]}: {done.stderr.strip()[-800:]}"
        )
    return done.stdout


def _library_folders(root: Path) -> list[str]:
    names = ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "lib64", "usr/lib64")
    return [name for name in names if (root / name).is_dir()]


def _prove(root: Path, python: str) -> None:
    run_inside(root, python, ["-B", "-c", _PROOF])
    libraries = ":".join(str(root / name) for name in _library_folders(root))
    programs = {"usr/bin/openssl": "version", ISCSISTART: "--version"}
    if not (root / ISCSISTART).exists():
        del programs[ISCSISTART]
    for name, argument in programs.items():
        command = [str(root / _LOADER), "--library-path", libraries, str(root / name), argument]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Unsupported(f"the ramdisk's {name} does not run: {done.stderr.strip()[-300:]}")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif path.exists() or path.is_symlink():
        path.unlink()
