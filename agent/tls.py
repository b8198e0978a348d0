"""A self-made certificate for the command API, by the ``openssl`` program.

Python cannot make certificates by itself. The key is made and kept in memory
(tmpfs) with access for root only. The certificate carries the agent's address as
IP SAN (RFC 5280 section 4.2.1.6), which is what conductors verify.
"""

from __future__ import annotations

import os
import ssl
import subprocess
import tempfile

from agent.errors import CertificateError, ConfigurationError

_CURVES = {"p256": "prime256v1", "p384": "secp384r1", "p521": "secp521r1"}
_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_OPENSSL_SECONDS = 60
#: The program insists on this section; the system's configuration is none of our business.
_CONFIG = "[req]\ndistinguished_name = name\n[name]\n"


class Certificate:
    """``pem`` is the certificate's text; the key stays in the files until ``remove``."""

    def __init__(self, folder: str, pem: str) -> None:
        self._folder, self.pem = folder, pem

    def context(self, minimum: str, ciphers: str | None) -> ssl.SSLContext:
        """A server's TLS context. Raises ConfigurationError for an unknown version or cipher."""
        if minimum not in _VERSIONS:
            raise ConfigurationError(f"TLS version {minimum!r} is not one of 1.2, 1.3")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = _VERSIONS[minimum]
        if ciphers:
            try:
                context.set_ciphers(ciphers)
            except ssl.SSLError:
                raise ConfigurationError(f"TLS ciphers {ciphers!r} are not known") from None
        context.load_cert_chain(f"{self._folder}/cert.pem", f"{self._folder}/key.pem")
        return context

    def remove(self) -> None:
        """Delete key and certificate files; a context that was made stays usable."""
        _remove_folder(self._folder)


class Maker:
    """Starts making a certificate for ``address`` at once; ``result`` waits for it.

    The work runs in another process beside the look-up: on a slow machine it takes
    longer than everything else before the first heartbeat.
    """

    def __init__(self, address: str, curve: str) -> None:
        if curve.lower() not in _CURVES:
            raise ConfigurationError(f"curve {curve!r} is not one of {', '.join(_CURVES)}")
        self._folder = tempfile.mkdtemp(prefix="agent-tls-")
        with open(f"{self._folder}/openssl.cnf", "w", encoding="ascii") as file:
            file.write(_CONFIG)
        try:
            self._process = subprocess.Popen(
                _command(address, _CURVES[curve.lower()]),
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        except OSError:
            _remove_folder(self._folder)
            raise

    def cancel(self) -> None:
        """Stop and clean up when the certificate is not needed after all."""
        self._process.kill()
        self._process.communicate()
        _remove_folder(self._folder)

    def result(self) -> Certificate:
        """The certificate. Raises CertificateError with what openssl said."""
        try:
            _, said = self._process.communicate(timeout=_OPENSSL_SECONDS)
        except subprocess.TimeoutExpired:
            self.cancel()
            raise CertificateError(f"openssl took more than {_OPENSSL_SECONDS} s") from None
        if self._process.returncode != 0:
            _remove_folder(self._folder)
            raise CertificateError(f"openssl failed: {said.decode('utf-8', 'replace')[-300:]}")
        with open(f"{self._folder}/cert.pem", encoding="ascii") as file:
            return Certificate(self._folder, file.read())


def _remove_folder(folder: str) -> None:
    for name in os.listdir(folder):
        os.unlink(f"{folder}/{name}")
    os.rmdir(folder)


def start(address: str, curve: str) -> Maker | None:
    """Begin a certificate for an IP address; None when there is no openssl program."""
    try:
        return Maker(address, curve)
    except FileNotFoundError:
        return None


def _command(address: str, curve: str) -> list[str]:
    key = ["-newkey", "ec", "-pkeyopt", f"ec_paramgen_curve:{curve}", "-nodes"]
    files = ["-config", "openssl.cnf", "-keyout", "key.pem", "-out", "cert.pem"]
    extensions = (
        f"subjectAltName=IP:{address}",
        # Self-signed, so it is its own authority: strict verifiers ask for all of these.
        "basicConstraints=critical,CA:TRUE",
        "keyUsage=critical,digitalSignature,keyCertSign",
        "subjectKeyIdentifier=hash",
        "authorityKeyIdentifier=keyid",
    )
    added = [word for extension in extensions for word in ("-addext", extension)]
    subject = ["-subj", f"/CN={address}", "-days", "3650"]
    return ["openssl", "req", "-x509", "-sha256", *key, *files, *subject, *added]
