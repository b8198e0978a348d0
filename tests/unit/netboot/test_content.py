"""Clean paths, and a tree of files that nothing leads out of."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drophammer.errors import Forbidden, NotFound
from netboot.content import Rendered, StaticFiles, clean_path, ip_text


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("s")
    (tmp_path / "tree-2").mkdir()
    (tmp_path / "tree-2" / "file").write_text("s")
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "sub" / "file").write_text("content")
    return tree


@pytest.mark.parametrize("path", ["a/b", "/a/b", "//a//b", "a\\b", "\\a\\b", "./a/./b", "a/b/"])
def test_spellings_of_a_path_become_one(path: str) -> None:
    assert clean_path(path) == "a/b"


@pytest.mark.parametrize("path", ["..", "../a", "a/..", "a/../b", "..\\a", "a\\..\\..\\b", "a\0b"])
def test_paths_that_lead_upwards_are_forbidden(path: str) -> None:
    with pytest.raises(Forbidden):
        clean_path(path)


def test_dots_within_names_are_fine() -> None:
    assert clean_path("a..b/...c") == "a..b/...c"


@given(st.text(alphabet="./\\a\0"))
def test_a_clean_path_stays_below_where_it_starts(text: str) -> None:
    try:
        path = clean_path(text)
    except Forbidden:
        return
    assert os.path.normpath(os.path.join("/root", path)).startswith("/root")


def test_a_file_is_found_with_its_size(tree: Path) -> None:
    found = StaticFiles(tree).find("sub/file")
    assert (found.path, found.size) == (tree.resolve() / "sub" / "file", 7)


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "sub/../../secret", "a\0b"])
def test_paths_out_of_the_tree_are_forbidden(tree: Path, path: str) -> None:
    with pytest.raises(Forbidden):
        StaticFiles(tree).find(path)


@pytest.mark.parametrize("target", ["../secret", "/etc/passwd", "../tree-2/file", "/dev/null"])
def test_links_out_of_the_tree_are_forbidden(tree: Path, target: str) -> None:
    (tree / "link").symlink_to(target)
    with pytest.raises(Forbidden):
        StaticFiles(tree).find("link")


def test_a_linked_directory_out_of_the_tree_is_forbidden(tree: Path) -> None:
    (tree / "link").symlink_to("../tree-2")
    with pytest.raises(Forbidden):
        StaticFiles(tree).find("link/file")


def test_links_in_a_circle_are_not_found(tree: Path) -> None:
    (tree / "a").symlink_to("b")
    (tree / "b").symlink_to("a")
    with pytest.raises(NotFound):
        StaticFiles(tree).find("a")


@pytest.mark.parametrize("path", ["", "sub", "missing", "sub/file/x", "x" * 300, "y/" * 3000])
def test_what_is_no_file_is_not_found(tree: Path, path: str) -> None:
    with pytest.raises(NotFound):
        StaticFiles(tree).find(path)


def test_pipes_and_sockets_are_forbidden(tree: Path) -> None:
    os.mkfifo(tree / "pipe")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tree / "sock"))
        for name in ("pipe", "sock"):
            with pytest.raises(Forbidden):
                StaticFiles(tree).find(name)


def test_a_root_that_is_a_link_may_be_switched(tree: Path, tmp_path: Path) -> None:
    current = tmp_path / "current"
    current.symlink_to("tree")
    files = StaticFiles(current)
    assert files.find("sub/file").size == 7
    current.unlink()
    current.symlink_to("tree-2")
    assert files.find("file").size == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make device nodes")
def test_device_nodes_are_forbidden(tree: Path) -> None:
    os.mknod(tree / "null", 0o666 | 0o020000, os.makedev(1, 3))
    with pytest.raises(Forbidden):
        StaticFiles(tree).find("null")


def test_rendered_content_does_not_show_in_its_repr() -> None:
    assert "token" not in repr(Rendered(b"token"))


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (("192.0.2.1", 69), "192.0.2.1"),
        (("::ffff:192.0.2.1", 69, 0, 0), "192.0.2.1"),
        (("fe80::1%eth0", 69, 0, 2), "fe80::1"),
        (("2001:db8::1", 69, 0, 0), "2001:db8::1"),
    ],
)
def test_addresses_are_written_one_way(address: tuple[object, ...], text: str) -> None:
    assert ip_text(address) == text
