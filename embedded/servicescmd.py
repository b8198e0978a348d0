"""``drophammer services``: asks the running API, as an operator at another desk would.

Only ``include`` is about this very host: it writes a file for tgt.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import urllib3

from drophammer.errors import DrophammerError, Invalid, Unavailable
from drophammer.services import LOG_LEVELS
from embedded import beside
from embedded.addresses import shown
from embedded.options import add_arguments
from netboot.resources.settings import ResourceSettings
from netboot.services import tgt

SECONDS = 75.0
"""A little longer than the API waits for a host."""

CONFIGURED = "configured"


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    made = argparse.ArgumentParser(
        prog="drophammer services",
        description="See the services of netboot hosts, restart one, hear more of one. User name "
        "and password are taken from OS_USERNAME and OS_PASSWORD.",
    )
    commands = made.add_subparsers(required=True, metavar="COMMAND")
    for name, run, what in (
        ("list", _list, "list all services; 1 when one does not do what it should"),
        ("restart", _restart, "stop and start a service"),
        ("log", _log, "show or change what of a service is logged, until netboot starts anew"),
    ):
        command = commands.add_parser(name, help=what, description=what.capitalize())
        add_arguments(command)
        command.add_argument("--url", help="of the API (default: the configured address)")
        command.set_defaults(run=run)
        if name != "list":
            command.add_argument("service", metavar="[HOST/]NAME", help="such as tftp")
        if name == "log":
            command.add_argument("--level", choices=[*LOG_LEVELS, CONFIGURED])
            command.add_argument(
                "--requests", choices=["on", "off"], help="a line for each request of a machine"
            )
    include = commands.add_parser(
        "include",
        help="let the tgtd of systemd load our iSCSI targets when it starts",
        description="Write the file that makes the tgtd of systemd load the iSCSI targets of the "
        "current boot resources when it starts. Needs root.",
    )
    add_arguments(include)
    include.add_argument("--output", type=Path, default=tgt.INCLUDE, metavar="FILE")
    include.set_defaults(run=_include)
    return made


def main(argv: Sequence[str]) -> int:
    """Run one command; what goes wrong is one sentence on standard error."""
    options = parser().parse_args(argv)
    try:
        return int(options.run(options) or 0)
    except DrophammerError as error:
        print(f"drophammer services: {error.message}", file=sys.stderr)
        return 1


class _Api:
    def __init__(self, options: argparse.Namespace) -> None:
        self._url = (options.url or _configured(options)).rstrip("/")
        user, password = os.environ.get("OS_USERNAME"), os.environ.get("OS_PASSWORD", "")
        self._headers = {"Content-Type": "application/json"}
        if user:
            self._headers |= urllib3.make_headers(basic_auth=f"{user}:{password}")
        self._pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(SECONDS))

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The answer's JSON. Raises Unavailable or Invalid with the service's own words."""
        try:
            answer = self._pool.request(
                method,
                f"{self._url}/v1/services{path}",
                body=None if body is None else json.dumps(body).encode(),
                headers=self._headers,
            )
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise Unavailable(
                f"{self._url} cannot be asked ({error}): does the service run there? --url names "
                "another API."
            ) from error
        if answer.status >= 400:
            raise Invalid(f"{self._url} answered {answer.status}: {_sentence(answer.data)}")
        try:
            return json.loads(answer.data)
        except ValueError as error:
            raise Unavailable(f"{self._url} is no API of Drophammer: its answer is no JSON.") from (
                error
            )


def _list(options: argparse.Namespace) -> int:
    found = _Api(options).ask("GET", "")["services"]
    row = "{:<20} {:<8} {:<9} {:<12} {:<20} {}"
    print(row.format("HOST", "SERVICE", "EXPECTED", "ACTUAL", "SINCE", "REASON"))
    for one in found:
        reason = one["reason"] or one["expected_reason"]
        since = f"{one['since'][:19]}Z"
        words = (one["hostname"], one["name"], one["expected"], one["actual"], since, reason)
        print(row.format(*words).rstrip())
    return int(any(one["expected"] == "on" and one["actual"] != "running" for one in found))


def _restart(options: argparse.Namespace) -> None:
    api = _Api(options)
    told = api.ask("POST", f"{_path(options.service, api)}/restart", {})
    print(f"{told['name']}: {told['actual']} {told['reason']}".rstrip())


def _log(options: argparse.Namespace) -> None:
    api = _Api(options)
    path = f"{_path(options.service, api)}/log"
    change: dict[str, Any] = {}
    if options.level is not None:
        change["level"] = None if options.level == CONFIGURED else options.level
    if options.requests is not None:
        change["requests"] = options.requests == "on"
    told = api.ask("PUT", path, change) if change else api.ask("GET", path)
    requests = {True: "on", False: "off", None: "none to be had"}[told["requests"]]
    print(f"level: {told['level'] or CONFIGURED}\nrequests: {requests}")


def _include(options: argparse.Namespace) -> None:
    text = tgt.include(ResourceSettings.from_conf(beside.configured(options)).root)
    fresh = options.output.with_name(options.output.name + ".new")
    try:
        fresh.write_text(text)
        fresh.chmod(0o644)
        fresh.replace(options.output)
    except OSError as error:
        raise Unavailable(
            f"{options.output} cannot be written: {error.strerror}; is tgt installed, and are you "
            "root?"
        ) from error
    print(f"{options.output}: {text.splitlines()[-1]}")


def _path(service: str, api: _Api) -> str:
    """The path of a service; the host may be left out where only one has it."""
    host, slash, name = service.rpartition("/")
    if not slash:
        hosts = [one["hostname"] for one in api.ask("GET", "")["services"] if one["name"] == name]
        if len(hosts) != 1:
            which = f"of hosts {', '.join(hosts)}: say HOST/{name}" if hosts else "of no host"
            raise Invalid(f"{name!r} is a service {which}.")
        host = hosts[0]
    return f"/{quote(host, safe='')}/{quote(name, safe='')}"


def _configured(options: argparse.Namespace) -> str:
    conf = beside.configured(options)
    return f"http://{shown(conf.api.host_ip)}:{conf.api.port}"


def _sentence(data: bytes) -> str:
    """The human part of an error."""
    try:
        told = json.loads(data)["error_message"]
        told = json.loads(told) if isinstance(told, str) else told
        return str(told["faultstring"])
    except (ValueError, KeyError, TypeError):
        return data.decode("utf-8", "replace")[:200]
