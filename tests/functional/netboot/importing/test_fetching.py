"""Fetching over HTTP: whole or not at all, from a mirror that misbehaves."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drophammer.errors import DrophammerError, Forbidden, ImageError, Invalid, NotFound, Unavailable

CONTENT = bytes(range(256)) * 4000


def _get(fetch: Any, url: str, most: int | None = None) -> bytes:
    out = io.BytesIO()
    fetch.fetch(url, out, most)
    return out.getvalue()


def test_a_file_is_fetched_whole(mirror: Any, fetch: Callable[..., Any]) -> None:
    mirror.files["/linux"] = CONTENT
    assert _get(fetch(), f"{mirror.url}/linux") == CONTENT


def test_a_broken_connection_is_gone_on_with_where_it_broke(
    mirror: Any, fetch: Callable[..., Any]
) -> None:
    mirror.files["/linux"] = CONTENT
    mirror.faults["/linux"] = ["cut", "cut"]
    assert _get(fetch(), f"{mirror.url}/linux") == CONTENT
    ranges = [headers.get("range") for _, _, headers in mirror.asked]
    half = len(CONTENT) // 2
    assert ranges == [None, f"bytes={half}-", f"bytes={half + half // 2}-"]


def test_two_versions_of_a_file_are_never_glued_together(
    mirror: Any, fetch: Callable[..., Any]
) -> None:
    other = b"other" * 100_000
    mirror.files["/linux"] = CONTENT
    mirror.faults["/linux"] = ["cut"]
    made = fetch()
    pause = made._web._pause

    def changed(seconds: float) -> None:
        mirror.files["/linux"] = other
        pause(seconds)

    made._web._pause = changed
    assert _get(made, f"{mirror.url}/linux") == other


def test_without_a_validator_it_begins_anew(mirror: Any, fetch: Callable[..., Any]) -> None:
    mirror.etags = False
    mirror.files["/linux"] = CONTENT
    mirror.faults["/linux"] = ["cut"]
    assert _get(fetch(), f"{mirror.url}/linux") == CONTENT
    assert [headers.get("range") for _, _, headers in mirror.asked] == [None, None]


@pytest.mark.seed("s45")
def test_a_file_that_always_breaks_off_fails_and_is_named(
    mirror: Any, fetch: Callable[..., Any]
) -> None:
    mirror.etags = False
    mirror.files["/linux"] = CONTENT
    mirror.faults["/linux"] = ["cut"] * 9
    with pytest.raises(Unavailable, match=r"/linux could not be fetched: .*4 attempts"):
        _get(fetch(), f"{mirror.url}/linux")


def test_a_length_that_is_not_told_could_be_a_part(mirror: Any, fetch: Callable[..., Any]) -> None:
    mirror.files["/linux"] = CONTENT
    mirror.faults["/linux"] = ["no length"] * 9
    with pytest.raises(ImageError, match="does not say how long"):
        _get(fetch(), f"{mirror.url}/linux")


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, NotFound), (410, NotFound), (403, Forbidden), (401, Forbidden), (418, ImageError)],
)
def test_a_refusal_is_told_at_once(
    mirror: Any, fetch: Callable[..., Any], status: int, error: type[DrophammerError]
) -> None:
    mirror.faults["/linux"] = [status] * 9
    with pytest.raises(error, match=rf"/linux could not be fetched: the server answered {status}"):
        _get(fetch(), f"{mirror.url}/linux")
    assert len(mirror.asked) == 1


def test_a_server_in_trouble_is_asked_again(mirror: Any, fetch: Callable[..., Any]) -> None:
    mirror.files["/linux"] = CONTENT
    mirror.faults["/linux"] = [503, 500]
    assert _get(fetch(), f"{mirror.url}/linux") == CONTENT


def test_nobody_there_is_a_sentence(fetch: Callable[..., Any]) -> None:
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9/x could not be fetched: .*refused"):
        _get(fetch(), "http://127.0.0.1:9/x")


def test_more_than_allowed_is_not_taken(mirror: Any, fetch: Callable[..., Any]) -> None:
    mirror.files["/linux"] = CONTENT
    with pytest.raises(ImageError, match="more than 1000 bytes"):
        _get(fetch(), f"{mirror.url}/linux", 1000)


def test_redirects_are_followed_within_the_policy(
    mirror: Any, fetch: Callable[..., Any], tmp_path: Path
) -> None:
    mirror.files["/real"] = CONTENT
    mirror.faults["/linux"] = [(302, "/real")]
    assert _get(fetch(), f"{mirror.url}/linux") == CONTENT
    secret = tmp_path / "secret"
    secret.write_text("secret")
    for target in (f"file://{secret}", "http://elsewhere.example/x", "gopher://127.0.0.1/x"):
        mirror.faults["/linux"] = [(301, target)]
        with pytest.raises(Invalid):
            _get(fetch(hosts=("127.0.0.1",), file_roots=(tmp_path,)), f"{mirror.url}/linux")
    mirror.faults["/linux"] = [(302, "/linux")] * 9
    with pytest.raises(ImageError, match="redirected"):
        _get(fetch(), f"{mirror.url}/linux")


def test_a_password_goes_to_the_mirror_and_into_no_message(
    mirror: Any, fetch: Callable[..., Any]
) -> None:
    url = mirror.url.replace("http://", "http://user:hidden@")
    mirror.files["/linux"] = CONTENT
    assert _get(fetch(), f"{url}/linux") == CONTENT
    assert mirror.asked[0][2]["authorization"].startswith("Basic ")
    with pytest.raises(NotFound) as caught:
        _get(fetch(), f"{url}/nothing")
    assert "hidden" not in caught.value.message


def test_a_proxy_is_asked_for_everything(mirror: Any, fetch: Callable[..., Any]) -> None:
    mirror.files["http://upstream.example/linux"] = CONTENT
    proxied = fetch(proxy=mirror.url)
    assert _get(proxied, "http://upstream.example/linux") == CONTENT


@pytest.mark.parametrize("head", [True, False])
def test_the_tag_changes_with_the_content(
    mirror: Any, fetch: Callable[..., Any], head: bool
) -> None:
    mirror.head = head
    mirror.files["/linux"] = b"one"
    first = fetch().tag(f"{mirror.url}/linux")
    mirror.files["/linux"] = b"two"
    assert (fetch().tag(f"{mirror.url}/linux") != first) == head
    if not head:
        assert first is None


@pytest.mark.seed("s43")
def test_file_urls_are_read_only_where_that_is_allowed(
    fetch: Callable[..., Any], tmp_path: Path
) -> None:
    inside, outside = tmp_path / "mirror", tmp_path / "secret"
    inside.mkdir()
    (inside / "linux").write_bytes(CONTENT)
    outside.write_bytes(b"secret")
    (inside / "link").symlink_to(outside)
    allowed = fetch(file_roots=(inside,))
    assert _get(allowed, f"file://{inside}/linux") == CONTENT
    with pytest.raises(Invalid, match="allowed only below"):
        _get(fetch(), f"file://{inside}/linux")
    for url in (
        f"file://{outside}",
        f"file://{inside}/link",
        f"file://{inside}/../secret",
        f"file://{inside}/%2e%2e/secret",
        f"file://host{inside}/linux",
    ):
        with pytest.raises(Invalid):
            _get(allowed, url)
    with pytest.raises(NotFound, match="nothing"):
        _get(allowed, f"file://{inside}/nothing")
    with pytest.raises(ImageError, match="not a plain file"):
        _get(allowed, f"file://{inside}/.")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/x",
        "http:///x",
        "http://host/a b",
        "http://host/a\nb",
        "//host/x",
        "x",
        "",
        "http://host:99999/",
        "http://[::1/",
        "http://host/" + "a" * 3000,
        "http://höst/",
        "data:,x",
    ],
)
def test_what_is_no_url_of_an_upstream_is_refused(fetch: Callable[..., Any], url: str) -> None:
    with pytest.raises(Invalid):
        _get(fetch(), url)
