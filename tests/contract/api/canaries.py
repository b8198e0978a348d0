"""Unique words to put where secrets go, and the search for where they come out."""

from __future__ import annotations

import base64
import itertools
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import urllib3

from tests.patience import PATIENCE

VERSION = "X-OpenStack-Ironic-API-Version"


@dataclass
class Canaries:
    """The words by place."""

    words: dict[str, str] = field(default_factory=dict)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def at(self, place: str) -> str:
        """A new word for a place."""
        word = f"kanarie{next(self._numbers):03d}zwitschert"
        self.words[place] = word
        return word

    def found_in(self, text: str) -> list[str]:
        """The places whose words are in a text, plainly or as base64."""
        return [
            place
            for place, word in self.words.items()
            if word in text or base64.b64encode(word.encode()).decode()[:16] in text
        ]


@dataclass
class Client:
    """Speaks JSON to the service and keeps every answer's text."""

    url: str
    user: str
    password: str
    answers: list[tuple[str, str]] = field(default_factory=list)

    def send(
        self, method: str, path: str, body: Any = None, version: str = "1.115"
    ) -> tuple[int, Any]:
        """The status and the decoded body of an answer."""
        headers = {
            VERSION: version,
            **urllib3.make_headers(basic_auth=f"{self.user}:{self.password}"),
        }
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body)
        answer = urllib3.request(
            method, self.url + path, body=sent, headers=headers, retries=False, timeout=PATIENCE
        )
        text = answer.data.decode() + repr(dict(answer.headers))
        self.answers.append((f"{method} {path.partition('?')[0]} {answer.status}", text))
        known = answer.headers.get("Content-Type") == "application/json"
        return answer.status, json.loads(answer.data) if known else None

    def get(self, path: str, version: str = "1.115") -> Any:
        """The decoded body of what can be read."""
        return self.send("GET", quote(path, safe="/?=&@"), version=version)[1]
