"""The scripts inside the ramdisk: at least a shell must understand them."""

import subprocess

import pytest

from ramdisk import tree


@pytest.mark.parametrize("name", ["init", "iscsiroot", "udhcpc.script"])
def test_a_script_is_proper_shell(name):
    subprocess.run(["sh", "-n", tree.FILES / name], check=True)


def test_the_agent_that_is_packed_is_the_one_beside_us():
    assert (tree.agent_folder() / "main.py").is_file()
