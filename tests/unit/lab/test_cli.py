"""``drophammer lab``: what it prints, and what it says instead of a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab import cli, faults
from lab.lab import Lab, LabMachine
from tests.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[3]
NOBODY = 65534


@pytest.fixture
def lab_machine(tmp_path):
    (tmp_path / "bmc-password").write_text("correct-horse-1\n")
    return LabMachine(
        name="node-1",
        mac="52:54:00:22:00:01",
        bmc_address="127.0.0.1",
        bmc_port=6230,
        bmc_username="admin",
        bmc_password_file=tmp_path / "bmc-password",
        serial_log=tmp_path / "serial.log",
        serial_socket=tmp_path / "serial.sock",
        disk=tmp_path / "disk.raw",
        directory=tmp_path,
        firmware="bios",
    )


def test_the_enrolment_line_names_a_file_and_no_password(lab_machine):
    line = cli.enrolment(lab_machine)
    assert line == f"baremetal create {lab_machine.directory}/enrol.json"


def test_the_enrolment_holds_controller_and_network_card(lab_machine):
    (node,) = lab_machine.enrolment()["nodes"]
    assert node["driver_info"] == {
        "ipmi_address": "127.0.0.1",
        "ipmi_port": 6230,
        "ipmi_username": "admin",
        "ipmi_password": "correct-horse-1",
    }
    assert node["ports"] == [{"address": "52:54:00:22:00:01"}]


def test_the_table_shows_power_and_faults_by_their_options(lab_machine):
    faults.write(lab_machine.directory, faults.Faults(silent=True, delay=2.5, wrong_password=True))
    row = cli.table([lab_machine])[1]
    assert "BMC ended" in row
    assert row.endswith("  silent, delay 2.5, wrong-password")


def test_the_table_of_a_machine_fits_a_terminal(lab_machine):
    assert max(map(len, cli.table([lab_machine]))) <= 80


def test_an_expected_error_is_one_sentence(tmp_path, capsys):
    assert cli.main(["status", "--name", "x", "--state-dir", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("drophammer lab: there is no lab 'x'")


def test_taking_down_nothing_says_so(tmp_path, capsys):
    assert cli.main(["down", "--name", "x", "--state-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"there is no lab 'x' in {tmp_path}/x\n"


def test_taking_down_says_that_the_lab_is_gone(tmp_path, capsys):
    (tmp_path / "x").mkdir()
    assert cli.main(["down", "--name", "x", "--state-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "lab 'x' is gone\n"


def test_clearing_faults_goes_with_no_fault(tmp_path, capsys):
    argv = ["fault", "node-1", "--clear", "--silent", "--name", "x", "--state-dir", str(tmp_path)]
    assert cli.main(argv) == 1
    assert "--clear goes with no other switch" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
@pytest.mark.parametrize("words", [["down"], ["status"], ["fault", "node-1"], ["image", "x/y.raw"]])
def test_somebody_else_is_told_in_one_sentence_to_be_root(tmp_path, words):
    tmp_path.chmod(0o700)
    Lab("x", tmp_path).directory.mkdir()
    # Becomes somebody else after the imports, who may not be able to read the checkout.
    script = f"""
import os, sys
from lab.cli import main
os.setgroups([])
os.setuid({NOBODY})
sys.exit(main(sys.argv[1:]))
"""
    argv = [sys.executable, "-c", script]
    if words[0] == "image":
        argv += [words[0], str(tmp_path / words[1])]
    else:
        argv += [*words, "--name", "x", "--state-dir", str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE)
    assert done.returncode == 1
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith("drophammer lab: ")
    assert sentence.endswith("run it as root")
