"""What may be fetched, whatever it is that was given for a URL."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drophammer.errors import Invalid
from netboot.importing.egress import Egress, shown

WORDS = st.sampled_from(
    ["http", "https", "file", "ftp", "://", "/", "..", "%2e", "@", ":", "[", "]", "host", "#", "?"]
)


def _refusal(egress: Egress, url: str) -> str | None:
    try:
        egress.check(url)
    except Invalid as error:
        return error.message
    return None


@given(st.one_of(st.text(max_size=60), st.lists(WORDS, max_size=10).map("".join)))
def test_anything_is_checked_or_refused(url: str) -> None:
    egress = Egress(("host", "*.example"), (Path("/srv/mirror"),))
    told = _refusal(egress, url)
    if told is not None:
        assert "\n" not in told
        return
    parts = egress.check(url)
    if parts.scheme == "file":
        assert egress.file(url).is_relative_to("/srv/mirror")
    else:
        assert parts.hostname == "host" or str(parts.hostname).endswith(".example")


@pytest.mark.parametrize("secret", ["hidden", "hid@den", "hid/den", "hidden:99"])
def test_no_message_has_a_password(secret: str) -> None:
    url = f"http://user:{secret}@host/path"
    assert shown(url) == "http://host/path"
    for given_url in (url, url.replace("host", "ho st"), url.replace("host", "[::1")):
        assert "hid" not in (_refusal(Egress(("other",)), given_url) or "")


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("archive.ubuntu.com", True),
        ("ARCHIVE.Ubuntu.COM", True),
        ("ubuntu.com", False),
        ("archive.ubuntu.com.evil.example", False),
        ("archive.ubuntu.com@evil.example", False),
        ("evil.example#.ubuntu.com", False),
        ("evil.example?.ubuntu.com", False),
    ],
)
def test_hosts_are_held_to_the_patterns(host: str, allowed: bool) -> None:
    egress = Egress(("*.ubuntu.com",))
    if allowed:
        assert egress.check(f"http://{host}/x").scheme == "http"
    else:
        with pytest.raises(Invalid, match="none of the hosts"):
            egress.check(f"http://{host}/x")
