import fcntl

import pytest

from drophammer import errors
from lab import faults, image, machine, network, processes
from lab.hardware import MachineSpec
from lab.lab import Lab, Plan


@pytest.mark.parametrize("name", ["", "-a", "A", "a/b", "..", "a" * 21, "a b"])
def test_a_name_that_could_be_a_path_or_too_long_is_refused(name, tmp_path):
    with pytest.raises(errors.Invalid, match="cannot name a lab"):
        Lab(name, tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"nodes": 0},
        {"nodes": 100},
        {"bmc_port": -1},
        {"bmc_port": 65500},
        {"memory": 64},
        {"disk": 1},
    ],
)
def test_an_impossible_plan_is_refused(changes):
    with pytest.raises(errors.Invalid):
        Plan(**changes)


def test_controllers_get_ports_of_their_own():
    assert [Plan(bmc_port=6230).bmc_at(number) for number in (1, 2)] == [
        ("127.0.0.1", 6230),
        ("127.0.0.1", 6231),
    ]


def test_controllers_may_get_addresses_of_their_own():
    plan = Plan(bmc_port=623, bmc_per_address=True)
    assert [plan.bmc_at(number) for number in (1, 2)] == [("127.0.1.1", 623), ("127.0.1.2", 623)]


def test_an_address_that_is_none_is_refused():
    with pytest.raises(errors.Invalid, match="address of the provisioning network"):
        network.Addresses(ipv4="172.22.0.300/24")


def test_the_longest_names_fit_the_kernel():
    assert len(network.tap_of(99)) <= 15
    assert len(network.namespace_of("a" * 20)) <= 255


def test_a_lab_that_is_not_up_says_so(tmp_path):
    with pytest.raises(errors.NotFound, match="there is no lab 'x'"):
        _ = Lab("x", tmp_path).machines


def test_taking_down_nothing_is_no_error(tmp_path):
    assert not Lab("x", tmp_path).down()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def served_lab(tmp_path):
    """What a crash left of a lab whose service still runs: a state folder, locked."""
    lab = Lab("x", tmp_path)
    lab.service_dir.mkdir(parents=True)
    with open(lab.service_dir / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4711\n")
        lock.flush()
        yield lab


def test_a_lab_is_not_taken_from_under_its_running_service(served_lab):
    with pytest.raises(errors.Conflict, match=r"process 4711.*stop it first.*--force"):
        served_lab.down()
    assert (served_lab.service_dir / "lock").exists()


def test_a_lab_is_taken_from_under_its_service_by_force(served_lab):
    assert served_lab.down(force=True)
    assert not served_lab.directory.exists()


def test_a_lab_whose_service_has_ended_is_taken_down(tmp_path):
    lab = Lab("x", tmp_path)
    lab.service_dir.mkdir(parents=True)
    (lab.service_dir / "lock").write_text("4711\n")
    assert lab.down()
    assert not lab.directory.exists()


def test_a_directory_too_deep_for_a_socket_is_refused(tmp_path):
    spec = MachineSpec(name="n", directory=tmp_path / ("d" * 100), mac="52:54:00:22:00:01")
    with pytest.raises(errors.Invalid, match="too long for a unix socket"):
        machine.prepare(spec)


def test_a_prepared_disk_is_empty_and_sparse(tmp_path):
    spec = MachineSpec(name="n", directory=tmp_path / "n", mac="52:54:00:22:00:01")
    machine.prepare(spec)
    status = spec.disk.stat()
    assert (status.st_size, status.st_blocks) == (5 * 1024**3, 0)


def test_what_a_machine_writes_is_for_its_owner_alone(tmp_path):
    spec = MachineSpec(name="n", directory=tmp_path / "n", mac="52:54:00:22:00:01")
    machine.prepare(spec)
    modes = {path.name: path.stat().st_mode & 0o777 for path in spec.directory.iterdir()}
    assert modes == {"disk.raw": 0o600, "serial.log": 0o600}
    assert spec.directory.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("place", ["file/test.raw", "folder"])
def test_an_image_that_could_not_be_written_is_not_even_begun(tmp_path, place):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises((errors.Forbidden, errors.Invalid), match=place):
        image.build(tmp_path / place, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_process_id_given_to_somebody_else_is_not_ours(tmp_path):
    file = tmp_path / "pid"
    file.write_text('{"pid": 1, "started": 1}')
    process = processes.recorded(file)
    assert not process.alive
    assert process.end(0.0)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}'])
def test_a_half_written_record_names_no_process(tmp_path, text):
    (tmp_path / "pid").write_text(text)
    assert processes.recorded(tmp_path / "pid") is None


def test_fault_switches_can_be_turned_and_turned_back(tmp_path):
    switches = faults.FaultFile(tmp_path)
    assert switches.now() == faults.Faults()
    faults.write(tmp_path, faults.Faults(silent=True, delay=1.5))
    assert switches.now() == faults.Faults(silent=True, delay=1.5)
    faults.write(tmp_path, faults.Faults())
    assert switches.now() == faults.Faults()


def test_an_endless_delay_is_refused():
    with pytest.raises(errors.Invalid, match="delay"):
        faults.Faults(delay=1e9)


def test_the_master_boot_record_has_one_active_partition():
    record = image.master_boot_record(b"\xfa" * 440, 131072)
    assert len(record) == 512
    assert record[446] == 0x80
    assert int.from_bytes(record[454:458], "little") == 2048
    assert int.from_bytes(record[458:462], "little") == 131072 - 2048
    assert record[462:] == bytes(48) + b"\x55\xaa"
