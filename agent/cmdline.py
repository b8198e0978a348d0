"""The agent's options, read from the kernel command line.

Every option is written ``ipa-<name>=value``; quotes work as in the kernel. What
is not for the agent is ignored. Options inside a virtual medium are not read.
"""

from __future__ import annotations

from agent.errors import ConfigurationError

_TRUE = ("1", "true", "yes", "on", "t", "y")
_SPACE = " \t\n\v\f\r"
_FALSE = ("0", "false", "no", "off", "f", "n", "")
#: Options whose value may never reach a log.
SECRET_OPTIONS = ("ipa-agent-token",)


def words(text: str) -> list[tuple[str, str | None]]:
    """Names and values of a command line as Linux reads it (lib/cmdline.c: next_arg).

    Quotes round a word or a value hold spaces together and fall away; others stay.
    """
    found: list[tuple[str, str | None]] = []
    at = 0
    while at < len(text):
        if text[at] in _SPACE:
            at += 1
            continue
        quoted = in_quotes = text[at] == '"'
        at += quoted
        end = at
        while end < len(text) and (in_quotes or text[end] not in _SPACE):
            in_quotes ^= text[end] == '"'
            end += 1
        found.append(_word(text[at:end], quoted))
        at = end + 1
    return found


def _word(text: str, quoted: bool) -> tuple[str, str | None]:
    equals = text.find("=", 1)
    if equals < 0:
        return text.removesuffix('"') if quoted else text, None
    name, value = text[:equals], text[equals + 1 :]
    if value.startswith('"'):
        return name, value[1:].removesuffix('"')
    return name, value.removesuffix('"') if quoted else value


def parse(text: str) -> dict[str, str]:
    """``{name: value}`` of all words with the names as written; a later word wins."""
    return {name: value or "" for name, value in words(text)}


def masked(text: str) -> str:
    """The command line, fit for a log."""
    shown = []
    for name, value in words(text):
        shown.append(
            name if value is None else f"{name}={'***' if name in SECRET_OPTIONS else value}"
        )
    return " ".join(shown)


def mac_of_bootif(value: str) -> str:
    """``aa:bb:cc:dd:ee:ff`` from ``01-aa-bb-cc-dd-ee-ff`` or the plain form; "" for neither."""
    text = value.strip().lower().replace("-", ":")
    parts = text.split(":")
    if len(parts) == 7:
        parts = parts[1:]
    hexadecimal = all(len(part) == 2 and set(part) <= set("0123456789abcdef") for part in parts)
    return ":".join(parts) if len(parts) == 6 and hexadecimal else ""


class Options:
    """The options that this agent knows, with the protocol's defaults; times are seconds."""

    def __init__(self, words: dict[str, str]) -> None:
        self._words = words
        self.api_urls = self._list("api-url")
        self.inspection_url = self._text("inspection-callback-url")
        self.collectors = self._list("inspection-collectors", "default,logs")
        self.dhcp_wait = self._number("inspection-dhcp-wait-timeout", 60)
        self.token = self._text("agent-token")
        self.request_id = self._text("global-request-id")
        self.listen_host = self._text("listen-host", "::")
        self.listen_port = self._port("listen-port", 9999)
        self.advertise_host = self._text("advertise-host")
        self.advertise_port = self._port("advertise-port", self.listen_port)
        self.lookup_timeout = self._number("lookup-timeout", 600)
        self.lookup_interval = self._number("lookup-interval", 1)
        self.hardware_delay = self._number("hardware-initialization-delay", 0)
        self.disk_wait_attempts = int(self._number("disk-wait-attempts", 10))
        self.disk_wait_delay = self._number("disk-wait-delay", 3)
        self.insecure = self._flag("insecure")
        self.debug = self._flag("debug")
        self.http_timeout = self._number("http-request-timeout", 30)
        self.image_timeout = self._number("image-download-connection-timeout", 60)
        self.image_retries = int(self._number("image-download-connection-retries", 9))
        self.image_retry_interval = self._number("image-download-connection-retry-interval", 10)
        self.image_max_duration = self._number("image-download-max-duration", 0)
        self.tls_min_version = self._text("tls-min-version", "1.2")
        self.certificate_curve = self._text("tls-certificate-curve", "p384")
        self.ignore_bootloader_failure = self._flag("ignore-bootloader-failure")
        self.boot_mac = mac_of_bootif(words.get("BOOTIF", ""))

    def _text(self, name: str, default: str = "") -> str:
        return self._words.get(f"ipa-{name}", default)

    def _list(self, name: str, default: str = "") -> list[str]:
        return [item.strip() for item in self._text(name, default).split(",") if item.strip()]

    def _number(self, name: str, default: float) -> float:
        text = self._text(name, str(default))
        try:
            number = float(text)
        except ValueError:
            raise ConfigurationError(f"ipa-{name}={text!r} is not a number") from None
        if not 0 <= number < 1e9:
            raise ConfigurationError(f"ipa-{name}={text!r} is out of range")
        return number

    def _port(self, name: str, default: int) -> int:
        number = self._number(name, default)
        if number != int(number) or number > 65535:
            raise ConfigurationError(f"ipa-{name}={number!r} is not a port")
        return int(number)

    def _flag(self, name: str) -> bool:
        if f"ipa-{name}" not in self._words:
            return False
        text = self._text(name).lower()
        if text in _TRUE:
            return True
        if text in _FALSE:
            return False
        raise ConfigurationError(f"ipa-{name}={text!r} is neither true nor false")

    def __repr__(self) -> str:
        return f"Options(api_urls={self.api_urls!r}, inspection_url={self.inspection_url!r})"


def read(path: str = "/proc/cmdline") -> Options:
    """The options of the running machine; raises ConfigurationError."""
    with open(path, encoding="utf-8", errors="replace") as file:
        return Options(parse(file.read()))
