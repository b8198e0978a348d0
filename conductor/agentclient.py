"""The conductor's side of the ramdisk agent's command API (ironic-python-agent's wire).

Every call has a deadline. TLS is 1.3 and trusts only the certificate which that
agent's own heartbeat brought. The token goes into the query, where the agent
expects it, and never into a message of ours.
"""

from __future__ import annotations

import json
import ssl
import time
from dataclasses import dataclass
from typing import Any

import urllib3

from conductor import metrics
from conductor.http import exchange
from conductor.httperrors import never_arrived, reason
from drophammer import trace
from drophammer.errors import AgentBusy, AgentError, AgentUnreachable
from drophammer.model import Agent
from drophammer.netns import Namespace
from drophammer.text import span

RUNNING, SUCCEEDED, FAILED = "RUNNING", "SUCCEEDED", "FAILED"
VERSION_MISMATCH = ("CLEAN_VERSION_MISMATCH", "VERSION_MISMATCH")
_MAX_ANSWER = 16 * 1024 * 1024
ATTEMPTS = 3
CONNECT_SECONDS = 10.0


@dataclass(frozen=True)
class Result:
    """One command as the agent tells it. ``result`` is None while it runs."""

    id: str
    name: str
    status: str
    result: dict[str, Any] | None
    error: str | None


class AgentClient:
    """Calls agents. Holds no connection between calls: each ramdisk lives for minutes only."""

    def __init__(
        self, namespace: Namespace, timeout: float, *, connect_seconds: float = CONNECT_SECONDS
    ) -> None:
        self._namespace = namespace
        self._timeout = timeout
        self._connect_seconds = connect_seconds

    def run(
        self,
        agent: Agent,
        name: str,
        params: dict[str, Any],
        *,
        wait: bool,
        timeout: float | None = None,
    ) -> Result:
        """Start ``extension.command``; with ``wait`` the answer comes when it has ended.

        ``timeout`` (seconds) is for commands after which no answer may come.

        Raises AgentUnreachable, AgentBusy (an earlier command still runs) or
        AgentError. A command that failed is returned, not raised.
        """
        body = json.dumps({"name": name, "params": params}).encode()
        path = f"/v1/commands/?wait={'true' if wait else 'false'}"
        with metrics.timed(metrics.AGENT_CALLS, name):
            return _result(self._request(agent, "POST", path, body, f"run {name}", timeout))

    def commands(self, agent: Agent) -> list[Result]:
        """All commands of this agent's life, oldest first."""
        with metrics.timed(metrics.AGENT_CALLS, "list"):
            answer = self._request(agent, "GET", "/v1/commands/?", None, "list its commands")
        items = answer.get("commands")
        if not isinstance(items, list):
            raise AgentError(f"The agent at {agent.url} answered no list of commands.")
        return [_result(item) for item in items]

    def _request(
        self,
        agent: Agent,
        method: str,
        path: str,
        body: bytes | None,
        what: str,
        timeout: float | None = None,
    ) -> dict[str, Any]:
        if not agent.url:
            raise AgentUnreachable(f"Cannot {what}: the agent has not called back yet.")
        url = f"{agent.url.rstrip('/')}{path}{'&' if path[-1] != '?' else ''}"
        # A connection that could not be made has started nothing; a question may be repeated.
        retries = urllib3.Retry(
            connect=ATTEMPTS - 1,
            read=ATTEMPTS - 1 if method == "GET" else 0,
            redirect=0,
            status=0,
            other=0,
            backoff_factor=0.2,
        )
        seconds = timeout or self._timeout
        context = _trust(agent.certificate)
        began = time.monotonic()
        try:
            with exchange(
                self._namespace, seconds + self._connect_seconds, context=context
            ) as manager:
                response = manager.request(
                    method,
                    f"{url}agent_token={agent.token or ''}",
                    body=body,
                    headers=_headers(),
                    timeout=urllib3.Timeout(connect=self._connect_seconds, read=seconds),
                    retries=retries,
                    preload_content=False,
                )
                data = response.read(_MAX_ANSWER)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            tries = ATTEMPTS if method == "GET" or never_arrived(error) else 1
            passed = span(time.monotonic() - began)
            raise AgentUnreachable(
                f"The agent at {agent.url} did not {what}: {reason(error)} "
                f"({tries} {'tries' if tries > 1 else 'try'}, {passed})."
            ) from error
        return _checked(response.status, data, agent.url, what)


def _headers() -> dict[str, str]:
    told = {"Content-Type": "application/json"}
    # What the agent writes into its log can be found by it too.
    return told | ({"X-Request-Id": trace.request()} if trace.request() else {})


def _checked(status: int, data: bytes, url: str, what: str) -> dict[str, Any]:
    try:
        answer = json.loads(data)
    except (ValueError, RecursionError):
        answer = None
    if status >= 400 or not isinstance(answer, dict):
        text = answer.get("faultstring") if isinstance(answer, dict) else None
        text = str(text or data[:200].decode("utf-8", "replace"))
        kind = AgentBusy if status == 409 or text.startswith("Agent is busy") else AgentError
        raise kind(f"The agent at {url} refused to {what}: HTTP {status}, {text}")
    return answer


def _result(item: object) -> Result:
    if not isinstance(item, dict):
        raise AgentError("The agent answered something that is no command result.")
    error = item.get("command_error")
    text = None
    if isinstance(error, dict):
        told = dict.fromkeys(str(error[key]) for key in ("message", "details") if error.get(key))
        text = ": ".join(told)
    elif error:
        text = str(error)
    result = item.get("command_result")
    return Result(
        id=str(item.get("id")),
        name=str(item.get("command_name")),
        status=str(item.get("command_status")),
        result=result if isinstance(result, dict) else None,
        error=text,
    )


def _trust(certificate: str | None) -> ssl.SSLContext | None:
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=certificate)
    return context
