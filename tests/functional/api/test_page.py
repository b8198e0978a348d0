"""The page for people: whole, self-contained, and sent with a policy that keeps it so."""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from api.routes import ROUTES
from tests.patience import PATIENCE

VOID = frozenset({"meta", "input", "link", "br", "img"})


class Reader(HTMLParser):
    """Collects what the tests look at, and sees that every tag is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.attributes: set[str] = set()
        self.tags: set[str] = set()
        self._open: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        values = dict(attrs)
        if "id" in values:
            self.ids.append(values["id"])
        if "href" in values:
            self.links.append(values["href"])
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag) -> None:
        assert self._open.pop() == tag

    def close(self) -> None:
        super().close()
        assert self._open == []


@pytest.fixture
def answer(api):
    found = api.get("/docs", headers={"Accept": "text/html,application/xhtml+xml"})
    assert found.status_code == 200
    return found


@pytest.fixture
def reader(answer):
    made = Reader()
    made.feed(answer.text)
    made.close()
    return made


def test_a_browser_is_given_html_and_nobody_else_is_refused(api, answer) -> None:
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert api.get("/docs", headers={"Accept": "*/*"}).status_code == 200
    assert api.get("/docs", headers={"Accept": "image/png"}).status_code == 406
    assert api.get("/v1/nodes", headers={"Accept": "text/html"}).status_code == 406


def test_nothing_is_loaded_from_anywhere(answer, reader) -> None:
    assert reader.tags.isdisjoint({"link", "img", "iframe", "object", "base", "form"})
    assert reader.attributes.isdisjoint({"src", "style", "onclick", "onload", "srcset"})
    assert {link for link in reader.links if not link.startswith("#")} == {"openapi.json"}
    assert re.findall(r"@import|url\(|fetch\(|XMLHttpRequest", answer.text) == []


def test_its_policy_allows_just_its_own_script_and_style(answer) -> None:
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none';")
    for kind in ("script", "style"):
        (found,) = re.findall(f"<{kind}>(.*?)</{kind}>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(found.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy


def test_every_route_is_on_it_and_every_link_leads_somewhere(answer, reader) -> None:
    for route in ROUTES:
        assert f'<span class="path">{route.path}</span>' in answer.text
    assert len(reader.ids) == len(set(reader.ids))
    assert {link[1:] for link in reader.links if link.startswith("#")} <= set(reader.ids)


def test_every_endpoint_has_a_curl_line_that_a_shell_can_read(answer) -> None:
    lines = re.findall(r'<pre class="curl">(.*?)</pre>', answer.text, re.DOTALL)
    assert len(lines) == len(ROUTES)
    for line in lines:
        words = shlex.split(line.replace("&#x27;", "'").replace("&quot;", '"'))
        assert words[0] == "curl"
        assert any(word.startswith("http://127.0.0.1:6385/") for word in words)


def test_text_flows_and_a_column_with_nothing_in_it_is_left_out(answer) -> None:
    (about,) = re.findall('<p class="about">(.*?)</p>', answer.text, re.DOTALL)
    assert len(about.split("\n\n")) == len(about.split("\n")) - 1 == 2
    tables = re.findall("<table><tr>(.*?)</tr>(.*?)</table>", answer.text)
    for head, rows in tables:
        lines = [re.findall("<td>(.*?)</td>", row) for row in re.findall("<tr>(.*?)</tr>", rows)]
        assert all(any(cells) for cells in zip(*lines, strict=True)), head
        assert {len(line) for line in lines} == {head.count("<th>")}


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_its_script_is_javascript(answer, tmp_path) -> None:
    (script,) = re.findall("<script>(.*?)</script>", answer.text, re.DOTALL)
    path = tmp_path / "page.js"
    path.write_text(script)
    subprocess.run(["node", "--check", str(path)], check=True, timeout=PATIENCE)
