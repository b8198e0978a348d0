"""Is this what the holder of a key in the keyring has signed? Asked of gpgv, without a shell.

What is used afterwards is what gpgv says was signed, never the file around it.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

from drophammer.errors import ImageError, Unavailable

_TIMEOUT = 60
_GOOD = "GOODSIG"
_WHY = {
    "NO_PUBKEY": "it is signed with the key {0}, which is not in the keyring",
    "BADSIG": "it was changed after the key {0} had signed it",
    "EXPSIG": "the signature of the key {0} has expired",
    "EXPKEYSIG": "the key {0} that signed it has expired",
    "REVKEYSIG": "the key {0} that signed it was revoked",
    "ERRSIG": "the signature of the key {0} cannot be checked",
    "NODATA": "there is no signature in it",
}
_BEGIN = b"-----BEGIN PGP SIGNED MESSAGE-----"
_KEY_ID = re.compile(r"[0-9A-F]{8,40}")


def signed_text(document: bytes, keyring: Path, what: str) -> bytes:
    """The text inside a document that carries its signature. Raises ImageError."""
    if document.count(_BEGIN) != 1 or not document.lstrip().startswith(_BEGIN):
        raise ImageError(
            f"{what} was not taken: it is not one signed document from its first line to its last."
        )
    with tempfile.TemporaryDirectory(prefix="drophammer-gpgv-") as folder:
        given, taken = Path(folder, "given"), Path(folder, "taken")
        given.write_bytes(document)
        _check(["--output", str(taken), str(given)], keyring, what, folder)
        return taken.read_bytes()


def check_detached(document: bytes, signature: bytes, keyring: Path, what: str) -> None:
    """Raise ImageError unless ``signature`` is a good one of ``document``."""
    with tempfile.TemporaryDirectory(prefix="drophammer-gpgv-") as folder:
        given, beside = Path(folder, "given"), Path(folder, "given.gpg")
        given.write_bytes(document)
        beside.write_bytes(signature)
        _check([str(beside), str(given)], keyring, what, folder)


def _check(arguments: list[str], keyring: Path, what: str, folder: str) -> None:
    _check_keyring(keyring, what)
    argv = ["gpgv", "--homedir", folder, "--status-fd", "1", "--keyring", str(keyring.resolve())]
    try:
        ended = subprocess.run(
            argv + arguments,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except FileNotFoundError:
        raise Unavailable(
            f"{what} was not taken: its signature is checked by gpgv, which is not installed. "
            "Install the package gpgv."
        ) from None
    except subprocess.TimeoutExpired:
        raise Unavailable(
            f"{what} was not taken: gpgv had not checked its signature after {_TIMEOUT} s."
        ) from None
    told = _told(ended.stdout)
    bad = [f"{why.format(told[word])}" for word, why in _WHY.items() if word in told]
    if ended.returncode or bad or _GOOD not in told or "VALIDSIG" not in told:
        heard = ended.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no word"]
        reason = bad[0] if bad else f"gpgv ended with {ended.returncode}: {heard[0][:200]}"
        raise ImageError(
            f"{what} was not taken: {reason}. The keyring is {keyring}; if upstream has a new key, "
            "get it from upstream by a way you trust and add it there."
        )


def _told(status: bytes) -> dict[str, str]:
    """The words of gpgv's status lines, with the key that they are about."""
    told: dict[str, str] = {}
    for line in status.decode(errors="replace").splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "[GNUPG:]":
            key = words[2] if len(words) > 2 and _KEY_ID.fullmatch(words[2]) else "of no known id"
            told.setdefault(words[1], key)
    return told


def _check_keyring(keyring: Path, what: str) -> None:
    try:
        with keyring.open("rb") as file:
            begin = file.read(5)
    except OSError as error:
        raise ImageError(
            f"{what} was not taken: the keyring {keyring} cannot be read ({error.strerror})."
        ) from None
    if begin == b"-----":
        raise ImageError(
            f"{what} was not taken: the keyring {keyring} is armoured text, which gpgv does not "
            f"read. Convert it: gpg --dearmor < {keyring} > {keyring.with_suffix('.gpg')}"
        )
