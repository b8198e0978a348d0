"""Root device hints: every operator against values that fit and that do not."""

import pytest

from agent import hints
from agent.errors import InvalidHint

GIB = 1 << 30
DISK = {
    "name": "/dev/sda",
    "size": 10 * GIB,
    "model": "Samsung SSD 860 EVO",
    "vendor": "ATA",
    "serial": "S3Z9NB0K",
    "wwn": "0x5002538e40a8ce12",
    "wwn_with_extension": "0x5002538e40a8ce12",
    "wwn_vendor_extension": None,
    "hctl": "0:0:1:0",
    "by_path": "/dev/disk/by-path/pci-0000:00:1f.2-ata-1",
    "rotational": False,
    "tran": "sata",
}


@pytest.mark.parametrize(
    ("name", "hint", "fits"),
    [
        ("size", 10, True),
        ("size", "10", True),
        ("size", 11, False),
        ("size", "== 10", True),
        ("size", "!= 10", False),
        ("size", ">= 10", True),
        ("size", ">= 11", False),
        ("size", "<= 10", True),
        ("size", "> 9", True),
        ("size", "> 10", False),
        ("size", "< 11", True),
        ("size", "= 5", True),
        ("size", "= 11", False),
        ("size", "<or> 5 <or> 10", True),
        ("size", "<or> 5 <or> 6", False),
        ("size", "<range-in> [ 10 20 ]", True),
        ("size", "<range-in> ( 10 20 ]", False),
        ("size", "<range-in> [ 5 10 ]", True),
        ("size", "<range-in> [ 5 10 )", False),
        ("model", "samsung ssd 860 evo", True),
        ("model", "samsung", False),
        ("model", "Samsung%20SSD%20860%20EVO", True),
        ("model", "s== samsung ssd 860 evo", True),
        ("model", "s!= samsung ssd 860 evo", False),
        ("vendor", "s>= ata", True),
        ("vendor", "s> ata", False),
        ("vendor", "s<= ata", True),
        ("vendor", "s< atb", True),
        ("model", "<in> SSD 860", True),
        ("model", "<in> hdd", False),
        ("model", "<all-in> ssd evo", True),
        ("model", "<all-in> ssd pro", False),
        ("serial", "<or> other <or> s3z9nb0k", True),
        ("serial", "<or> other <or> another", False),
        ("name", "/dev/sda", True),
        ("hctl", "0:0:1:0", True),
        ("wwn", "0x5002538E40A8CE12", True),
        ("tran", "sata", True),
        ("by_path", "/dev/disk/by-path/pci-0000:00:1f.2-ata-1", True),
        ("rotational", False, True),
        ("rotational", "false", True),
        ("rotational", "yes", False),
    ],
)
def test_a_hint_fits_or_not(name, hint, fits):
    assert hints.match({name: hint}, DISK) is fits


def test_a_fraction_of_a_gibibyte_is_not_rounded_away():
    assert not hints.match({"size": 10}, {**DISK, "size": 10 * GIB + GIB // 2})


def test_all_hints_must_fit():
    assert not hints.match({"size": 10, "vendor": "other"}, DISK)


def test_a_value_that_the_disk_lacks_fits_nothing():
    assert not hints.match({"wwn_vendor_extension": "s!= x"}, DISK)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("colour", "red"),
        ("size", 0),
        ("size", "-1"),
        ("size", "ten"),
        ("size", ">= 1.5"),
        ("size", ""),
        ("size", True),
        ("size", "<range-in> [ 1 ]"),
        ("size", "<range-in> 1 2"),
        ("size", "<or>"),
        ("model", None),
        ("model", {"a": 1}),
        ("model", ">= samsung"),
        ("model", "<in> "),
        ("serial", "<or> a <or> "),
        ("rotational", "perhaps"),
    ],
)
def test_a_hint_that_makes_no_sense_is_an_error_that_names_it(name, hint):
    with pytest.raises(InvalidHint, match=name if "<or>" not in str(hint) else "."):
        hints.match({name: hint}, DISK)


def test_a_bad_hint_is_found_even_when_an_earlier_one_does_not_fit():
    with pytest.raises(InvalidHint):
        hints.match({"vendor": "other", "size": "big"}, DISK)
