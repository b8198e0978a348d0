"""[import] and its sources: what fits together, and a sentence for what does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from drophammer.errors import Invalid
from embedded.options import load
from netboot.importing.configured import sources_from


@pytest.fixture
def sources(tmp_path: Path) -> Callable[[str], list[str]]:
    (tmp_path / "keys.gpg").write_bytes(b"keys")

    def run(text: str) -> list[str]:
        path = tmp_path / "drophammer.conf"
        path.write_text(text.replace("KEYS", str(tmp_path / "keys.gpg")))
        return [f"{source.name}:{type(source).__name__}" for source in sources_from(load([path]))]

    return run


def test_without_sources_there_are_the_uploads(sources: Callable[[str], list[str]]) -> None:
    assert sources("") == ["uploads:LocalFiles"]


def test_sources_come_in_the_order_in_which_they_count(
    sources: Callable[[str], list[str]],
) -> None:
    text = """
[import]
sources = maas, debian, loaders, mine
[source:maas]
type = simplestreams
url = http://images.example/ephemeral-v3/stable/
keyring = KEYS
releases = xenial, noble
[source:debian]
type = netboot
url = http://deb.example/debian/dists/
installer = debian-installer
[source:loaders]
type = packages
packages = http://deb.example/shim.deb, /srv/grub.rpm
[source:mine]
type = local
path = /srv/images
[source:unused]
type = nonsense
"""
    assert sources(text) == [
        "uploads:LocalFiles",
        "maas:SimpleStreams",
        "debian:NetbootTrees",
        "loaders:Packages",
        "mine:LocalFiles",
    ]


ONE = "[import]\nsources = one\n[source:one]\n"
STREAM = ONE + "type = simplestreams\nurl = http://h/\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[import]\nsources = ../x\n", "source's name"),
        ("[import]\nsources = uploads\n", "source's name"),
        ("[import]\nsources = a, a\n", "twice"),
        ("[import]\nhosts = a b\n", "no host name"),
        ("[import]\nproxy = localhost\n", "proxy"),
        ("[import]\nca_file = /no/such\n", "no such file"),
        ("[import]\nfile_roots = relative\n", "absolute"),
        ("[import]\nstate_dir = /a/../b\n", "absolute"),
        ("[import]\ndownload = curl 'x\n", "quotes"),
        ("[import]\nsources = one\n", r"\[source:one\]type is ''; it must be one of"),
        (ONE + "type = ftp\n", "must be one of"),
        (ONE + "type = netboot\n", r"\[source:one\]url must be set"),
        (ONE + "type = packages\n", r"packages must be set"),
        (ONE + "type = local\n", "path must be set"),
        (STREAM, "keyring must be set"),
        (STREAM + "keyring = /no/such\n", "no such file"),
        (STREAM + "keyring = KEYS\nreleases = ../x\n", "releases has"),
        (STREAM + "keyring = KEYS\narches = a b\n", "arches has"),
        (STREAM + "keyring = KEYS\nrelease = xenial\n", "'release', which no source knows"),
        (ONE + "type = netboot\nurl = ftp://h/\n", r"\[source:one\]url: ftp://h/ is not fetched"),
        (ONE + "type = netboot\nurl = file:///x\n", "allowed only below"),
        (ONE + "type = netboot\nurl = http://h/\nlabels = a, b\n", "one label"),
        (ONE + "type = netboot\nurl = http://h/\ninstaller = a/b\n", "installer"),
        (ONE + "type = netboot\nurl = http://h/\ncurrent_release = a/b\n", "current_release"),
        (ONE + "type = packages\npackages = http://h/a.deb#md5=1\n", "sha256="),
        (ONE + "type = packages\npackages = shim.deb\n", "not fetched"),
    ],
)
def test_what_does_not_fit_is_refused(
    sources: Callable[[str], list[str]], text: str, sentence: str
) -> None:
    with pytest.raises(Invalid, match=sentence):
        sources(text)


def test_hosts_hold_for_the_urls_of_sources(sources: Callable[[str], list[str]]) -> None:
    text = "[import]\nsources = one\nhosts = *.ubuntu.com\n[source:one]\ntype = netboot\n"
    assert sources(text + "url = http://archive.ubuntu.com/x\n")
    with pytest.raises(Invalid, match="none of the hosts"):
        sources(text + "url = http://archive.example/x\n")
